"""Do the marked cells still print what the book shows? python tools/check_stable.py [NOTEBOOK ...]

A cell whose text is the same on every machine says so by `#| stable` among its first lines. The notebooks that have
such cells are run up to the last of them, each in an empty folder and two at a time, and the text of the marked cells
is compared with what is stored."""
import argparse
import difflib
import os
import re
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
QUIET = ['--IPKernelApp.log_level=ERROR'] # it warns of connections without encryption; ours stay on this machine


def is_marked(cell) -> bool:
    head = re.match(r'(?:#\|.*\n)*', cell.source)[0]
    return cell.cell_type == 'code' and re.search(r'^#\| *stable *$', head, re.M) is not None


def text_of(cell) -> list: # the lines that it shows; a stream may come in pieces, cut anywhere
    text = ''
    for o in cell.get('outputs', []):
        data = o.get('data', {})
        shown = '' if 'image/png' in data else data.get('text/markdown') or data.get('text/plain') or ''
        text += o['text'] if 'text' in o else f'\n{shown}\n'
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def differences(path, folder) -> tuple: # how many cells are marked, and complaints
    nb = nbformat.read(path, as_version=4)
    marked = [i for i, c in enumerate(nb.cells) if is_marked(c)]
    stored = {i: text_of(nb.cells[i]) for i in marked}
    silent = [f'{path.name}: cell {i} is marked and shows no text' for i in marked if not stored[i]]
    if not marked:
        return 0, []
    nb.cells = nb.cells[:marked[-1] + 1]
    try:
        NotebookClient(nb, timeout=900, kernel_name='python3', extra_arguments=QUIET,
                       resources={'metadata': {'path': folder}}).execute()
    except CellExecutionError as e:
        return len(marked), [f'{path.name}: {str(e)[-2000:]}']
    out = []
    for i in marked:
        new = text_of(nb.cells[i])
        if new != stored[i]:
            lines = difflib.unified_diff(stored[i], new, 'stored', 'now', lineterm='', n=0)
            out.append('\n'.join([f'{path.name}: cell {i} prints something else now', *lines]))
    return len(marked), silent + out


def main() -> int: # exit status
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('notebooks', nargs='*', type=Path, help='by default all that have marks')
    a = p.parse_args()
    os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    cells, wrong = 0, []
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(2) as pool:
        paths = a.notebooks or sorted((ROOT/'nbs').glob('*.ipynb'))
        for n, said in pool.map(partial(differences, folder=folder), paths):
            cells, wrong = cells + n, wrong + said
    print(*wrong, f'{cells} marked cells, {len(wrong)} print something else', sep='\n')
    return int(bool(wrong) or not cells)


if __name__ == '__main__':
    sys.exit(main())
