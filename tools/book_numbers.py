"""Where the numbers in a notebook's prose come from. python tools/book_numbers.py NOTEBOOK ... lists them all.

A number may stand in prose if the same notebook prints it in the same rounding, has it in its code as a setting, or
loads a record that holds it; or if a formula of the same paragraph's cell has it. A number of few digits, such as 0.02
or 3 %, must be printed or set within eight cells. Otherwise a comment in the same paragraph, or one that stands alone
right after it, names the source:

    <!-- source: records/table.json -->             the number must be in that record, rounded as the prose rounds
    <!-- source: 12c_fit.ipynb -->                  ... among what another notebook prints or sets
    <!-- source: settings.ini -->                   ... in any file of the repository
    <!-- source: arithmetic 24*2; 0.109 - 0.106 --> ... or be the result (or the result in percent)
    <!-- source: arXiv 2502.04056 -->               a paper, a page (https://...) or a book (doi:...)
    <!-- source: definition -->                     true by definition, or known to everyone

Nobody asks for the source of what is no statement of a quantity: bit widths (W8A8, 6-bit), references (chapter 12,
seed 0, block 4), years, versions, 0 and 1 as the ends of a range, ordinals, names (fc1, CIFAR-10), hexadecimal
numbers, formulas, code, links, and the tasks of exercises."""
import ast
import json
import re
import sys
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

REFERENCES = ('chapter|notebook|section|figure|table|equation|algorithm|appendix|exercise|question|task|solution|step|'
              'seed|block|group|region|layer|image|picture|channel|class|label|row|column|stage|part|version|Python|'
              'Apache|DiT|SiT|SD|Stable Diffusion|line|cell|code')
AND = r'(?:\s*(?:,|and|or|to|–|-|/|\.\.)\s*)'
NO_STATEMENTS = [
    r'<!--.*?-->',
    r'^(```|~~~).*?^\1', # fenced code
    r'(`+).*?\1',
    r'!?\[[^\]]*\]\([^)]*\)', # links and images
    r'https?://\S+',
    r'\$\$.*?\$\$',
    r'\$[^$]+\$', # formulas; but $7.3$ is a statement
    r'arXiv:?\s*\d{4}\.\d{4,5}|\b\d{4}\.\d{5}\b',
    r'\b0x[0-9a-fA-F]+',
    r'\d{4}-\d\d-\d\d',
    r'\b(?:19|20)\d\d\b(?![.,]\d)(?!\s*(?:%|images|samples|steps))',
    r'^\s*\d+\.\s', # a list's own numbers
    rf'(?<![\d.,])\b\d+(?:{AND}\d+)*(?:-bit\b|\s+bits?\b)',
    rf'\bbits?\s+(?:of\s+)?\d+(?:{AND}\d+)*\b(?!\.\d)',
    rf'\b(?i:{REFERENCES})(?:es|s)?\s+(?:of\s+|to\s+)?\d[\d.]*[a-z]?\b(?:{AND}\d[\d.]*[a-z]?\b)*',
    r'(?<![\d.,])[01](?![\d.,]*\d)(?!\s*%)',
    r'\b(?:0\d+|[01]{6,})\b', # codes
    r'10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+',
]
NO_STATEMENT = [re.compile(p, re.S | re.M) for p in NO_STATEMENTS]
PLAIN_NUMBER = re.compile(r'\$\s*[−-]?[\d.,]+\s*(?:\\%|\\,|~)?\s*(?:\\(?:text|mathrm)\{[^}]*\})?\$')
NUMBER = re.compile(r'(?<![\w^])(?<![A-Za-z][-/])(?<!\d\.)(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)'
                    r'(?=(?:[kMx×]|ms|MB|GB|dB|s)?(?!\w))')
SENTENCE_END = re.compile(r'(?<=[.!?])\s+|\n\s*\n|\n(?=\s*(?:[-*|]|\d+\.\s))')
MARK = re.compile(r'<!--\s*source:\s*(.*?)\s*-->', re.S)
NEAR = 8 # cells; how far away a number of few digits may stand, which is found somewhere by chance
PAPERS = ('arXiv', 'doi', 'http', 'ISBN')


class Found(NamedTuple):
    "A number of the prose."
    cell: int
    number: str
    sentence: str
    source: str # '' if there is none


def source_of(cell) -> str: return ''.join(cell['source'])


def value(text) -> float: return float(text.replace(',', ''))


def decimals(text) -> int: return len(text.partition('.')[2])


