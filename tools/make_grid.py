"""Draw the shipped model's grid, ten images of each class, 50 DDIM steps, guidance 1.5: the picture and its record in nbs/."""
import time
from pathlib import Path
import torch
from PIL import Image
from tqdit.checkpoint import load_dit
from tqdit.core import atomic_path, image_grid, save_record
from tqdit.diffusion import sample

nbs, start = Path(__file__).resolve().parents[1]/'nbs', time.time()
x = sample(load_dit(), torch.arange(10).repeat_interleave(10), 50, seed=0, batch_size=20)
picture = Image.fromarray(image_grid(x, 10).numpy())
with atomic_path(nbs/'images'/'tqdit-cifar10-grid.png') as tmp:
    picture.resize((picture.width*2, picture.height*2), Image.NEAREST).save(tmp)
save_record(nbs/'records'/'grid.json', dict(image='images/tqdit-cifar10-grid.png', steps=50, guidance=1.5, sampler='ddim', rows='one class each, in order'),
            seed=0, samples=100, seconds=time.time() - start, device='cpu', command='python tools/make_grid.py')
