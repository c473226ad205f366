"Statistics of CIFAR-10's training images for `tqdit evaluate`, and known answers: python tools/make_reference.py --data FOLDER_OR_NPZ --reference tqdit/weights/reference-cifar10.safetensors --out nbs/records/known-answers.json"
import argparse, time
import torch
from tqdit.classifier import held_out
from tqdit.core import best_device, save_record
from tqdit.evaluate import Features, Reference, Tally, measure
from tqdit.train import load_images

p = argparse.ArgumentParser(description=__doc__); p.add_argument('--data', required=True); p.add_argument('--reference', required=True); p.add_argument('--out', required=True); p.add_argument('--device', default=best_device())
a, began = p.parse_args(), time.time()
torch.backends.cudnn.allow_tf32 = False
x, y = load_images(a.data); eyes = Features(device=a.device)

def seen(x, ids=None): # in an order of its own, because files may be sorted by class
    t, ids = Tally(eyes.name, eyes.digest), torch.arange(len(x)) if ids is None else ids
    for i in range(0, len(x), 1000): t.add(ids[i:i + 1000], eyes(x[i:i + 1000]))
    return t

order = torch.randperm(len(x), generator=torch.Generator().manual_seed(11)); everything = seen(x, order)
ref = Reference.of(everything, of='the 50,000 training images of CIFAR-10 (JPEG)'); ref.save(a.reference)
rows, (train, held) = [dict(images='all training images', **measure(everything, ref, labels=y[order.argsort()]))], held_out(len(x))
add = lambda what, t, r=ref, labels=None: rows.append(dict(images=what, **measure(t, r, labels=labels)))
add('5,000 images held out from the classifier', seen(x[held]), labels=y[held])
add('5,000 images the classifier was trained on', seen(x[train[:5000]]), labels=y[train[:5000]])
perm = torch.randperm(len(x), generator=torch.Generator().manual_seed(3)); half = len(x)//2
add('one half against the other half', seen(x[perm[:half]]), Reference.of(seen(x[perm[half:]])))
for n in (1000, 1500, 2000, 4500, 10000): add(f'{n} training images', seen(x[perm[:n]]))
g, few = torch.Generator().manual_seed(1), x[perm[:10000]]
for s in (2, 5, 10, 20, 50): add(f'noise of standard deviation {s}/255 on 10,000 training images', seen((few.float() + s*torch.randn(few.shape, generator=g)).round().clamp(0, 255).to(torch.uint8)))
add('10,000 images of uniform noise', seen(torch.randint(0, 256, few.shape, generator=g, dtype=torch.uint8)))
save_record(a.out, rows, seed=0, samples=len(x), seconds=time.time() - began, device=a.device)
for r in rows: print({k: round(v, 4) if isinstance(v, float) else v for k, v in r.items()})