def blanked(text) -> str:
    "What states nothing, replaced by as many stars, so that places stay."
    def stars(m): return m[0] if PLAIN_NUMBER.fullmatch(m[0]) else re.sub(r'[^\n]', '*', m[0])
    for pattern in NO_STATEMENT:
        text = pattern.sub(stars, text)
    exercises = re.search(r'^#+ .*exercises?\b.*$', text, re.I | re.M)
    if exercises:
        tasks = re.compile(r'^\*{2,}.*(?:\n(?!\n|#).*)*', re.M) # each began with its number
        head, tail = text[:exercises.end()], text[exercises.end():]
        text = head + tasks.sub(stars, tail)
    return text


def statements(text) -> list: # of (number, is it a percentage, sentence, place)
    plain, out = blanked(text), []
    ends = [0, *(m.end() for m in SENTENCE_END.finditer(text)), len(text)]
    for m in NUMBER.finditer(plain):
        if not m[0]:
            continue
        start = max(e for e in ends if e <= m.start())
        stop = min(e for e in ends if e > m.start())
        percent = re.match(r'\s?\\?%| per ?cent', plain[m.end():]) is not None
        out.append((m[0], percent, ' '.join(text[start:stop].split()), m.start()))
    return out


def is_short(number, percent) -> bool:
    "So few digits, and yet no plain count, that another quantity may have them by chance?"
    return (percent or '.' in number) and len(number.replace(',', '').replace('.', '').strip('0')) < 3


def numbers_in(text) -> set: # of values
    return {value(m[0]) for m in NUMBER.finditer(text) if m[0]}


def printed(cell) -> str:
    "All the text that a code cell shows."
    out = []
    for o in cell.get('outputs', []):
        data = o.get('data', {})
        out += [''.join(o.get('text', ''))] + [''.join(data.get(k, '')) for k in ('text/markdown', 'text/plain')]
        out.append(re.sub(r'<style.*?</style>|<[^>]*>', ' ', ''.join(data.get('text/html', '')), flags=re.S))
    return re.sub(r'<Figure size [^>]*>|\x1b\[[\d;]*m', ' ', '\n'.join(out))


def calculated(node): # -> value of an expression of constants, else None
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.UnaryOp):
        v = calculated(node.operand)
        return -v if isinstance(node.op, ast.USub) and v is not None else v
    if not isinstance(node, ast.BinOp):
        return None
    left, right = calculated(node.left), calculated(node.right)
    if left is None or right is None or abs(right) > 1e6:
        return None
    ways = {ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a*b,
            ast.Div: lambda a, b: a/b, ast.FloorDiv: lambda a, b: a//b,
            ast.Pow: lambda a, b: a**b if abs(b) <= 64 else None, ast.LShift: lambda a, b: a << b if b <= 64 else None}
    try:
        return ways[type(node.op)](left, right)
    except (KeyError, ZeroDivisionError, TypeError, OverflowError):
        return None


def settings(cell) -> set: # of values
    "The numbers of a code cell: constants, what is calculated from constants, and those inside strings."
    text = '\n'.join(line for line in source_of(cell).split('\n') if not re.match(r'\s*[!%]', line))
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except SyntaxError:
        return numbers_in(text)
    found = {float(v) for v in map(calculated, nodes) if v is not None and abs(v) < 1e300}
    strings = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return found.union(*map(numbers_in, strings))


def leaves(tree) -> list: # numbers anywhere in a record, those inside strings included
    if isinstance(tree, dict):
        tree = [*tree.keys(), *tree.values()]
    if isinstance(tree, list):
        return [v for t in tree for v in leaves(t)]
    if isinstance(tree, str):
        return list(numbers_in(tree))
    return [] if tree is None or isinstance(tree, bool) else [float(tree)]


@lru_cache(None)
def record_values(path) -> tuple: return tuple(leaves(json.loads(path.read_text(encoding='utf-8'))))


