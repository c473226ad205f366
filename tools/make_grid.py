"""Draw the shipped model's grid: ten images a class, 50 DDIM steps, guidance 1.5. Writes nbs/images and nbs/records."""
import time
from pathlib import Path
import torch
from PIL import Image
import tqdit as tq
from tqdit.core import atomic_path, check_output, image_grid, save_record


def main():
    nbs, start = Path(__file__).resolve().parents[1]/'nbs', time.time()
    picture = check_output(nbs/'images'/'tqdit-cifar10-grid.png')
    record = check_output(nbs/'records'/'grid.json')
    labels = torch.arange(10).repeat_interleave(10)
    x = tq.sample(tq.load(), labels, steps=50, guidance=1.5, seed=0, batch_size=20)
    grid = Image.fromarray(image_grid(x, 10).numpy())
    with atomic_path(picture) as tmp:
        grid.resize((grid.width*2, grid.height*2), Image.NEAREST).save(tmp)
    what = dict(image='images/tqdit-cifar10-grid.png', steps=50, guidance=1.5, sampler='ddim',
                rows='one class each, in order')
    save_record(record, what, seed=0, samples=100, seconds=time.time() - start, device='cpu',
                command='python tools/make_grid.py')


if __name__ == '__main__':
    main()
