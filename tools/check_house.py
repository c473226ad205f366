"""Is the house in order? python tools/check_house.py

Arrows between modules point down and form no circle; nobody outside tqdit/models names a DiT's submodules;
no two modules export the same name."""
import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent/'tqdit'
FLOORS = [['core'], ['models'], ['diffusion'], ['quant'], ['methods', 'integer'], ['judge'],
          ['lab', 'face', 'look', 'hub', 'pipeline', 'cli']]
DIT_NAMES = {'blocks', 'adaLN', 'adaLN_modulation', 'fc1', 'fc2', 'qkv', 'x_embedder', 't_embedder', 'y_embedder',
             'final_layer', 'pos_embed'}


def modules() -> dict: # dotted name below tqdit -> syntax tree
    "All modules but the package's own front and the index."
    files = [f for f in ROOT.rglob('*.py') if f.name not in ('_modidx.py',) and f != ROOT/'__init__.py']
    names = {f: '.'.join(f.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__') for f in files}
    return {names[f]: ast.parse(f.read_text(encoding='utf-8')) for f in sorted(files)}


def floor_of(name) -> int:
    top = name.split('.')[0]
    return next(i for i, rooms in enumerate(FLOORS) if top in rooms)


def imports(name, tree, known) -> set:
    "The modules of this package that a module imports, anywhere in it."
    out, here = set(), name.split('.')
    package = here if any(k.startswith(name + '.') for k in known) else here[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[:len(package) - node.level + 1] + (node.module or '').split('.')
            elif (node.module or '').startswith('tqdit'):
                base = node.module.split('.')[1:]
            else:
                continue
            base = [p for p in base if p]
            full = ['.'.join([*base, a.name]) for a in node.names]
            out |= {f if f in known else '.'.join(base) for f in full}
        elif isinstance(node, ast.Import):
            out |= {a.name.removeprefix('tqdit.') for a in node.names if a.name.startswith('tqdit.')}
    return {m for m in out if m in known and m != name}


def docstrings(tree) -> set: # ids of the nodes
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [n.body for n in ast.walk(tree) if isinstance(n, owners) and n.body]
    return {id(b[0].value) for b in bodies if isinstance(b[0], ast.Expr)}


def named_submodules(tree) -> list: # (line, what)
    "Strings and attributes that are names of a DiT's submodules."
    skip, out = docstrings(tree), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skip:
            words = set(node.value.replace('\\', ' ').replace('(', ' ').replace(')', ' ').replace('.', ' ').split())
            if words & DIT_NAMES and '.' in node.value or node.value in DIT_NAMES:
                out.append((node.lineno, node.value))
        if isinstance(node, ast.Attribute) and node.attr in DIT_NAMES - {'blocks'}:
            out.append((node.lineno, node.attr))
    return out


def circles(graph) -> list:
    "Modules that can be reached from themselves."
    def reach(m):
        seen, todo = set(), list(graph[m])
        while todo:
            n = todo.pop()
            if n not in seen:
                seen.add(n)
                todo += graph[n]
        return seen
    return [m for m in graph if m in reach(m)]


def is_patch(node) -> bool: # of a class that is defined elsewhere
    return any('patch' in ast.unparse(d) for d in node.decorator_list)


def exported(tree) -> set: # what __all__ names, and every function and class without an underscore
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '__all__':
            names |= {e.value for e in node.value.elts if isinstance(e, ast.Constant)}
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != '_' and not is_patch(node):
            names.add(node.name)
    return names


def main():
    trees = modules()
    graph = {n: imports(n, t, trees) for n, t in trees.items()}
    wrong = [f'{n} imports {m}, which is above it' for n, ms in graph.items() for m in ms if floor_of(m) > floor_of(n)]
    wrong += [f'{n} imports {m}, a room beside it' for n, ms in graph.items() for m in ms
              if floor_of(m) == floor_of(n) and n.split('.')[0] != m.split('.')[0]
              and {n.split('.')[0], m.split('.')[0]} <= {'methods', 'integer'}]
    wrong += [f'{n} is part of a circle of imports' for n in circles(graph)]
    wrong += [f'{n}:{line} names a submodule of a DiT: {what!r}' for n, t in trees.items() if not n.startswith('models')
              for line, what in named_submodules(t)]
    owners = {}
    for n, t in trees.items():
        for name in sorted(exported(t)):
            owners.setdefault(name, []).append(n)
    wrong += [f'{name} is exported by {" and ".join(ms)}' for name, ms in owners.items() if len(ms) > 1
              and not (name in ('main', 'add_arguments') or 'face' in ms)]
    print('\n'.join(wrong) or f'{len(trees)} modules: arrows point down, no circle, names are unique')
    return len(wrong) > 0


if __name__ == '__main__':
    sys.exit(main())
