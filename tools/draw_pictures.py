"""Sixteen images of a preset of `Policy`, as the chapter on results shows them: drawn with integers, layer by layer,
which compute the same as the simulation.

    python tools/draw_pictures.py --policies static average --out nbs/records/pictures
    python tools/draw_pictures.py --policies four --bits W4A4 --out nbs/records/pictures
The calibration is the full one. With --resume FILE its tables are kept, and taken where they are there.
"""
import argparse
from pathlib import Path
import torch
from tqdit.core import bits
from tqdit.diffusion import sample
from tqdit.integer.convert import to_int8
from tqdit.lab.table import picture_name, save_pictures
from tqdit.models.checkpoint import load_dit
from tqdit.quant.budget import fit_policy
from tqdit.quant.collect import Calibration
from tqdit.quant.policy import Policy


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--out', required=True, type=Path, help='folder for PNG files')
    p.add_argument('--policies', nargs='+', required=True, choices=('static', 'average', 'token', 'four', 'paper'))
    p.add_argument('--bits', type=bits, default='W6A6', help='width')
    p.add_argument('--resume', help='file for the tables of the calibration')
    return p


def main():
    a = arguments().parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    labels = torch.arange(16) % 10
    calibration = Calibration(load_dit('tqdit-cifar10'), resume=a.resume)
    for name in a.policies:
        q = fit_policy(calibration, getattr(Policy, name)(*a.bits))
        images = sample(to_int8(q, 'native', fused=False), labels, 50, 'ddim', 1.5, 0)
        row = dict(method=f'tqdit {name}', w_bits=a.bits.w, a_bits=a.bits.a)
        save_pictures(a.out, row, images)
        print(a.out/f'{picture_name(row)}.png')


if __name__ == '__main__':
    main()
