"""Mixed widths against uniform ones, on a whole calibration of the shipped model: the error of the noise along walks of
the full-precision model, and PSNR. Chapter 12g shows the record. Rows are kept in the work folder, beside the tables.

    python tools/measure_budget.py --work /tmp/budget --out nbs/records/budget.json
"""
import argparse
import json
import time
from pathlib import Path
import torch
from tqdit.core import psnr, save_record
from tqdit.diffusion import guided, sample
from tqdit.models.checkpoint import load_dit
from tqdit.quant.budget import average_bits, damage_table, mixed_policy
from tqdit.quant.collect import Calibration
from tqdit.quant.fit import fit
from tqdit.quant.policy import Policy

SET = dict(spread=5, seed=1_000_000, samples=32)
NETWORKS = { # name -> widths of the policy, average bits of a weight and of an input, and what that counts
    'W6A6': (6, 6, None, None, ''), 'last layer W8A8': (6, 6, None, None, ''),
    'two layers W8A8': (6, 6, None, None, ''),
    'W6A6 mixed': (6, 6, 6., 6., 'values'), 'W6A6 by layers': (6, 6, 6., 6., 'layers'),
    'W5A8': (5, 8, None, None, ''), 'W6A8': (6, 8, None, None, ''), 'W5A8 mixed': (5, 8, 5., None, 'values'),
    'W4A8': (4, 8, None, None, ''), 'W4A8 mixed': (4, 8, 4., None, 'values')}
LINES = {'last layer W8A8': ((r'final_layer\.linear', 8, 8),), # uniform otherwise
         'two layers W8A8': ((r'final_layer\.linear|blocks\.1\.mlp\.fc1', 8, 8),)}
LABELS, STEPS, SEED = torch.arange(8) + 1, 10, 4321


@torch.no_grad()
def rows_of(model, S, tables, networks):
    path = []
    exact = sample(model, LABELS, STEPS, seed=SEED, callback=lambda i, t, x, out: path.append((t, x, out[:, :3])),
                   progress=False)
    for name in networks:
        w, a, w_bits, a_bits, per = NETWORKS[name]
        table = tables['W5A8' if a == 8 else 'W6A6'] # channels balanced for widths such as these
        policy = mixed_policy(table, Policy(w, a, widths=LINES.get(name, ())), w_bits, a_bits, per or 'values')
        q = fit(model, S, policy, progress=False)
        net, errors = guided(q, 1.5), []
        for t, x, out in path:
            other = net(x, torch.full((len(x),), t), LABELS)[:, :3]
            errors.append(((other - out).square().mean()/out.square().mean()).item())
        distance = psnr(sample(q, LABELS, STEPS, seed=SEED, progress=False), exact)
        damage = {kind: sum(r.get('damage', 0) for r in q.report if r['what'].startswith(kind))
                  for kind in ('weight', 'input')}
        yield dict(network=name, average=average_bits(table, policy), widths=policy.widths, damage=damage,
                   t=[t for t, *_ in path], error=errors, psnr=distance.tolist())


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, required=True, help='folder for tables and rows')
    p.add_argument('--out', type=Path, required=True, help='the record')
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    model, start, kept = load_dit().requires_grad_(False), time.time(), a.work/'budget-rows.json'
    S = Calibration(model, resume=a.work/'five.tables', progress=False, **SET).statistics
    rows = json.loads(kept.read_text()) if kept.is_file() else []
    def keep(row):
        rows.append(row)
        kept.write_text(json.dumps(rows))
        print({k: v for k, v in row.items() if k not in ('t', 'W6A6', 'W5A8', 'widths')}, flush=True)
    if not rows:
        keep({'W6A6': damage_table(model, S, Policy(6, 6)),
              'W5A8': damage_table(model, S, Policy(5, 8), a_widths=(8,))})
    def by_number(table): # JSON has widths as strings
        return [{**r, **{k: {int(b): d for b, d in r[k].items()} for k in 'wa'}} for r in table]
    tables = {k: by_number(v) for k, v in rows[0].items()}
    done = {row.get('network') for row in rows}
    for row in rows_of(model, S, tables, [n for n in NETWORKS if n not in done]):
        keep(row)
    save_record(a.out, rows, seed=SEED, samples=len(LABELS), seconds=time.time() - start, device='cpu',
                command=f'python tools/measure_budget.py --work {a.work} --out {a.out}')

if __name__ == '__main__':
    main()
