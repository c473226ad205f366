"""Equal time groups against searched ones, and timesteps that are spread: damage on samples that were not used for
fitting, and the error of the noise along walks of the full-precision model. Chapter 9b shows the record.

Tables and rows are kept in the work folder; what is there is not computed again.
    python tools/measure_groups.py --work /tmp/groups --out nbs/records/grouping.json
"""
from measured_rows import Rows, arguments, compared
from tqdit.models.anatomy import anatomy_of
from tqdit.models.checkpoint import load_dit
from tqdit.quant.collect import Calibration
from tqdit.quant.fit import fit, fit_factor, input_tables, share_of_samples
from tqdit.quant.grouping import best_groups, damage_of, segment_tables
from tqdit.quant.policy import Policy
from tqdit.quant.search import expected_damage, fit_input
from tqdit.quant.time import TimeGroups

SETS = dict(five=dict(spread=5, seed=1_000_000, samples=32), held=dict(spread=5, seed=77, samples=10),
            plain=dict(spread=0, seed=1_000_000, samples=32))
NETWORKS = { # name -> tables, fields of a policy at W6A6
    'even10': ('five', dict(groups=10)), 'searched10': ('five', dict(groups=10, grouping='searched')),
    'even2': ('five', dict(groups=2)), 'searched2': ('five', dict(groups=2, grouping='searched')),
    'plain10': ('plain', dict(groups=10)), 'searched5': ('five', dict(groups=5, grouping='searched'))}


class Inputs:
    "The inputs of a network's layers, balanced as W6A6 would have them, in tables that decide and others that judge."
    def __init__(self, model, S, held):
        self.S, self.held, self.factors, self.points = S, held, {}, []
        for part in (p for p in anatomy_of(model).parts(model) if p.roles):
            if part.kind == 'linear' and part.steering is not None:
                W = model.get_submodule(part.name).weight.detach()
                self.factors[f'{part.name}.0'] = fit_factor(W, S, part.name, Policy(6, 6))[:2]
            self.points += [(f'{part.name}.{i}', role) for i, role in enumerate(part.roles)]

    def tables(self, S, point, groups): # weights, centres, extremes
        h, _, c, lo, hi = input_tables(S, point, groups, *self.factors.get(point, ()))
        return h, c, lo, hi

    def segments(self, bits): # name -> (F, F)
        even, found = [a for a, _ in self.S.spans(10)], {}
        for point, role in self.points:
            (h, *tables), clip = self.tables(self.S, point, self.S.groups), Policy(8, bits).clip
            kinds = segment_tables(h*share_of_samples(self.S, point), *tables, bits, 'fisher', role, clip)
            found[point] = min(kinds, key=lambda seg: damage_of(seg, even))
        return found

    def damages(self, bits, groups): # groups by point -> damage on what was used for fitting, and on what was not
        fitted = unseen = 0
        for point, role in self.points:
            g, clip = groups[point], Policy(8, bits).clip
            quantizers, damage = fit_input(*self.tables(self.S, point, g), bits, 'fisher', role, clip)
            h, c, *_ = self.tables(self.held, point, g)
            fitted += damage.sum().item()
            unseen += expected_damage(h, c, quantizers).sum().item()
        return dict(fitted=fitted, unseen=unseen)


def damage_rows(model, S, held, widths=(6, 4), counts=(1, 2, 5, 10)):
    inputs = Inputs(model, S, held)
    for bits in widths:
        segs = inputs.segments(bits)
        total = sum(segs.values())
        def groups(seg, G): return TimeGroups([S.groups.starts[a] for a in best_groups(seg, G)])
        for G in counts:
            one, even = groups(total, G), TimeGroups.even(G)
            ways = dict(even={p: even for p in segs}, searched={p: one for p in segs},
                        own={p: groups(seg, G) for p, seg in segs.items()})
            for way, by_point in ways.items():
                yield dict(bits=bits, G=G, way=way, starts=one.starts if way == 'searched' else None,
                           **inputs.damages(bits, by_point))
        yield dict(bits=bits, G=len(total), way='by time', damage=total.diagonal().tolist())


def error_row(model, load, name):
    tables, fields = NETWORKS[name]
    q = fit(model, load(tables), Policy(6, 6, modulation=None, **fields), progress=False)
    return dict(network=name, tables=tables, **fields, starts=q.clock.groups.starts, **compared(model, q))


def main():
    a = arguments(__doc__)
    rows, model = Rows(a.work/'rows.json', ('t', 'error', 'damage')), load_dit().requires_grad_(False)
    def load(name):
        return Calibration(model, resume=a.work/f'{name}.tables', progress=False, **SETS[name]).statistics
    if not any('unseen' in row for row in rows):
        for row in list(damage_rows(model, load('five'), load('held'))):
            rows.keep(row)
    done = {row.get('network') for row in rows}
    for name in (n for n in NETWORKS if n not in done):
        rows.keep(error_row(model, load, name))
    rows.record(a, 'measure_groups')


if __name__ == '__main__':
    main()
