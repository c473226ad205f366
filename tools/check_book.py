"""Does the book keep its promises? python tools/check_book.py [--list] [NOTEBOOK ...]

1. Rhythm: no visible cell of more than 20 lines, half of them of at most 6, at least 55 % show something, and every
   chapter from 06 to 12 has an image.
2. Every number in prose has a source (tools/book_numbers.py says which count; --list shows all of them).
3. Links, anchors, images and names of the package exist; the sidebar has every notebook once.
4. No notebook opens a file by a path that holds in one working folder only.

All chapters must hold all of it."""
import argparse
import ast
import json
import re
import statistics
import sys
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote
from book_numbers import numbers, source_of, told

ROOT = next((p for p in (Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents)
             if (p/'nbs/sidebar.yml').is_file()), None)
OTHERS_READ = ('README.md', 'CONTRIBUTING.md') # checked for links, too


def cells_of(path) -> list: return json.loads(path.read_text(encoding='utf-8'))['cells']


def is_visible(cell) -> bool: # code that a reader sees without unfolding it
    hidden = r'^#\|\s*(hide|default_exp|code-fold: *true|echo: *false|include: *false)'
    text = source_of(cell)
    return cell['cell_type'] == 'code' and bool(text.strip()) and not re.search(hidden, text, re.M)


def lines_of(cell) -> int:
    return sum(bool(line.strip()) and not line.startswith('#|') for line in source_of(cell).split('\n'))


def rhythm(path) -> list: # of complaints
    cells, out = cells_of(path), []
    rows = [(i, lines_of(c), bool(c.get('outputs'))) for i, c in enumerate(cells) if is_visible(c)]
    if not rows:
        return out
    long = [f'[{i}] {n}' for i, n, _ in rows if n > 20]
    median, shows = statistics.median(n for _, n, _ in rows), sum(s for *_, s in rows)/len(rows)
    pictures = sum('image/png' in o.get('data', {}) for c in cells for o in c.get('outputs', []))
    pictures += sum('![' in source_of(c) for c in cells if c['cell_type'] == 'markdown')
    if long:
        out.append(f'cells of more than 20 lines: {", ".join(long)}')
    if median > 6 and len(rows) > 2:
        out.append(f'half of the visible code cells have more than {median:g} lines, where 6 are wanted')
    if shows < .55:
        out.append(f'{shows:.0%} of the visible code cells show something, where 55% are wanted')
    if '06' <= path.name[:2] <= '12' and not pictures:
        out.append('no image')
    return out


def slugs(path) -> set: # anchors of a notebook's headings, as the site makes them
    found = set()
    for cell in cells_of(path):
        for line in source_of(cell).split('\n') if cell['cell_type'] == 'markdown' else []:
            if m := re.match(r'#{1,6} +(.*?)(?:\s*\{#([\w-]+)[^}]*\})?\s*$', line):
                words = re.sub(r'[`*_$]|\]\([^)]*\)|\[', '', m[1]).lower()
                words = re.sub(r'[^\w\s.-]', '', words).strip()
                found |= {m[2] or re.sub(r'^[^a-z]+', '', re.sub(r'\s+', '-', words))}
    return found


def text_of(path) -> list: # of (place, markdown, does it stand without code)
    if path.suffix == '.md':
        return [('', path.read_text(encoding='utf-8'))]
    shown = [(f'[{i}]', source_of(c)) for i, c in enumerate(cells_of(path)) if c['cell_type'] == 'markdown']
    return shown + [(f'[{i}]', ''.join(o['data']['text/markdown'])) for i, c in enumerate(cells_of(path))
                    for o in c.get('outputs', []) if 'text/markdown' in o.get('data', {})]


def broken_link(path, target) -> str: # what is wrong, '' if nothing
    own = re.match(r'https://(?:colab\.research\.google\.com/github|github\.com)/tqdit/tqdit/blob/main/(.*)', target)
    if re.match(r'[a-z]+:', target) and not own:
        return ''
    name, _, anchor = (own[1] if own else unquote(target)).partition('#')
    to = path if not name else (ROOT/name if own else path.parent/name)
    if not to.exists():
        return f'{target}: no such file'
    if anchor and to.suffix == '.ipynb' and anchor not in slugs(to):
        return f'{target}: no heading of that name'
    return ''


def links(path) -> list: # of complaints
    out = []
    for place, text in text_of(path):
        prose = re.sub(r'^```.*?^```|(`+).*?\1', '', text, flags=re.S | re.M)
        targets = re.findall(r'\]\(\s*([^)\s]+)', prose) + re.findall(r'(?:src|href)="([^"]+)"', prose)
        out += [f'{place} {b}' for b in (broken_link(path, t) for t in targets) if b]
        for name in re.findall(r'`[^`]*?(?<![/\w.])((?:tqdit|tq)(?:\.[A-Za-z_]\w*)+)', text):
            if not is_known(name):
                out.append(f'{place} `{name}`: no such name in the package')
    return out


