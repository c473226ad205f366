"""What the scripts of chapters 12h to 12j share: arguments, held-out samples, images beside full precision's."""
import argparse
import shlex
import sys
import time

import torch

from tqdit.core import best_device, check_output, psnr, save_record
from tqdit.diffusion import Diffusion, sample
from tqdit.models.checkpoint import load_dit
from tqdit.quant.collect import Calibration, calibration_set
from tqdit.quant.moments import two_slopes

HELD_OUT = 7 # seed of the samples that no table has seen


def arguments(doc):
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--out', required=True, help='the record')
    p.add_argument('--n', type=int, default=32, help='calibration samples in each of 10 groups')
    p.add_argument('--images', type=int, default=24)
    p.add_argument('--steps', type=int, default=50, help='of DDIM')
    p.add_argument('--device', default=best_device())
    a = p.parse_args()
    check_output(a.out)
    return a


class Bench:
    "The shipped model, its calibration, samples held out, and images of full precision."
    def __init__(self, a):
        self.a, self.began = a, time.time()
        self.model = load_dit(device=a.device)
        self.calibration = Calibration(self.model, a.n, progress=False)
        self.exact = self.draw(self.model)

    def draw(self, net): # images (n, 3, H, W), on the CPU
        labels = torch.arange(self.a.images) % 10
        return sample(net, labels, self.a.steps, seed=0, progress=False)

    def held_out(self, samples, groups=None) -> Calibration: # so many of each group; by default ten equal groups
        held = Calibration(self.model, samples, progress=False)
        held.parts['set'] = calibration_set(self.model, groups or held.groups, samples, per=1, seed=HELD_OUT)
        return held

    def beside(self, x, other=None) -> dict: # of images: how they differ from full precision's, and from others
        def detail(v): return (v[..., 1:] - v[..., :-1]).abs().mean().item() # of neighbouring pixels
        db = psnr(x, self.exact)
        row = dict(contrast=x.std().item()/self.exact.std().item() - 1, detail=detail(x)/detail(self.exact) - 1,
                   psnr=db.mean().item())
        if other is not None:
            gain = db - psnr(other, self.exact)
            row.update(psnr_gain=gain.mean().item(), psnr_gain_error=(gain.std()/len(gain)**.5).item())
        return row

    def save(self, results, script):
        seconds = round(time.time() - self.began, 1)
        print({k: v[-1] if isinstance(v, list) else v for k, v in results.items()}, f'{seconds} s', flush=True)
        command = f'python tools/{script}.py {shlex.join(sys.argv[1:])}'
        save_record(self.a.out, results, seed=0, samples=self.a.images, device=self.a.device, seconds=seconds,
                    command=command)


def relative(a, b): # squared error
    return ((a - b).square().mean()/b.square().mean()).item()


def slopes_at(eps, eps_hat, x, t) -> dict: # t: timesteps (n,)
    return two_slopes(eps, eps_hat, x, torch.tensor(Diffusion().abar)[t])
