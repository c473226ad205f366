"""Do compiled blocks with half precision compute what plain ones do? For every method, in batches as large as drawn.

    python tools/check_compiled.py --out FILE [--widths W8A8 W4A4] [--methods TITLE …] [--policies NAME …]
        [--batch 500] [--n 32] [--share 1/1] [--device cuda]

Each row has the relative squared errors against full precision of plain and of compiled blocks (the latter called
again, after other images), and whether the compiled ones gave the same bits for the same images.
"""
import argparse
import time

import torch
from measured_walks import relative

from tqdit.core import NoiseStream, best_device, check_output, matmul_precision, save_record
from tqdit.diffusion import guided
from tqdit.judge.draw import compiled, repeatable
from tqdit.lab.table import METHODS, asked_rows, preset
from tqdit.methods.registry import run_method
from tqdit.models.checkpoint import load_dit
from tqdit.quant.collect import Calibration


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--out', required=True)
    p.add_argument('--checkpoint', default='tqdit-cifar10')
    p.add_argument('--methods', nargs='*', help='by default all')
    p.add_argument('--policies', nargs='*', default=[])
    p.add_argument('--widths', nargs='+', default=['W8A8', 'W4A4'])
    p.add_argument('--batch', type=int, default=500)
    p.add_argument('--n', type=int, default=32, help='calibration samples in each group')
    p.add_argument('--share', default='1/1', metavar='i/n')
    p.add_argument('--device', default=best_device())
    return p.parse_args()


@torch.no_grad()
def evaluation(net, batch, device): # of guided noise in the middle of time, (B, C or 2C, H, W)
    ids = torch.arange(batch)
    x = NoiseStream(0, ids, device)(3, 32, 32)
    return guided(net)(x, torch.full((batch,), 500, device=device), (ids % 10).to(device)).float()


def compared(name, width, calibration, full, batch, device): # -> a row
    q = run_method(name, calibration, width)
    kind = torch.device(device).type
    with torch.autocast(kind, torch.float16 if kind == 'cuda' else torch.bfloat16):
        plain = relative(evaluation(q, batch, device), full)
        with compiled(q):
            repeats = repeatable(q, batch)
            fast = relative(evaluation(q, batch, device), full)
    return dict(method=METHODS[name].title, w_bits=width.w, a_bits=width.a, plain=plain, compiled=fast,
                repeats=repeats)


def main():
    a, began, rows = arguments(), time.time(), []
    i, n = (int(v) for v in a.share.split('/'))
    names = [*(METHODS if a.methods is None else a.methods), *(preset(p) for p in a.policies)]
    todo, out = asked_rows(names, a.widths)[i - 1::n], check_output(a.out)
    with matmul_precision('high'):
        model = load_dit(a.checkpoint, device=a.device)
        calibration = Calibration(model, a.n, progress=False)
        full = evaluation(model, a.batch, a.device)
        for name, width in todo:
            rows.append(compared(name, width, calibration, full, a.batch, a.device))
            print(rows[-1], f'{time.time() - began:.0f} s', flush=True)
            save_record(out, rows, seed=0, samples=a.batch, device=a.device, seconds=time.time() - began)


if __name__ == '__main__':
    main()
