#!/usr/bin/env bash
# Makes FOLDER/env/bin/python: Debian's Python for arm64 on an emulated Cortex-A76, with the runtime of this clone and
# what its tests need. For Debian 12 on x86-64; the system is left as it is. See docs/aarch64.md.
#
#     benchmarks/aarch64.sh FOLDER
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
[ $# = 1 ] && [[ $1 != -* ]] || { echo "usage: $0 FOLDER" >&2; exit 2; }
mkdir -p "$1" && cd "$1"
here=$PWD

mkdir -p qemu && (cd qemu && apt-get download qemu-user-static && dpkg -x qemu-user-static_*.deb .)

# Debian's packages for arm64 are unpacked and not installed; apt keeps its state of them here, beside the system's.
mkdir -p apt/lists/partial apt/cache/archives/partial root/proc
touch apt/status
cat > apt/conf <<EOF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
Dir::State "$here/apt";
Dir::State::status "$here/apt/status";
Dir::Cache "$here/apt/cache";
EOF
export APT_CONFIG=$here/apt/conf
apt-get update
apt-get install --yes --download-only python3.11 libstdc++6 libgomp1
for package in apt/cache/archives/*.deb; do dpkg -x "$package" root; done
unset APT_CONFIG

# onnxruntime reads here which processor it runs on, and crashes on what an x86-64 kernel says.
for core in $(seq 0 $(($(nproc) - 1))); do
    cat <<EOF
processor	: $core
BogoMIPS	: 48.00
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x3
CPU part	: 0xd0b
CPU revision	: 1

EOF
done > root/proc/cpuinfo

# A script for an interpreter: processes that it starts by sys.executable are emulated as well.
mkdir -p env/bin env/lib/python3.11/site-packages
echo "home = $here/root/usr/bin" > env/pyvenv.cfg
cat > env/bin/python <<EOF
#!/bin/sh
exec "$here/qemu/usr/bin/qemu-aarch64-static" -cpu cortex-a76 -L "$here/root" \\
    -0 "$here/env/bin/python" "$here/root/usr/bin/python3.11" "\$@"
EOF
chmod +x env/bin/python

# The host's pip fetches the wheels of the other processor; ours holds Python alone.
pip=$repository/.venv/bin/pip
"$pip" wheel --quiet --no-deps --wheel-dir wheels "$repository"
rm -rf "$repository/build/lib" "$repository"/build/bdist.*
"$pip" install --quiet --no-warn-conflicts --upgrade --target env/lib/python3.11/site-packages \
    --python-version 3.11 --implementation cp --only-binary :all: \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux_2_17_aarch64 \
    wheels/face_encryption-*.whl hypothesis onnx pytest scikit-image
env/bin/python -c 'import platform; from face_encryption.runtime.onnx_runtime import ort
print(platform.machine(), "onnxruntime", ort.__version__)'
