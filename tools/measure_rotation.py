"""Turned tokens against tokens: errors by timestep, where they lie, which layers make them. Record of chapter 12i.

    python tools/measure_rotation.py --out nbs/records/rotation.json
"""
from copy import deepcopy

from measured_walks import Bench, arguments, relative, slopes_at
from torch.nn.functional import avg_pool2d

from tqdit.core import bits
from tqdit.methods.rotation import TurnedTokens, by_turned_tokens, turned
from tqdit.quant.fit import fit
from tqdit.quant.measured import Measured
from tqdit.quant.policy import Policy
from tqdit.quant.quantized import put
from tqdit.quant.time import TimeGroups

KINDS = 'final_layer.linear', 'qkv', 'proj', 'fc1'
LOW = 0, 10, 25, 50 # where the lowest groups of the samples begin: the last steps of a walk are looked at closely


def share(error, window): # of its energy that survives averaging, times the pixels averaged; 1 without any order
    kept = avg_pool2d(error, window)
    return (kept.square().mean()*window**2/error.square().mean()).item()


def shares(held, said): # rows; said: name -> noise
    exact, x, t = held.noise[:, :3], held.set['x'], held.set['t']
    rows, some = [], (t > 40) & (t < 850) # where there are both noise and picture to be found
    for what, eps in said.items():
        rows.append(dict(what=what, error=relative(eps, exact), **slopes_at(exact[some], eps[some], x[some], t[some]),
                         coarse8=share(eps - exact, 8), whole=share(eps - exact, exact.shape[-1])))
    return rows


def by_time(held, said): # rows, one for each image
    exact, t = held.noise[:, :3], held.set['t'].tolist()
    return [dict(t=now, **{k: relative(v[i], exact[i]) for k, v in said.items()}) for i, now in enumerate(t)]


def families(held, nets): # rows: errors at the lowest timesteps, where only one kind of layer is turned
    lowest = held.set['t'].unique()[:5].tolist()
    rows = []
    for kind in KINDS:
        net, other = deepcopy(nets['tokens']), nets['turned'].layers()
        for name in [n for n in other if n.endswith(kind)]:
            put(net.net, name, other[name])
        eps, exact, t = held.predict(net)[:, :3], held.noise[:, :3], held.set['t']
        errors = {str(now): relative(eps[t == now], exact[t == now]) for now in reversed(lowest)}
        rows.append(dict(only=kind, error=errors))
    return rows


def blocks(bench, q, depth=10): # rows: signal to noise of the outputs of fc1, by block and time group
    S, rows = bench.calibration.statistics, []
    def wide(v): return ((v.amax(1) - v.amin(1))/v.std(1)).mean().item() # range of a token over its deviation
    for name in (f'blocks.{b}.mlp.fc1' for b in range(depth)):
        layer, W = q.layers()[name], bench.model.get_submodule(name).weight.detach()
        W, all_tokens, group = W*layer.factor, (S[f'{name}.0/x'] - layer.center)/layer.factor, S[f'{name}.0/row']
        for g in (0, 4, 9):
            u = all_tokens[group == g]
            signal = ((u - u.mean(0)) @ W.T).square().sum()
            def db(error): return (10*(signal/(error @ W.T).square().sum()).log10()).item()
            rows.append(dict(layer=name, group=g, tokens=db(Measured(6)(u.clone()) - u),
                             turned=db(turned(TurnedTokens(6)(u.clone())) - u),
                             spread=wide(u), spread_turned=wide(turned(u))))
    return rows


def main():
    bench = Bench(arguments(__doc__))
    width, S = bits('W6A6'), bench.calibration.statistics
    nets = dict(static=fit(bench.model, S, Policy(6, 6, modulation=None), progress=False),
                tokens=by_turned_tokens(bench.calibration, width, False),
                turned=by_turned_tokens(bench.calibration, width))
    held = bench.held_out(max(2, bench.a.n//8), TimeGroups(LOW + tuple(range(100, 1000, 100))))
    said = {k: held.predict(net)[:, :3] for k, net in nets.items()}
    plain, walks = bench.draw(nets['tokens']), []
    for what, net in nets.items():
        walks.append(dict(what=what, **bench.beside(bench.draw(net), plain)))
    bench.save(dict(shares=shares(held, said), by_time=by_time(held, said), families=families(held, nets),
                    blocks=blocks(bench, nets['static']), walks=walks), 'measure_rotation')


if __name__ == '__main__':
    main()
