"""The ranges that the maps of a gradient have on faces, for its integers; kept as JSON beside their checkpoint."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import torch
from onnx import TensorProto, helper
from torch import Tensor

from face_encryption.runtime.faces import cut_square
from face_encryption.runtime.files import PHOTO_SUFFIXES
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.data.cutting import find_face, read_photo
from face_encryption.training.data.layouts import DataError

from ..attack.cloak import GRID, Source
from ..attack.surrogate import LABEL, OBJECTIVES, Objective, Surrogate
from ..attack.views import shrink
from ..attack.warp import DRAWS, bicubic_weights, draw_warp
from ..graph.copies import descendants
from .integer import ranged
from .maps import Range, RangesError

# What lies beyond in a gradient is clipped; a forward map keeps its largest value and more, for other pictures.
SHARE, HEADROOM = 99.9, 1.1
# A channel that was hardly used has this part of the range of the one that has most.
LEAST = 0.01
# So many faces, with noise of so many levels as an attack starts from.
FACES, NOISE = 100, 8.0


# A face square u8 [S, S, 3], and its keypoints f32 [6, 2] in it, as parts of its edge.
Cut = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]


def faces_of(folder: Path, detector: ort.InferenceSession, margin: float) -> list[Cut]:
    """Cut the faces, at most `FACES`, out of the photos of a folder and those below it.

    Photos that cannot be read or show no face are left out. Raises `RangesError` when none is left.
    """
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    found = list[Cut]()
    # From all over the folder: neighbours are often photos of one person.
    for path in np.random.default_rng(0).permutation(np.array(photos, object)):
        try:
            image = read_photo(path)
            face = find_face(detector, image, alone=False)
            square, corner = cut_square(image, face.box, margin)
            found.append((square, ((face.keypoints - corner) / len(square)).astype(np.float32)))
        except DataError:
            continue
        if len(found) == FACES:
            break
    if not found:
        raise RangesError(f"{folder}: no photo with a face to calibrate with")
    return found


def images_of(source: Source, faces: Sequence[Cut]) -> list[Tensor]:
    """Return what a source of a cloak sees of faces that nothing was done to, f32 [1, 3, size, size]."""
    weights, still = bicubic_weights(source.size), torch.zeros(DRAWS)
    return [
        draw_warp(weights, still, GRID, source.frame(torch.from_numpy(keypoints))).of(
            shrink(torch.from_numpy(square).float(), GRID)[None]
        )
        for square, keypoints in faces
    ]


def calibrate(model: ir.Model, surrogate: Surrogate, objective: Objective, images: Sequence[Tensor]) -> list[Range]:
    """Measure the maps of a float gradient that `ranged` names, on images f32 [1, 3, N, N] as the surrogate takes them.

    Of a forward map it is `HEADROOM` times the largest value, of a gradient the mean of what `SHARE` percent of it stay
    below. The targets are the image's own and the next image's, by turns.
    """
    backward = {value.name for value in descendants(model.graph, [model.graph.inputs[1].name])}
    proto = ir.serde.serialize_model(model)
    names = ranged(ir.serde.deserialize_model(proto))
    values = _values(proto, [*names])
    with torch.no_grad():
        seen = [surrogate(image) for image in images]
    random = np.random.default_rng(0)
    measured: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in names}
    for number, unchanged in enumerate(images):
        embedding, logits = seen[(number + number % 2) % len(images)]
        target = logits[0].argmax() if objective is LABEL else embedding[0]
        image = (unchanged.numpy() + random.uniform(-NOISE, NOISE, unchanged.shape)).clip(0, 255).astype(np.float32)
        maps = values({"image": image, objective.target: target.numpy()})
        for (name, by_channel), each in zip(names.items(), maps, strict=True):
            if name in backward:
                measured[name].append(np.percentile(np.abs(each), SHARE))
            else:
                measured[name].append(np.abs(each).max((0, 2, 3) if by_channel else None))
    return [_range(np.array(found), name in backward).tolist() for name, found in measured.items()]


def _range(found: npt.NDArray[Any], gradient: bool) -> npt.NDArray[Any]:
    """Return the range of a map, or those of its channels, from what was found in images [images, ...]."""
    largest = HEADROOM * found.max(0)
    return np.asarray(found.mean(0) if gradient else np.maximum(largest, LEAST * largest.max()))


def _values(model: onnx.ModelProto, names: Sequence[str]) -> Callable[[dict[str, Any]], list[Any]]:
    """Return what computes the maps of these names."""
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    model.graph.output.extend(outputs)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda feed: session.run([*names], feed)


def write_ranges(path: Path, digest: str, ranges: Mapping[str, list[Range]]) -> None:
    """Write the ranges of each objective of the checkpoint of this sha256, and of others by their digest."""

    def rounded(values: Range) -> Any:
        return [*map(rounded, values)] if isinstance(values, list) else float(f"{values:.4g}")

    lines = [f'"checkpoint_sha256": {json.dumps(digest)}']
    lines += [f"{json.dumps(name)}: {json.dumps([*map(rounded, values)])}" for name, values in ranges.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def read_ranges(path: Path, digest: str) -> dict[str, list[Range]]:
    """Read what `write_ranges` wrote; raises `RangesError`, as for ranges of another checkpoint."""

    def numbers(values: Any) -> Range:
        return [float(each) for each in values] if isinstance(values, list) else float(values)

    try:
        found = json.loads(path.read_text())
        belongs = found.pop("checkpoint_sha256") == digest
        ranges = {name: [*map(numbers, values)] for name, values in found.items()}
        missing = [each.name for each in OBJECTIVES if each.name not in ranges]
    except FileNotFoundError:
        raise RangesError(f"{path}: no such ranges; make them with --calibrate FOLDER, a folder of photos") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RangesError(f"{path}: not the ranges of a calibration ({error!r})") from None
    if missing:
        raise RangesError(f"{path}: not the ranges of a calibration (without {', '.join(missing)})")
    if not belongs:
        raise RangesError(f"{path}: ranges of another checkpoint; make them anew with --calibrate FOLDER")
    return ranges
