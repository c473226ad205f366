"""Seconds that each preset of `Policy` takes to calibrate a model: the tables, which all share, and fitting on them.

    python tools/measure_presets.py --out nbs/records/calibrate-presets.json
    python tools/measure_presets.py --model DiT-XL/2 --device cuda --out nbs/records/calibrate-presets-xl.json
An official name stands for that network in full size with random weights. Each record is kept as it grows.
"""
import argparse
import time
import torch
from tqdit.core import best_device, check_output, save_record
from tqdit.models.checkpoint import load_dit
from tqdit.models.dit import DiT, dit_config, fill_zeros, init_weights
from tqdit.quant.collect import Calibration
from tqdit.quant.budget import fit_policy
from tqdit.quant.policy import Policy

FLOATS = dict(modulation=None) # of the modulations, as they were when the records were made
PRESETS = dict(default=(Policy, 6, 6, FLOATS), static=(Policy.static, 6, 6, {}), average=(Policy.average, 6, 6, FLOATS),
               token=(Policy.token, 6, 6, {}), four=(Policy.four, 4, 4, {}), paper=(Policy.paper, 6, 6, {}))


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--out', required=True, help='the JSON record to write')
    p.add_argument('--model', default='tqdit-cifar10', help='a checkpoint, or an official name')
    p.add_argument('--presets', nargs='+', choices=list(PRESETS), default=list(PRESETS))
    p.add_argument('--device', default=best_device())
    p.add_argument('--threads', type=int, help='of the processor')
    return p


def model_of(name, device): # an official name: random weights of its shapes, none of them zero
    if not name.startswith('DiT-'):
        return load_dit(name, device=device)
    torch.manual_seed(0)
    with torch.device(device):
        model = init_weights(DiT(dit_config(name)))
    return fill_zeros(model).eval()


def seconds(device, work): # of what it does, and its result
    def wait():
        if torch.device(device).type == 'cuda':
            torch.cuda.synchronize()
    wait()
    start = time.time()
    result = work()
    wait()
    return round(time.time() - start, 1), result


def row_of(calibration, device, name, calibrated):
    make, w, a, fields = PRESETS[name]
    fitted, q = seconds(device, lambda: fit_policy(calibration, make(w, a, **fields), progress=False))
    return dict(policy=name, width=q.policy.name, calibration_s=calibrated, fit_s=fitted,
                total_s=round(calibrated + fitted, 1))


def main():
    a, began = arguments().parse_args(), time.time()
    out, rows = check_output(a.out), []
    torch.set_float32_matmul_precision('high')
    if a.threads:
        torch.set_num_threads(a.threads)
    calibration = Calibration(model_of(a.model, a.device), progress=False)
    calibrated, _ = seconds(a.device, lambda: calibration.statistics)
    for name in a.presets:
        rows.append(dict(model=a.model, **row_of(calibration, a.device, name, calibrated)))
        print(rows[-1], flush=True)
        save_record(out, rows, seed=1_000_000, samples=320, device=a.device, seconds=time.time() - began)


if __name__ == '__main__':
    main()
