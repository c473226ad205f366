"""Slopes of the noise by timestep, and images after each rule of correction: the record of chapter 12h.

    python tools/measure_moments.py --out nbs/records/moments.json
"""
from measured_walks import Bench, arguments, slopes_at

from tqdit.core import bits
from tqdit.quant.collect import Calibration
from tqdit.quant.fit import fit
from tqdit.quant.moments import add_moments
from tqdit.quant.policy import Policy

WIDTHS = 'W6A6', 'W4A8', 'W4A4'
RULES = 'squares', 'deviation', 'slope', 'both'


def by_time(q, looked_at): # rows; looked_at: kind -> calibration
    rows = []
    for kind, cal in looked_at.items():
        (x, t, _), eps, eps_hat = (cal.set[k] for k in 'xty'), cal.noise[:, :3], cal.predict(q)[:, :3]
        for now in t.unique().tolist():
            mine = t == now
            if mine.sum() > 1: # standard errors need more than one
                found = slopes_at(eps[mine], eps_hat[mine], x[mine], t[mine])
                rows.append(dict(t=now, kind=kind, samples=int(mine.sum()), **found))
    return rows


def walks(bench, q, spread): # rows, one for each rule
    plain = bench.draw(q)
    rows = [dict(rule='none', **bench.beside(plain, plain))]
    for rule, cal, what in [*((r, bench.calibration, r) for r in RULES), ('both', spread, 'both, t spread')]:
        other = q.twin()
        add_moments(other, cal, rule, most=None)
        rows.append(dict(rule=what, **bench.beside(bench.draw(other), plain)))
    return rows


def main():
    bench = Bench(arguments(__doc__))
    spread = Calibration(bench.model, bench.a.n, progress=False, spread=min(5, bench.a.n//2)) # timesteps all over
    looked_at = {'calibration': bench.calibration, 'held out': bench.held_out(max(2, bench.a.n//2))}
    results = dict(by_time={}, walks={})
    for width in WIDTHS:
        q = fit(bench.model, bench.calibration.statistics, Policy(*bits(width), modulation=None), progress=False)
        results['by_time'][width] = by_time(q, looked_at)
        results['walks'][width] = walks(bench, q, spread)
        bench.save(results, 'measure_moments')


if __name__ == '__main__':
    main()
