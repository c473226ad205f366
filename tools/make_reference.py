"""Statistics of CIFAR-10's training images for `tqdit evaluate`, and known answers.

python tools/make_reference.py --data FOLDER_OR_NPZ --reference tqdit/weights/reference-cifar10.safetensors \
    --out nbs/records/known-answers.json
"""
import argparse
import time
import torch
from tqdit.core import best_device, check_output, load_images, save_record
from tqdit.judge.classifier import held_out
from tqdit.judge.features import Features
from tqdit.judge.metrics import measure
from tqdit.judge.tally import Reference, Tally


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--data', required=True, help="folder for torchvision's CIFAR-10, or an .npz")
    p.add_argument('--reference', required=True, help='the .safetensors to write')
    p.add_argument('--out', required=True, help='the JSON record to write')
    p.add_argument('--device', default=best_device())
    return p.parse_args()


def shuffled(n, seed):
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


class Eyes:
    "Looks at images and compares them with a reference."
    def __init__(self, device):
        self.features, self.reference, self.rows = Features(device=device), None, []

    def tally(self, x, ids=None): # uint8 (n, 3, 32, 32); in an order of its own, because files may be sorted by class
        t = Tally(self.features.name, self.features.digest)
        ids = torch.arange(len(x)) if ids is None else ids
        for i in range(0, len(x), 1000):
            t.add(ids[i:i + 1000], self.features(x[i:i + 1000]))
        return t

    def add(self, what, tally, reference=None, labels=None):
        res = measure(tally, reference or self.reference, labels=labels)
        self.rows.append(dict(images=what, **res))
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


def noisy_images(eyes, x):
    "Real images with noise, and noise alone."
    g, few = torch.Generator().manual_seed(1), x[shuffled(len(x), 3)[:10000]]
    for sd in (2, 5, 10, 20, 50):
        noisy = (few.float() + sd*torch.randn(few.shape, generator=g)).round().clamp(0, 255).to(torch.uint8)
        eyes.add(f'noise of standard deviation {sd}/255 on 10,000 training images', eyes.tally(noisy))
    noise = torch.randint(0, 256, few.shape, generator=g, dtype=torch.uint8)
    eyes.add('10,000 images of uniform noise', eyes.tally(noise))


def main():
    a, began = arguments(), time.time()
    for path in (a.reference, a.out):
        check_output(path, a.data)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        x, y = load_images(a.data)
        eyes, order = Eyes(a.device), shuffled(len(x), 11)
        everything = eyes.tally(x, order)
        eyes.reference = Reference.of(everything, of='the 50,000 training images of CIFAR-10 (JPEG)')
        eyes.reference.save(a.reference)
        eyes.add('all training images', everything, labels=y[order.argsort()])
        real_images(eyes, x, y)
        noisy_images(eyes, x)
    save_record(a.out, eyes.rows, seed=0, samples=len(x), seconds=time.time() - began, device=a.device)


if __name__ == '__main__':
    main()
