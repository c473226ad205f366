"""Is the C that notebooks show the C that is compiled? python tools/check_native_shown.py

A cell that calls show_c('file', 'name', ...) has an output stored; it must be what the file in tqdit/integer/native
holds now."""
import ast
import importlib.util
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def source_module(): # a file of the package, without the package: this check needs neither torch nor nbdev
    spec = importlib.util.spec_from_file_location('source', ROOT/'tqdit/integer/native/source.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(cell) -> list: # of the arguments of show_c
    "What C a cell shows."
    text = ''.join(cell['source'])
    if cell['cell_type'] != 'code' or 'show_c(' not in text:
        return []
    calls = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call) and getattr(n.func, 'id', '') == 'show_c']
    return [[ast.literal_eval(a) for a in call.args] for call in calls]


def stored(cell) -> list: # of markdown
    data = [o.get('data', {}) for o in cell.get('outputs', [])]
    return [''.join(d['text/markdown']) for d in data if 'text/markdown' in d]


def differences(source, cell) -> list: # of sentences
    "What a cell shows that is no longer so."
    out, have = [], stored(cell)
    for args in shown(cell):
        what = f'{args[0]}: {", ".join(args[1:]) or "its head"}'
        try:
            if source.c_markdown(*args) not in have:
                out.append(f'{what} is not what is shown' if have else f'{what} has no output stored')
        except ValueError as e:
            out.append(str(e))
    return out


def main() -> int: # exit status
    source, pieces, wrong = source_module(), 0, []
    for path in sorted((ROOT/'nbs').glob('*.ipynb')):
        for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
            pieces += len(shown(cell))
            wrong += [f'{path.name}, cell {cell["id"]}: {d}' for d in differences(source, cell)]
    print(*wrong, sep='\n', end='\n' if wrong else '')
    print(f'{pieces} times C is shown, {len(wrong)} times otherwise than it is compiled')
    return int(bool(wrong) or not pieces)


if __name__ == '__main__':
    sys.exit(main())
