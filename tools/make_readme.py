"""Write README.md from nbs/index.ipynb: hidden cells and `#|` lines dropped, outputs kept, images by absolute URL."""
import configparser
import re
from pathlib import Path
import nbformat
from nbconvert import MarkdownExporter

root = Path(__file__).resolve().parents[1]
cfg = configparser.ConfigParser(delimiters=['='])
cfg.read(root/'settings.ini')
cfg = cfg['DEFAULT']
raw = f"https://raw.githubusercontent.com/{cfg['user']}/{cfg['repo']}/{cfg['branch']}/nbs/"

nb = nbformat.read(root/'nbs'/'index.ipynb', as_version=4)
nb.metadata['language_info'] = {'name': 'python'}                    # so that code blocks are coloured
nb.cells = [c for c in nb.cells if not re.search(r'^#\|\s*(hide|include:\s*false)\s*$', c.source, re.M)]
for c in nb.cells:
    if c.cell_type != 'code':
        continue
    only_output = re.search(r'^#\|\s*echo:\s*false', c.source, re.M)
    c.source = re.sub(r'^#\|.*\n?', '', c.source, flags=re.M)
    if only_output:
        c.metadata['hide_input'] = True
    for o in c.outputs:                                     # a table is markdown; its plain twin would stand beside it
        if 'data' in o and 'text/markdown' in o.data:
            o.data.pop('text/plain', None)
cells = []
for c in nb.cells:
    if c.metadata.get('hide_input'):
        tables = [o.data['text/markdown'] for o in c.outputs if 'text/markdown' in o.get('data', {})]
        cells += [nbformat.v4.new_markdown_cell(''.join(t)) for t in tables]
    else:
        cells.append(c)
nb.cells = cells
text, _ = MarkdownExporter().from_notebook_node(nb)
text = re.sub(r'\]\(images/', f']({raw}images/', text)
text = re.sub(r'\]\((\w+\.ipynb)', r'](nbs/\1', text) # chapters lie beside the index, and below README
head = '<!-- made from nbs/index.ipynb by tools/make_readme.py; do not edit -->\n\n'
text = head + re.sub(r'\n{3,}', '\n\n', text).strip() + '\n'
(root/'README.md').write_text(text, encoding='utf-8')
