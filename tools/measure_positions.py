"""Scales over positions on held-out samples, layer by layer, and on images: the record of chapter 12j.

    python tools/measure_positions.py --out nbs/records/positions.json
"""
from measured_walks import Bench, arguments, relative

from tqdit.models.anatomy import facts_of
from tqdit.quant.fit import fit
from tqdit.quant.measured import Measured
from tqdit.quant.policy import Policy
from tqdit.quant.positions import (CARES, Care, add_positions, careful_range, held_out_damage, look_at_positions,
                                   positioned, shared_extremes, token_grid)


def measured_gain(seen): # dB that ranges of each token gain over the fitted ones
    layer, (u, *_) = seen.layer, seen.held()
    weight = layer.weight_hat().square().sum(0)
    damage = ((Measured(layer.inputs[0].bits)(u.clone()) - u).square()*weight).sum()
    return (10*(held_out_damage(seen, [], 1.)[0]/damage).log10()).item()


def gains(seen, facts): # of one layer, in dB over the fitted scale of each group, on the half that is held out
    lo, hi = seen.extremes() # (2, G, N)
    grid = token_grid(lo.shape[-1], facts)
    def db(ranges, clip):
        damage = held_out_damage(seen, ranges, clip)
        return (10*(damage[0]/damage[1:]).log10()).tolist()
    def shared(share): return shared_extremes(lo, hi, grid, share)
    row, (near_lo, near_hi) = {}, shared(3)
    group = [careful_range(lo[0], hi[0], Care(1., c.margin)) for c in CARES if c.shrink == 0]
    table = [careful_range(near_lo[0], near_hi[0], c) for c in CARES]
    for clip in (1., 50.):
        row[f'tensor, clip {clip:.0f}'] = max(db(group, clip))
        row[f'positions, clip {clip:.0f}'] = max(db(table, clip))
    for share in (1, 3):
        low, high = shared(share)
        row[f'in sample, share {share}'] = db([(low[1], high[1])], 1.)[0]
        row[f'held out, share {share}'] = db([(low[0], high[0])], 1.)[0]
        row[f'held out, share {share}, clip 50'] = db([(low[0], high[0])], 50.)[0]
    return dict(row, token=measured_gain(seen))


def main():
    bench = Bench(arguments(__doc__))
    q = fit(bench.model, bench.calibration.statistics, Policy(6, 6, modulation=None), progress=False)
    names = [n for n in positioned(q) if n.endswith('fc1') or n == 'final_layer.linear']
    facts, seen = facts_of(bench.model), look_at_positions(q, bench.calibration, names)
    layers = [dict(layer=n, **gains(seen[n], facts)) for n in names]
    held, plain = bench.held_out(max(2, bench.a.n//8)), bench.draw(q)
    def walk(what, x): return dict(what=what, error=relative(held.predict(q)[:, :3], held.noise[:, :3]),
                                   **bench.beside(x, plain))
    rows = [walk('a scale for each time group', plain)]
    add_positions(q, bench.calibration)
    rows.append(walk('positions, shared in 3 x 3', bench.draw(q)))
    report = [{k: r[k] for k in ('layer', 'choice', 'left')} for r in q.report if r['what'] == 'positions']
    bench.save(dict(layers=layers, walks=rows, report=report), 'measure_positions')


if __name__ == '__main__':
    main()
