"""The ranges that the maps of a gradient have on faces, for its integers; kept as JSON beside their checkpoint."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import torch
from onnx import TensorProto, helper

from face_encryption.export.integer import RangesError, depending, ranged
from face_encryption.export.surrogate import LABEL, OBJECTIVES, FaceRecognizer, Objective, Surrogate
from face_encryption.runtime.faces import cut_square
from face_encryption.runtime.files import PHOTO_SUFFIXES
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.data.cutting import find_face, read_photo
from face_encryption.training.data.layouts import DataError

# What lies beyond in a gradient is clipped; a forward map keeps its largest value and more, for other pictures.
SHARE, HEADROOM = 99.9, 1.1
# So many faces, with noise of so many levels as an attack starts from.
FACES, NOISE = 100, 8.0


def faces_of(folder: Path, detector: ort.InferenceSession, margin: float) -> list[npt.NDArray[np.uint8]]:
    """Cut the faces u8 [S, S, 3], at most `FACES`, out of the photos of a folder and those below it.

    Photos that cannot be read or show no face are left out. Raises `RangesError` when none is left.
    """
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    found = []
    # From all over the folder: neighbours are often photos of one person.
    for path in np.random.default_rng(0).permutation(np.array(photos, object)):
        try:
            image = read_photo(path)
            found.append(cut_square(image, find_face(detector, image, alone=False).box, margin)[0])
        except DataError:
            continue
        if len(found) == FACES:
            break
    if not found:
        raise RangesError(f"{folder}: no photo with a face to calibrate with")
    return found


def calibrate(
    model: ir.Model, surrogate: Surrogate, objective: Objective, faces: Sequence[npt.NDArray[np.uint8]]
) -> list[float]:
    """Measure the maps of a float gradient that `ranged` names, on faces u8 [S, S, 3].

    Of a forward map it is `HEADROOM` times the largest value, of a gradient the mean of what `SHARE` percent of it stay
    below. The targets are the face's own and the next face's, by turns.
    """
    backward = {value.name for value in depending(model.graph, model.graph.inputs[1])}
    proto = ir.serde.serialize_model(model)
    names = ranged(ir.serde.deserialize_model(proto))
    values = _values(proto, names)
    recognizer = FaceRecognizer(surrogate)
    with torch.no_grad():
        seen = [recognizer(torch.from_numpy(face)) for face in faces]
    random = np.random.default_rng(0)
    measured = []
    for number, face in enumerate(faces):
        embedding, probabilities = seen[(number + number % 2) % len(faces)]
        target = probabilities.argmax() if objective is LABEL else embedding
        unchanged = surrogate.image(torch.from_numpy(face)).numpy()
        image = (unchanged + random.uniform(-NOISE, NOISE, unchanged.shape)).clip(0, 255).astype(np.float32)
        maps = values({"image": image, objective.target: target.numpy()})
        measured.append(
            [
                np.percentile(np.abs(each), SHARE) if name in backward else np.abs(each).max()
                for name, each in zip(names, maps, strict=True)
            ]
        )
    columns = zip(names, np.array(measured).T, strict=True)
    return [float(column.mean() if name in backward else HEADROOM * column.max()) for name, column in columns]


def _values(model: onnx.ModelProto, names: Sequence[str]) -> Callable[[dict[str, Any]], list[Any]]:
    """Return what computes the maps of these names."""
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    model.graph.output.extend(outputs)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda feed: session.run([*names], feed)


def write_ranges(path: Path, digest: str, ranges: dict[str, list[float]]) -> None:
    """Write the ranges of each objective of the checkpoint of this sha256."""
    rounded = {name: [float(f"{each:.4g}") for each in values] for name, values in ranges.items()}
    path.write_text(json.dumps({"checkpoint_sha256": digest, **rounded}, indent=1) + "\n")


def read_ranges(path: Path, digest: str) -> dict[str, list[float]]:
    """Read what `write_ranges` wrote; raises `RangesError`, as for ranges of another checkpoint."""
    try:
        found = json.loads(path.read_text())
        ranges = {objective.name: [float(each) for each in found[objective.name]] for objective in OBJECTIVES}
        belongs = found["checkpoint_sha256"] == digest
    except FileNotFoundError:
        raise RangesError(f"{path}: no such ranges; make them with --calibrate FOLDER, a folder of photos") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RangesError(f"{path}: not the ranges of a calibration ({error!r})") from None
    if not belongs:
        raise RangesError(f"{path}: ranges of another checkpoint; make them anew with --calibrate FOLDER")
    return ranges
