#!/usr/bin/env bash
# Does the integer model compute the same on ARM? Runs the parity check of notebook 15d for aarch64 under user-mode emulation, on an x86 Debian or Ubuntu.
# Nothing is installed system-wide: emulator, Python and torch are unpacked into a folder (2 GB). It says nothing about speed.
#   tools/arm_parity.sh [FOLDER] [RECORD]       by default .arm and nbs/records/parity-aarch64.json
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(realpath -m "${1:-.arm}"); record=$(realpath -m "${2:-nbs/records/parity-aarch64.json}"); mkdir -p "$work/debs" "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
suite=$(. /etc/os-release; echo "${VERSION_CODENAME:-bookworm}")

echo "== emulator and an arm64 Python, from Debian's packages, unpacked only"
if [ ! -x "$work/host/usr/bin/qemu-aarch64-static" ]; then
  apt-get update -qq || true
  ( cd "$work/debs" && apt-get download -qq qemu-user-static && dpkg -x qemu-user-static_*.deb "$work/host" )
fi
if [ ! -e "$work/root/usr/bin/python3.11" ]; then
  o=(-o "APT::Architecture=arm64" -o "APT::Architectures=arm64" -o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache" -o "Dir::State::status=/dev/null")
  apt-get "${o[@]}" update -qq
  ( cd "$work/debs" && apt-get "${o[@]}" download -qq python3.11 python3.11-minimal libpython3.11-stdlib libpython3.11-minimal libc6 libgcc-s1 libstdc++6 libgomp1 zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5 libuuid1 libsqlite3-0 libncursesw6 libtinfo6 libreadline8 libdb5.3 libcrypt1 libnsl2 libtirpc3 )
  for d in "$work"/debs/*_arm64.deb "$work"/debs/*_all.deb; do [ -e "$d" ] && dpkg -x "$d" "$work/root"; done
fi

echo "== torch for aarch64"
python=${PYTHON:-python3}
[ -d "$work/site/torch" ] || "$python" -m pip install -q --no-compile --target "$work/site" --platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64 --python-version 3.11 --implementation cp --only-binary=:all: \
  --no-deps torch==2.10.0 safetensors tqdm numpy filelock typing_extensions sympy mpmath networkx jinja2 markupsafe fsspec packaging   # named one by one: pip would judge torch's needs by this machine

echo "== calibrate here, check there"
for b in 8 6; do
  [ -f "$work/w${b}a${b}.safetensors" ] || "$python" -c "import sys; from tqdit.cli import main; sys.exit(main(sys.argv[1:]))" quantize --bits "W${b}A${b}" --modulation 8 --samples 4 --device cpu --out "$work/w${b}a${b}.safetensors"
done
export QEMU_CPU=neoverse-n1 QEMU_LD_PREFIX="$work/root" PYTHONHOME="$work/root/usr" PYTHONPATH="$work/site:$PWD" PYTHONDONTWRITEBYTECODE=1 TQDIT_COMMIT="$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)"
export LD_LIBRARY_PATH=
"$work/host/usr/bin/qemu-aarch64-static" -E "LD_LIBRARY_PATH=$work/root/usr/lib/aarch64-linux-gnu:$work/root/lib/aarch64-linux-gnu" "$work/root/usr/bin/python3.11" -m tqdit.integer.parity \
  --quantized "$work/w8a8.safetensors" "$work/w6a6.safetensors" --groups 0 5 9 --batch 3 --images 1 --steps 2 --out "$record"
echo "record: $record"