@lru_cache(None)
def notebook_values(path) -> tuple: # (printed, set) values
    cells = [c for c in json.loads(path.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code']
    return set().union(*(numbers_in(printed(c)) for c in cells)), set().union(*map(settings, cells))


def same(a, b) -> bool: return abs(a - b) <= 1e-9*max(1, abs(a))


def rounds_to(values, text, percent) -> bool:
    "Is one of the values the number, in the number's own rounding?"
    d, v = decimals(text), value(text)
    return any(same(round(abs(x*f), d), v) for x in values for f in ((1, 100) if percent else (1,)))


def loaded_records(cells, root) -> list: # of paths
    "Records whose names stand in the code, whole or as a pattern."
    code = '\n'.join(source_of(c) for c in cells if c['cell_type'] == 'code')
    words = set(re.findall(r'[\w.*{}-]+', code))
    patterns = [re.sub(r'\{[^}]*\}', '*', w) for w in words if w.endswith('.json') and ('*' in w or '{' in w)]
    patterns = [w for w in patterns if w != '*.json'] # then the names stand elsewhere, without .json
    files = [*(root/'nbs/records').glob('*.json'), *(root/'tqdit').rglob('*.json')]
    return [p for p in files if p.stem in words or p.name in words or any(fnmatch(p.name, w) for w in patterns)]


def paragraphs(text) -> list: # of (start, stop, marks); a mark that stands alone speaks for what is before it
    out, start = [], 0
    for part in re.split(r'(\n\s*\n)', text):
        stop = start + len(part)
        if part.strip():
            marks = MARK.findall(part)
            if out and marks and not MARK.sub('', part).strip():
                out[-1][2].extend(marks)
            else:
                out.append((start, stop, marks))
        start = stop
    return out


def by_mark(mark, number, percent, root) -> str: # the source, '' if the number is not there
    if mark.startswith(PAPERS) or mark in ('definition', 'fact'):
        return mark
    if mark.startswith('arithmetic '):
        for expression in mark.removeprefix('arithmetic ').split(';'):
            v = calculated(ast.parse(expression.strip(), mode='eval').body)
            if v is not None and rounds_to([v], number, percent):
                return f'arithmetic {expression.strip()}'
        return ''
    path = next((p for p in (root/'nbs'/mark, root/mark) if p.is_file()), None)
    if path is None:
        return ''
    values = (record_values(path) if path.suffix == '.json' else
              set().union(*notebook_values(path)) if path.suffix == '.ipynb' else
              numbers_in(path.read_text(encoding='utf-8')))
    return mark if rounds_to(values, number, percent) else ''


def in_formulas(text) -> set: # values that formulas and code spans of a text hold
    return set().union(*(numbers_in(m[0]) for m in re.finditer(r'\$\$.*?\$\$|\$[^$\n]+\$|`[^`\n]+`', text, re.S)
                         if not PLAIN_NUMBER.fullmatch(m[0])))


def in_notebook(i, number, percent, cells, outputs, codes, records) -> str: # the source, or ''
    v, wanted = value(number), {value(number)} | ({value(number)/100} if percent else set())
    short = is_short(number, percent)
    for kind, by_cell, looked_for in (('output', outputs, {v}), ('code', codes, wanted)):
        found = [j for j, values in enumerate(by_cell) if any(same(x, w) for x in values for w in looked_for)]
        nearest = min(found, key=lambda j: abs(j - i), default=None)
        if found and not (short and abs(nearest - i) > NEAR):
            return f'{kind} of cell {nearest}'
    for path in records: # a whole number must be there as it is: too many numbers round to it
        values = record_values(path)
        if any(same(x, v) for x in values) and not short:
            return f'record {path.name}'
        if '.' in number and not short and rounds_to(values, number, percent):
            return f'record {path.name}'
    return ''


def numbers(path, root) -> list: # of Found
    "Every number in the prose of a notebook, with its source."
    cells, out = json.loads(Path(path).read_text(encoding='utf-8'))['cells'], []
    code = [c['cell_type'] == 'code' for c in cells]
    outputs = [numbers_in(printed(c)) if k else set() for c, k in zip(cells, code)]
    codes = [settings(c) if k else set() for c, k in zip(cells, code)]
    records = loaded_records(cells, root)
    for i, cell in enumerate(cells):
        if cell['cell_type'] != 'markdown':
            continue
        text = source_of(cell)
        blocks = paragraphs(text)
        for number, percent, sentence, place in statements(text):
            inside = 'a formula beside it' if any(same(x, value(number)) for x in in_formulas(text)) else ''
            marks = next((m for start, stop, m in blocks if start <= place < stop), [])
            given = (by_mark(m, number, percent, root) for m in marks)
            source = in_notebook(i, number, percent, cells, outputs, codes, records)
            source = source or inside or next(filter(None, given), '')
            out.append(Found(i, number + (' %' if percent else ''), MARK.sub('', sentence), source))
    return out


def told(found) -> str: # a line
    return f'  [{found.cell}] {found.number:>8}  {found.source or "NO SOURCE":28} {found.sentence[:150]}'


if __name__ == '__main__':
    for name in sys.argv[1:]:
        here = Path(name).resolve()
        print(here.name, *map(told, numbers(here, here.parent.parent)), sep='\n')