def names_in(body) -> dict: # name -> names inside it
    out = {}
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            out[node.name] = names_in(node.body) if isinstance(node, ast.ClassDef) else {}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            out |= {n.id: {} for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
            out |= {k.arg: {} for k in ast.walk(node) if isinstance(k, ast.keyword) and k.arg} # tqdit's own front
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            out |= {(a.asname or a.name): {} for a in node.names}
        elif isinstance(node, (ast.If, ast.Try)):
            out |= names_in(node.body)
    return out


@lru_cache(None)
def module_names(file) -> dict: return names_in(ast.parse(file.read_text(encoding='utf-8')).body)


def is_known(name) -> bool: # a dotted name that begins with tqdit, or tq for short
    place, parts = ROOT/'tqdit', name.split('.')[1:]
    if parts[-1] in ('json', 'safetensors', 'png', 'onnx', 'pt', 'com'): # a file
        return True
    while parts and ((place/parts[0]).is_dir() or (place/f'{parts[0]}.py').is_file()):
        place = place/parts.pop(0)
    file = place/'__init__.py' if place.is_dir() else place.with_suffix('.py')
    inside = module_names(file) if file.is_file() else {}
    for part in parts[:2]:
        if part not in inside:
            return False
        inside = inside[part]
        if not inside:
            break
    return True


def site() -> list: # of complaints about the lists of the site
    out, sidebar = [], (ROOT/'nbs/sidebar.yml').read_text(encoding='utf-8')
    listed, there = re.findall(r'[\w-]+\.ipynb', sidebar), {p.name for p in (ROOT/'nbs').glob('*.ipynb')}
    out += [f'sidebar.yml: {n} is listed {listed.count(n)} times' for n in sorted(there) if listed.count(n) != 1]
    out += [f'sidebar.yml: {n} does not exist' for n in sorted(set(listed) - there)]
    told = (ROOT/'nbs/_quarto.yml').read_text(encoding='utf-8')
    files = re.findall(r'[\w/-]+\.(?:yml|css|scss|ipynb|qmd|png|svg)\b', told)
    return out + [f'_quarto.yml: {f} does not exist' for f in files if not (ROOT/'nbs'/f).is_file()]


def paths(path) -> list: # of complaints
    "Strings in the code that name a file beside the notebook, and are not handed to load_record or book_file."
    out = []
    for i, cell in enumerate(cells_of(path)):
        text = '\n'.join(line for line in source_of(cell).split('\n') if not re.match(r'\s*[!%]', line))
        if cell['cell_type'] != 'code' or not re.search(r"['\"](?:\.\./|records|files/|images/)", text):
            continue
        tree = ast.parse(text)
        found = {id(n) for call in ast.walk(tree) if isinstance(call, ast.Call)
                 and getattr(call.func, 'id', '') in ('load_record', 'book_file', 'Results')
                 for a in call.args for n in ast.walk(a)}
        excused = {id(n) for n in docstrings_and_texts(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in found | excused:
                local = re.match(r'(?:\.\./\w|(?:records|files|images)(?:/|$))', node.value) and '\n' not in node.value
                if local and node.value != 'images' and (ROOT/'nbs'/node.value).exists():
                    out.append(f'[{i}] line {node.lineno}: {node.value!r} is looked for in the working folder alone; '
                               'use tqdit.core.book_file')
    return out


def docstrings_and_texts(tree) -> list: # strings that are read by people, not opened
    shown = [a for c in ast.walk(tree) if isinstance(c, ast.Call) and getattr(c.func, 'id', '') in ('print', 'Markdown')
             for a in c.args]
    return [n for a in shown for n in ast.walk(a)]


def chosen(given) -> list: # of notebooks
    return [Path(n).resolve() for n in given] or sorted((ROOT/'nbs').glob('*.ipynb'))


def main() -> int: # exit status
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('notebooks', nargs='*', help='by default all')
    p.add_argument('--list', action='store_true', help='every number, its sentence and its source')
    a = p.parse_args()
    failed, counted = 0, 0
    for path in chosen(a.notebooks):
        found = numbers(path, ROOT)
        orphans = [told(f).strip() for f in found if not f.source]
        faults = rhythm(path) + links(path) + paths(path) + orphans
        counted, failed = counted + len(found), failed + len(faults)
        if faults or a.list:
            print(path.name, *(f'  {line}' for line in faults), *(map(told, found) if a.list else ()), sep='\n')
    rest = [] if a.notebooks else site() + [f'{n} {c}' for n in OTHERS_READ for c in links(ROOT/n)]
    print(*rest, sep='\n', end='\n' if rest else '')
    failed += len(rest)
    print(f'{counted} numbers in prose; {failed} faults')
    return int(bool(failed))


if __name__ == '__main__':
    sys.exit(main())
