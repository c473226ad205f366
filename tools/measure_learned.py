"""Scales and biases as they were chosen, learned by the squared error, and learned with the moments of the noise held:
errors and moments on samples that were not used, and images of the same noise. Chapter 12k shows the record.

The calibration, the networks and the rows are kept in the work folder; what is there is not made again.
    python tools/measure_learned.py --work /tmp/learned --out nbs/records/learned.json
"""
import torch
from measured_rows import SEED, Rows, arguments
from tqdit.core import psnr
from tqdit.diffusion import sample
from tqdit.lab.table import held_out_samples
from tqdit.models.checkpoint import load_dit
from tqdit.quant.budget import fit_policy
from tqdit.quant.collect import Calibration
from tqdit.quant.file import load_quantized, save_quantized
from tqdit.quant.learn import HOLD, learn
from tqdit.quant.moments import noise_moments
from tqdit.quant.policy import Policy

POLICY, LABELS, STEPS = Policy.static(6, 6), torch.arange(8) + 1, 20
SAMPLES, HOW = 8, dict(passes=3, size=4) # in each time group; how they are learned from


def network(calibration, by, folder): # fitted and learned, or as it was kept
    path = folder/f'{by or "chosen"}.safetensors'
    if not path.is_file():
        q = network(calibration, '', folder) if by else fit_policy(calibration, POLICY)
        save_quantized(learn(q, calibration, by, progress=True, **HOW) if by else q, path)
    return load_quantized(path)


def by_group(set_, q): # of a calibration's set: error, slope and deviation of the noise in each time group
    groups = set_.groups
    group = groups.group_of(set_.set['t'])
    eps, eps_hat = (v[:, :3].double() for v in (set_.noise, set_.predict(q)))
    m = noise_moments(eps, eps_hat, group, groups.G)
    error = [((eps_hat - eps)[group == g].square().mean()/eps[group == g].square().mean()).item()
             for g in range(groups.G)]
    return dict(error=error, slope=(m['cov']/m['var']).mean(1).tolist(),
                deviation=(m['var_hat']/m['var']).sqrt().mean(1).tolist())


def described(calibration, held, q, exact): # exact: images of full precision
    images = sample(q, LABELS, STEPS, seed=SEED, progress=False)
    return dict(calibration=by_group(calibration, q), held_out=by_group(held, q), psnr=psnr(images, exact).tolist(),
                contrast=(images.std()/exact.std()).item(), detail=(_detail(images)/_detail(exact)).item())


def _detail(x): return (x[..., 1:] - x[..., :-1]).abs().mean() # of neighbouring pixels


def main():
    a = arguments(__doc__)
    rows, model = Rows(a.work/'rows.json', ('calibration', 'held_out', 'psnr')), load_dit().requires_grad_(False)
    calibration = Calibration(model, SAMPLES, resume=a.work/'tables', progress=False)
    held, done = held_out_samples(calibration), {row['by'] for row in rows}
    exact = sample(model, LABELS, STEPS, seed=SEED, progress=False)
    for by in (by for by in ('', *HOLD) if by not in done):
        rows.keep(dict(by=by, **described(calibration, held, network(calibration, by, a.work), exact)))
    rows.record(a, 'measure_learned')


if __name__ == '__main__':
    main()
