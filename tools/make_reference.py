"""Statistics of CIFAR-10's training images for `tqdit evaluate`, and known answers.

python tools/make_reference.py --data FOLDER_OR_NPZ --reference tqdit/weights/reference-cifar10.safetensors \
    --out nbs/records/known-answers.json

With other features, mean and covariance alone, for a Fréchet distance:
python tools/make_reference.py --data FOLDER_OR_NPZ --features efficientnet-lite0 --samples 20000 \
    --reference efficientnet-cifar10.safetensors --out nbs/records/known-answers-efficientnet.json
"""
import argparse
import time
import torch
from tqdm import tqdm
from tqdit.core import best_device, check_output, load_images, save_record
from tqdit.judge.classifier import held_out
from tqdit.judge.features import CLASSIFIER, EFFICIENTNET, Features
from tqdit.judge.metrics import measure
from tqdit.judge.tally import Reference, Tally


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', required=True, help="folder for torchvision's CIFAR-10, or an .npz")
    p.add_argument('--reference', required=True, help='the .safetensors to write')
    p.add_argument('--out', required=True, help='the JSON record to write')
    p.add_argument('--features', default=CLASSIFIER, choices=(CLASSIFIER, EFFICIENTNET), help='who looks')
    p.add_argument('--samples', type=int, help='with other features than the classifier: so many images, drawn at '
                   'random, in place of all')
    p.add_argument('--device', default=best_device())
    return p


def shuffled(n, seed):
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


class Eyes:
    "Looks at images and compares them with a reference."
    def __init__(self, device, name=CLASSIFIER):
        self.features, self.reference, self.rows = Features(name, device=device), None, []

    def tally(self, x, ids=None): # uint8 (n, 3, 32, 32); in an order of its own, because files may be sorted by class
        t = Tally(self.features.name, self.features.digest)
        ids = torch.arange(len(x)) if ids is None else ids
        for i in tqdm(range(0, len(x), 1000), desc='looking', disable=len(x) < 5000):
            t.add(ids[i:i + 1000], self.features(x[i:i + 1000]))
        return t

    def add(self, what, tally, reference=None, labels=None, metrics=None):
        res = measure(tally, reference or self.reference, metrics, labels)
        self.rows.append(dict(images=what, **{self.features.terms.get(k, k): v for k, v in res.items()}))
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in self.rows[-1].items()}, flush=True)


def real_images(eyes, x, y):
    "Real images against real images."
    train, held = held_out(len(x))
    for what, ids in (('held out from the classifier', held), ('the classifier was trained on', train[:5000])):
        eyes.add(f'5,000 images {what}', eyes.tally(x[ids]), labels=y[ids])
    order, half = shuffled(len(x), 3), len(x)//2
    other = Reference.of(eyes.tally(x[order[half:]]))
    eyes.add('one half against the other half', eyes.tally(x[order[:half]]), other)
    for n in (1000, 1500, 2000, 4500, 10000):
        eyes.add(f'{n} training images', eyes.tally(x[order[:n]]))


def with_noise(x, sd, g): # uint8 in and out; sd in grey levels
    return (x.float() + sd*torch.randn(x.shape, generator=g)).round().clamp(0, 255).to(torch.uint8)


def noisy_images(eyes, x):
    "Real images with noise, and noise alone."
    g, few = torch.Generator().manual_seed(1), x[shuffled(len(x), 3)[:10000]]
    for sd in (2, 5, 10, 20, 50):
        eyes.add(f'noise of standard deviation {sd}/255 on 10,000 training images', eyes.tally(with_noise(few, sd, g)))
    noise = torch.randint(0, 256, few.shape, generator=g, dtype=torch.uint8)
    eyes.add('10,000 images of uniform noise', eyes.tally(noise))


def classifier_answers(a, eyes, x, y): # the reference of all images, and rows about everything
    order = shuffled(len(x), 11)
    everything = eyes.tally(x, order)
    eyes.reference = Reference.of(everything, of='the 50,000 training images of CIFAR-10 (JPEG)')
    eyes.reference.save(a.reference)
    eyes.add('all training images', everything, labels=y[order.argsort()])
    real_images(eyes, x, y)
    noisy_images(eyes, x)
    return len(x)


def other_answers(a, eyes, x): # the reference of some images; those that are left, with and without noise, against it
    "Mean and covariance of images drawn at random, and known answers from 1,500 of the others."
    n, order = min(a.samples or len(x), len(x)), shuffled(len(x), 3)
    which = 'all' if n == len(x) else f'{n:,}, drawn at random, of the'
    everything = eyes.tally(x[order[:n]])
    eyes.reference = Reference.of(everything, kept=0, of=f'{which} {len(x):,} training images of CIFAR-10 (JPEG)')
    eyes.reference.save(a.reference)
    print(a.reference, eyes.reference.info, eyes.reference.digest, flush=True)
    few, g = x[order[-1500:]], torch.Generator().manual_seed(1)
    eyes.add('the images of the reference', everything, metrics=['fd'])
    eyes.rows[0].update(features=eyes.features.digest, reference=eyes.reference.digest) # which the answers rest on
    eyes.add('1500 other training images' if n <= len(x) - 1500 else '1500 of them', eyes.tally(few), metrics=['fd'])
    for sd in (5, 20, 50):
        eyes.add(f'noise of standard deviation {sd}/255 on them', eyes.tally(with_noise(few, sd, g)), metrics=['fd'])
    noise = torch.randint(0, 256, few.shape, generator=g, dtype=torch.uint8)
    eyes.add('1500 images of uniform noise', eyes.tally(noise), metrics=['fd'])
    return n


def main():
    p = arguments()
    a, began = p.parse_args(), time.time()
    for path in (a.reference, a.out):
        check_output(path, a.data)
    if a.samples is not None and (a.features == CLASSIFIER or a.samples < 1281):
        p.error(f'--samples takes at least 1281 images for {EFFICIENTNET}; the reference of {CLASSIFIER} is of all')
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        x, y = load_images(a.data)
        eyes = Eyes(a.device, a.features)
        n = classifier_answers(a, eyes, x, y) if a.features == CLASSIFIER else other_answers(a, eyes, x)
    save_record(a.out, eyes.rows, seed=0, samples=n, seconds=time.time() - began, device=a.device)


if __name__ == '__main__':
    main()
