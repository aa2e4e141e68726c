#!/usr/bin/env bash
# Runs Python with the runtime of this clone on an emulated phone processor, on Debian:
#
#     scripts/phone.sh cortex-a53|cortex-a76 PYTHON-ARGUMENT ...
#
# The first run makes build/phone (250 MB, a minute): Debian's emulator and its Python for arm64, which apt checks by
# signature, and the wheels of requirements-test.txt, by hash. The system is left as it is. Where something cannot be
# had, one line says what, and the exit code is 75. Processes that the Python starts are not emulated.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
here=$repository/build/phone
# What the runtime imports, and pytest.
wheels='click numpy onnxruntime flatbuffers packaging protobuf pillow pytest iniconfig pluggy pygments'

missing() {
    echo "phone processors: skipped, $1; see $here/log" >&2
    exit 75
}

# Debian's packages are unpacked and not installed; apt keeps its state of them here, beside the system's.
unpack() { # FOLDER ARCHITECTURE PACKAGE ...
    local state=$here/apt-$2
    mkdir -p "$state/lists/partial" "$state/archives/partial" "$1"
    touch "$state/status"
    cat > "$state/conf" <<END
APT::Architecture "$2";
APT::Architectures { "$2"; };
APT::Install-Recommends "false";
Dir::State "$state";
Dir::State::status "$state/status";
Dir::Cache "$state";
END
    APT_CONFIG=$state/conf apt-get update || return 1
    APT_CONFIG=$state/conf apt-get install --yes --download-only "${@:3}" || return 1
    for package in "$state"/archives/*.deb; do dpkg -x "$package" "$1" || return 1; done
    rm -r "$state"
}

# onnxruntime reads here which processor it runs on, and crashes on what an x86-64 kernel says.
describe() { # CPU
    local features='fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid' part=0xd03 core
    if [ "$1" = cortex-a76 ]; then
        features+=' atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp' part=0xd0b
    fi
    for ((core = 0; core < $(nproc); core++)); do
        printf '%s\t: %s\n' processor "$core" BogoMIPS 48.00 Features "$features" 'CPU implementer' 0x41 \
            'CPU architecture' 8 'CPU variant' 0x3 'CPU part' "$part" 'CPU revision' 1
        echo
    done
}

emulated() { # CPU PYTHON-ARGUMENT ...
    "$here/qemu-aarch64-static" -cpu "$1" -L "$here/$1" -E PYTHONHOME="$here/root/usr" -E PYTHONPATH="$here/site" \
        "$here"/root/usr/bin/python3.?? "${@:2}"
}

[ $# -gt 1 ] && [[ $1 = cortex-a53 || $1 = cortex-a76 ]] || { sed -n 2,4p "$0" >&2; exit 2; }
mkdir -p "$here"
# A folder appears under its name when it is whole.
if [ ! -e "$here/qemu-aarch64-static" ]; then
    command -v apt-get > /dev/null || missing 'apt-get is not installed'
    unpack "$here/qemu.part" "$(dpkg --print-architecture)" qemu-user-static > "$here/log" 2>&1 \
        || missing 'no package qemu-user-static'
    mv "$here/qemu.part/usr/bin/qemu-aarch64-static" "$here"
    rm -r "$here/qemu.part"
fi
if [ ! -e "$here/root" ]; then
    unpack "$here/root.part" arm64 python3 libstdc++6 libgomp1 > "$here/log" 2>&1 || missing 'no python3 for arm64'
    mv "$here/root.part" "$here/root"
fi
if [ ! -e "$here/$1" ]; then
    mkdir -p "$here/$1.part/proc"
    for entry in "$here"/root/*; do ln -s "../root/${entry##*/}" "$here/$1.part"; done
    describe "$1" > "$here/$1.part/proc/cpuinfo"
    mv "$here/$1.part" "$here/$1"
fi
wanted=$(awk -v names="$wheels" 'BEGIN { split(names, list, " "); for (i in list) want[list[i]] }
    /^[^ #]/ { split($0, part, /[=; ]/); keep = part[1] in want } keep' "$repository/requirements-test.txt")
if [ "$wanted" != "$(cat "$here/site/requirements.txt" 2> /dev/null)" ]; then
    # The pip of the environment, run by the other Python: so it takes the wheels for that one.
    rm -rf "$here/site" "$here/site.part"
    mkdir -p "$here/site.part/face_encryption"
    echo "$wanted" > "$here/site.part/requirements.txt"
    emulated "$1" "$repository"/.venv/lib/python3.*/site-packages/pip install --quiet --no-deps --no-compile \
        --only-binary :all: --require-hashes --requirement "$here/site.part/requirements.txt" \
        --target "$here/site.part" > "$here/log" 2>&1 || missing 'no wheels for arm64'
    ln -s ../../../../runtime "$here/site.part/face_encryption/runtime"
    mv "$here/site.part" "$here/site"
fi
emulated "$@"
