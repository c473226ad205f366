"""A DiT-XL/2 in the official format, with random weights: inspected, quantized, loaded as integers and sampled.

Each by its command in a process of its own, with its seconds and the most memory that it held. The chapter "Quantize
your own DiT" shows the record.
    python tools/measure_xl.py --work /tmp/xl --out nbs/records/calibrate-dit-xl-2.json
"""
import argparse
import multiprocessing
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
import torch
from tqdit.core import save_record
from tqdit.lab.bench import random_dit

CHECKPOINT, QUANTIZED = 'DiT-XL-2-256x256.pt', 'q.safetensors'
COMMANDS = {
    'inspect': f'tqdit inspect {CHECKPOINT}',
    'quantize': f'tqdit quantize --checkpoint {CHECKPOINT} --bits W8A8 --preset quick --modulation 8 --memory 10 '
                f'--out {QUANTIZED}',
    'sample': f'tqdit sample {QUANTIZED} --engine auto --classes 207 --guidance 4 --steps 4 --out latents.safetensors',
    'nothing but torch': 'python -c "import tqdit.cli"',
}

def write_checkpoint(path):
    torch.save(random_dit('DiT-XL/2').state_dict(), path)

def measured(command, folder): # -> seconds, and the most resident memory, in bytes
    start = time.time()
    child = subprocess.Popen(shlex.split(command), cwd=folder)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f'{command}: status {status}')
    return time.time() - start, usage.ru_maxrss*1024

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--work', type=Path, required=True, help='folder with 4 GB of room')
    p.add_argument('--out', type=Path, required=True, help='the record')
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    if not (a.work/CHECKPOINT).is_file():
        make = multiprocessing.get_context('spawn').Process(target=write_checkpoint, args=(a.work/CHECKPOINT,))
        make.start() # in a process of its own: the memory it takes must not count for the children of this one
        make.join()
    (a.work/QUANTIZED).unlink(missing_ok=True)
    rows, start = [], time.time()
    for what, command in COMMANDS.items():
        seconds, peak = measured(command, a.work)
        rows.append(dict(what=what, seconds=round(seconds), peak_GB=round(peak/1e9, 2), file_GB=None))
        print(rows[-1], flush=True)
    size = (a.work/QUANTIZED).stat().st_size
    rows[list(COMMANDS).index('quantize')]['file_GB'] = round(size/1e9, 3)
    save_record(a.out, rows, seed=0, samples=40, seconds=time.time() - start, device='cpu',
                command=f'python tools/measure_xl.py --work {a.work} --out {a.out}')

if __name__ == '__main__':
    main()
