"""Mixed widths against uniform ones, on a whole calibration of the shipped model: the error of the noise along walks of
the full-precision model, and PSNR. Chapter 12g shows the record. Rows are kept in the work folder, beside the tables.

    python tools/measure_budget.py --work /tmp/budget --out nbs/records/budget.json
"""
from measured_rows import Rows, arguments, compared
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


def row_of(model, S, tables, name):
    w, a, w_bits, a_bits, per = NETWORKS[name]
    table = tables['W5A8' if a == 8 else 'W6A6'] # channels balanced for widths such as these
    uniform = Policy(w, a, modulation=None, widths=LINES.get(name, ()))
    policy = mixed_policy(table, uniform, w_bits, a_bits, per or 'values')
    q = fit(model, S, policy, progress=False)
    damage = {kind: sum(r.get('damage', 0) for r in q.report if r['what'].startswith(kind))
              for kind in ('weight', 'input')}
    return dict(network=name, average=average_bits(table, policy), widths=policy.widths, damage=damage,
                **compared(model, q))


def by_number(table): # JSON has widths as strings
    return [{**r, **{k: {int(b): d for b, d in r[k].items()} for k in 'wa'}} for r in table]


def main():
    a = arguments(__doc__)
    rows, model = Rows(a.work/'budget-rows.json', ('t', 'W6A6', 'W5A8', 'widths')), load_dit().requires_grad_(False)
    S = Calibration(model, resume=a.work/'five.tables', progress=False, **SET).statistics
    if not rows:
        rows.keep({'W6A6': damage_table(model, S, Policy(6, 6)),
                   'W5A8': damage_table(model, S, Policy(5, 8), a_widths=(8,))})
    tables = {k: by_number(v) for k, v in rows[0].items()}
    done = {row.get('network') for row in rows}
    for name in (n for n in NETWORKS if n not in done):
        rows.keep(row_of(model, S, tables, name))
    rows.record(a, 'measure_budget')


if __name__ == '__main__':
    main()
