#!/usr/bin/env bash
# The C library with checks of every address and of undefined behaviour, on Linux with gcc: the self-test of all
# instruction sets that this machine has, leaks included, then the notebooks that test the library, in a copy of the tree.
#   tools/native_sanitized.sh [NOTEBOOK ...]      by default 15g_library, 15h_engine and 15j_steps, which are quick enough
# Needs an environment in which the tests run (pip install -e '.[dev]').
set -euo pipefail
cd "$(dirname "$0")/.."
export CC=${CC:-gcc}
[ $# -gt 0 ] || set -- nbs/15g_library.ipynb nbs/15h_engine.ipynb nbs/15j_steps.ipynb
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -C "$work"
native=tqdit/integer/native
python "$work/$native/build.py" --sanitize

export UBSAN_OPTIONS=print_stacktrace=1
"$CC" -fsanitize=address,undefined -I"$native" tools/native_selftest.c "$work/$native/libtqdit.so" \
  -Wl,-rpath,"$work/$native" -o "$work/selftest"
"$work/selftest"

# Python is not instrumented: the checker has to be there before it, and would take what Python keeps for leaks.
preload=$("$CC" -print-file-name=libasan.so)
export LD_PRELOAD="$preload $("$CC" -print-file-name=libstdc++.so)" ASAN_OPTIONS=detect_leaks=0
cd "$work"
python -m tqdit.integer.native.library
for notebook in "$@"; do
  nbdev_test --path "$notebook" --n_workers 0
done
