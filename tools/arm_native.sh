#!/usr/bin/env bash
# Does the native library compute the same on ARM? Compiles it for aarch64 and runs its self-test under user-mode
# emulation, on an x86 Debian or Ubuntu, for three processors: one without special instructions, one with dot products,
# one with all that the emulator knows. It says nothing about speed.
#   tools/arm_native.sh [--out RECORD]
# Needs: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
set -euo pipefail
cd "$(dirname "$0")/.."

record=
if [ "${1:-}" = --out ]; then
  record=${2:?--out needs a path}
elif [ $# -gt 0 ]; then
  echo "usage: tools/arm_native.sh [--out RECORD]" >&2
  exit 2
fi
cc=${CC:-aarch64-linux-gnu-gcc}
qemu=${QEMU:-qemu-aarch64-static}
for tool in "$cc" "$qemu" python3; do
  command -v "$tool" > /dev/null || { echo "$tool is missing: see the head of tools/arm_native.sh" >&2; exit 1; }
done

source=tqdit/integer/native
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
start=$(date +%s.%N)

flags=(-std=c11 -O3 -fPIC -fvisibility=hidden -ffp-contract=off -fno-math-errno -fno-trapping-math -Wall -Wextra)
for file in "$source"/*.c; do
  extra=()
  case $(basename "$file" .c) in
    isa_avx* | isa_amx) continue ;;
    isa_dotprod) extra=(-march=armv8.2-a+dotprod) ;;
    isa_i8mm) extra=(-march=armv8.2-a+dotprod+i8mm) ;;
  esac
  "$cc" "${flags[@]}" "${extra[@]}" -c "$file" -o "$work/$(basename "$file" .c).o"
done
"$cc" "${flags[@]}" -static -I"$source" tools/native_selftest.c "$work"/*.o -o "$work/selftest" -lpthread -lm

# Which processor must have what: an instruction set that is believed absent would prove nothing.
declare -A expected=(
  [cortex-a72]="plain ok;dotprod absent;i8mm absent;"
  [neoverse-n1]="plain ok;dotprod ok;i8mm absent;"
  [max]="plain ok;dotprod ok;i8mm ok;"
)
failed=0
for cpu in cortex-a72 neoverse-n1 max; do
  "$qemu" -cpu "$cpu" "$work/selftest" > "$work/lines" || failed=1
  while read -r line; do
    echo "$cpu: $line"
    echo "$cpu $line" >> "$work/results"
  done < "$work/lines"
  [ "$(tr '\n' ';' < "$work/lines")" = "${expected[$cpu]}" ] || { echo "$cpu: not as expected" >&2; failed=1; }
done

if [ -n "$record" ]; then
  changed=$(git status --porcelain -- "$source" 2> /dev/null | head -c 1)
  commit=$(git rev-parse --short=12 HEAD 2> /dev/null || echo unknown)${changed:++}
  versions=("$("$cc" -dumpfullversion)" "$("$qemu" --version | head -1)")
  python3 - "$work/results" "$record" "$commit" "$start" "${versions[@]}" <<'PYTHON'
import datetime, json, pathlib, platform, sys, time
lines, record, commit, start, compiler, emulator = sys.argv[1:]
rows = [dict(zip(('processor', 'isa', 'outcome'), line.split(' ', 2))) for line in open(lines).read().splitlines()]
models = [x.split(':')[1].strip() for x in open('/proc/cpuinfo') if x.startswith('model name')]
out = dict(results=rows, commit=commit, command=f'tools/arm_native.sh --out {record}',
           device=f'{models[0] if models else platform.machine()}, emulating aarch64 ({emulator.split(" (")[0]})',
           compiler=f'gcc {compiler}', date=str(datetime.date.today()), seed=1,
           samples=sum(r['outcome'] != 'absent' for r in rows), seconds=round(time.time() - float(start), 2))
pathlib.Path(record).write_text(json.dumps(out, indent=1) + '\n')
PYTHON
  echo "record: $record"
fi
exit $failed
