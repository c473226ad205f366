"""Fréchet distance of W6A6 with mixed widths, six bits on average: images drawn by integers on the CPU.

Judged by the classifier, to be compared with the runs of 1,500 images, seed 0, in nbs/records/table-1500.json. On two
cores it takes a quarter of an hour; an interrupted run goes on from its folder.
    python tools/measure_mixed.py --work /tmp/mixed --out nbs/records/mixed-1500.json
"""
import argparse
import time
from pathlib import Path
import torch
import tqdit as tq
from tqdit.core import save_record
from tqdit.integer.convert import to_int8
from tqdit.judge.draw import tally_model
from tqdit.judge.features import Features
from tqdit.judge.metrics import measure
from tqdit.judge.tally import Reference
from tqdit.quant.budget import average_bits, damage_table, mixed_policy
from tqdit.quant.collect import Calibration
from tqdit.quant.fit import fit_calibrated
from tqdit.quant.policy import Policy


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, required=True, help='folder for what is unfinished')
    p.add_argument('--out', type=Path, required=True, help='the record')
    p.add_argument('--samples', type=int, default=1500)
    a = p.parse_args()
    began = time.time()
    dit = tq.load().requires_grad_(False)
    calibration = Calibration(dit, samples=32)
    table = damage_table(dit, calibration.statistics, Policy(6, 6))
    policy = mixed_policy(table, Policy(6, 6, modulation=None), 6, 6)
    net = to_int8(fit_calibrated(calibration, policy))
    tally = tally_model(net, Features(), a.samples, steps=50, guidance=1.5, seed=0, batch_size=50, resume=a.work)
    found = measure(tally, Reference.load(), ['fd'], torch.arange(a.samples) % 10)
    w_bits, a_bits = average_bits(table, policy)
    row = dict(method='W6A6 mixed', w_bits=round(w_bits, 3), a_bits=round(a_bits, 3), engine=net.engine_report, **found)
    save_record(a.out, [row], seed=0, samples=a.samples, seconds=time.time() - began, device='cpu')


if __name__ == '__main__':
    main()
