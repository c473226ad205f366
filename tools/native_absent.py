"""An install without the C library, with no compiler in reach: does it say why, do the engines of torch serve?"""
import torch
import tqdit as tq
from tqdit.integer.convert import to_int8
from tqdit.integer.native.build import LIBRARY
from tqdit.quant.collect import calibration_set, collect
from tqdit.quant.fit import fit
from tqdit.quant.time import TimeGroups

assert not LIBRARY.exists(), f'{LIBRARY} is there: this check is for an install without it'
native = next(e for e in tq.engines() if e['name'] == 'native')
print(f"native: {native['why']}")
assert not native['runs'] and 'compiler' in native['why'] and '\n' not in native['why']

# The shipped model, calibrated in a hurry.
dit, groups = tq.load(), TimeGroups.even(2)
images = calibration_set(dit, groups, samples=2, per=1)
statistics = collect(dit, images, groups, progress=False)
simulated = fit(dit, statistics, tq.Policy(8, 8, groups=2, modulation=8, weights='minmax'), progress=False)

net = to_int8(simulated, 'auto')
print(net.engine_report)
assert net.engine.name != 'native'
batch = [images[k][:2] for k in 'xty']
with torch.no_grad():
    assert net(*batch).equal(simulated(*batch)), 'the integers and the simulation differ'
print('an evaluation, equal to the simulation to the bit')
