"""What the measuring scripts share: their arguments, rows that are kept as they come, and how networks are compared."""
import argparse
import json
import time
from pathlib import Path
import torch
from tqdit.core import atomic_path, psnr, save_record
from tqdit.diffusion import sample
from tqdit.judge.metrics import noise_error

LABELS, STEPS, SEED = torch.arange(8) + 1, 10, 4321


def arguments(doc):
    p = argparse.ArgumentParser(description=doc.splitlines()[0])
    p.add_argument('--work', type=Path, required=True, help='folder for tables and rows')
    p.add_argument('--out', type=Path, required=True, help='the record')
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    return a


class Rows(list):
    "Rows in a file, which is whole at every moment; what is there is not computed again."
    def __init__(self, path, hidden=()): # fields that are not printed
        super().__init__(json.loads(path.read_text()) if path.is_file() else [])
        self.path, self.hidden, self.began = path, hidden, time.time()

    def keep(self, row):
        self.append(row)
        with atomic_path(self.path) as tmp:
            tmp.write_text(json.dumps(self))
        print({k: v for k, v in row.items() if k not in self.hidden}, flush=True)

    def record(self, a, script): # arguments, and the script's name
        save_record(a.out, [*self], seed=SEED, samples=len(LABELS), seconds=time.time() - self.began, device='cpu',
                    command=f'python tools/{script}.py --work {a.work} --out {a.out}')


@torch.no_grad()
def compared(model, q) -> dict:
    "Error of the noise along the walks of full precision, and PSNR of each image."
    errors = noise_error(model, q, LABELS, STEPS, seed=SEED)
    exact, other = (sample(m, LABELS, STEPS, seed=SEED, progress=False) for m in (model, q))
    return dict(t=[r['t'] for r in errors], error=[r['error'] for r in errors], psnr=psnr(other, exact).tolist())
