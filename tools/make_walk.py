"""Draw nbs/images/denoising.gif: what three networks believe the clean images to be, on the way from the same noise.

Rows: full precision; weights and activations of 6 bits by min-max; of 6 bits by our method, both calibrated on eight
images in each time group. Twenty steps of DDIM."""
from pathlib import Path
import torch
from PIL import Image
import tqdit as tq
from tqdit.core import atomic_path, check_output, image_grid
from tqdit.diffusion import Process
from tqdit.models.anatomy import facts_of
from tqdit.quant.collect import Calibration

LABELS, SEED, STEPS, EVERY, SCALE, COLOURS, LIMIT = [1, 4, 7, 8], 3, 20, 2, 2, 28, 150_000


def beliefs(net) -> list: # of images (B, 3, 32, 32)
    "What the network takes for the clean images at every second step, and the images at the end."
    process, seen = Process(facts_of(net), STEPS), []
    def remember(i, t, x, out): seen.append(process.clean(out, x, i).clamp(-1, 1))
    final = tq.sample(net, LABELS, steps=STEPS, seed=SEED, callback=remember, progress=False)
    return [*seen[EVERY::EVERY], final] # the first is noise


def enlarged(frame): return frame.resize((frame.width*SCALE, frame.height*SCALE), Image.NEAREST)


def main():
    picture = check_output(Path(__file__).resolve().parents[1]/'nbs'/'images'/'denoising.gif')
    dit = tq.load()
    calibration = Calibration(dit, 8, 10)
    nets = [dit, *(tq.quantize(dit, 'W6A6', method, calibration=calibration) for method in ('min-max', 'tqdit'))]
    walks = [beliefs(net) for net in nets]
    frames = [Image.fromarray(image_grid(torch.cat(rows), len(LABELS)).numpy()) for rows in zip(*walks)]
    palette = frames[-1].quantize(COLOURS)
    frames = [enlarged(f.quantize(palette=palette, dither=Image.Dither.NONE)) for f in frames]
    times = [300]*(len(frames) - 1) + [2500] # milliseconds
    with atomic_path(picture) as tmp:
        frames[0].save(tmp, save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=True)
    size = picture.stat().st_size
    print(f'{picture}: {len(frames)} frames of {frames[0].size}, {size/1e3:.0f} kB')
    assert size < LIMIT, f'more than {LIMIT} bytes; take fewer colours'


if __name__ == '__main__':
    main()
