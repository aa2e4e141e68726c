"""Knowledge distillation (Hinton et al. 2015, arXiv:1503.02531): to learn from a finished recognizer, the teacher."""

import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image, ImageOps
from torch import Tensor

# The edge in pixels of the aligned faces that recognizers take.
SIDE = 112
# Where face recognizers for 112x112 pixels expect the eyes, nose tip and mouth centre (ArcFace's template).
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [56.1396, 92.2848]])
# How sharply the relational loss tells similar faces from others, as a scale of similarities.
TEMPERATURE = 0.05


class TeacherError(ValueError):
    """A teacher that is missing, is no ONNX model, or takes another kind of input."""


def align(image: npt.NDArray[np.uint8], keypoints: npt.NDArray[np.float32]) -> Image.Image:
    """Warp a face to the 112x112 template by eyes, nose and mouth centre.

    `image` is u8 [H, W, 3]; `keypoints` f32 [6, 2] are the detector's, in pixels.
    """
    warp = similarity_transform(TEMPLATE, keypoints[:4])  # the subject's right eye is on the picture's left
    return Image.fromarray(image).transform((SIDE, SIDE), Image.Transform.AFFINE, warp, Image.Resampling.BILINEAR)


def similarity_transform(points: npt.NDArray[Any], source: npt.NDArray[Any]) -> tuple[float, ...]:
    """Return the shift, turn and scale that takes `points` [N, 2] nearest to `source` [N, 2], least squares.

    Six numbers as Pillow's AFFINE takes them: the map from pixels of the result to those of the picture.
    """
    rows = [[x, -y, 1, 0] for x, y in points] + [[y, x, 0, 1] for x, y in points]
    wanted = np.concatenate([source[:, 0], source[:, 1]]).astype(np.float64)
    a, b, tx, ty = np.linalg.lstsq(np.array(rows, np.float64), wanted, rcond=None)[0]
    return a, -b, tx, b, a, ty


class Teacher:
    """A finished face recognizer given as ONNX that takes aligned faces [1, 3, 112, 112]."""

    def __init__(self, path: Path, channels: str = "RGB", mean: float = 0.0, std: float = 1.0) -> None:
        """Load the model, which takes (pixel - mean) / std of pixels in 0..255; `channels` is "RGB" or "BGR".

        What is not given is what SFace takes. Raises `TeacherError` for a model that cannot be loaded or takes another
        input.
        """
        if channels not in ("RGB", "BGR") or std == 0:
            raise TeacherError(f"{path}: channels {channels!r} and std {std}; they are RGB or BGR, and not 0")
        self.step, self.mean, self.std = (-1 if channels == "BGR" else 1), mean, std
        if not path.is_file():
            raise TeacherError(f"{path}: no such teacher model")
        try:
            # Faces are seen in parallel, so that one inference needs one thread.
            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common type
            raise TeacherError(f"{path}: not an ONNX model that runs here ({str(error).splitlines()[0]})") from None
        self.input = self.session.get_inputs()[0]
        if list(self.input.shape[1:]) != [3, 112, 112]:
            raise TeacherError(f"{path}: the teacher takes {self.input.shape}, not [1, 3, 112, 112]")
        self.digest = hashlib.sha256(f"{channels} {mean} {std} ".encode() + path.read_bytes()).hexdigest()

    def embed(self, face: Image.Image) -> npt.NDArray[np.float32]:
        """Embed an aligned face, RGB and 112x112; returns f32 [D] of unit norm."""
        pixels = (np.asarray(face, np.float32)[..., :: self.step] - self.mean) / self.std
        pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
        embedding = self.session.run(None, {self.input.name: pixels})[0].ravel()
        return np.asarray(embedding / np.linalg.norm(embedding), np.float32)


def read_teachers(path: Path) -> dict[str, Teacher]:
    """Load one recognizer, an ONNX file that takes what SFace takes, or all that a TOML file describes, by name:

        [name]
        model = "file.onnx"     # beside the TOML
        channels = "BGR"        # these three may be missing: RGB, 0 and 1
        mean = 127.5            # the model takes (pixel - mean) / std
        std = 128.0

    Raises `TeacherError`.
    """
    if path.suffix != ".toml":
        return {path.stem: Teacher(path)}
    try:
        entries = tomllib.loads(path.read_text())
        return {name: Teacher(path.parent / entry.pop("model"), **entry) for name, entry in entries.items() if entry}
    except OSError as error:
        raise TeacherError(f"{path}: cannot read it ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError) as error:
        raise TeacherError(f"{path}: not a TOML file of recognisers ({error})") from None


def see(teachers: Sequence[Teacher], face: Image.Image, *, mirrored: bool) -> npt.NDArray[np.float32]:
    """Return what all teachers together see in an aligned face, f32 [sum of D] of unit norm.

    The similarity of two such embeddings is the mean of the teachers' similarities. With `mirrored` each teacher sees
    the mirror image too, and the mean of both counts.
    """
    views = (face, ImageOps.mirror(face)) if mirrored else (face,)
    seen = [sum(teacher.embed(view) for view in views) for teacher in teachers]
    return np.concatenate([part / np.linalg.norm(part) for part in seen]).astype(np.float32) / len(seen) ** 0.5


def fit_targets(embeddings: Tensor, size: int) -> Tensor:
    """Turn teachers' embeddings [N, D] into targets [N, at most `size`] of unit norm.

    Where D is too large they are projected on their `size` principal directions, which keeps similarities.
    """
    if embeddings.shape[1] <= size:
        return embeddings
    directions = torch.linalg.eigh(embeddings.double().T @ embeddings.double()).eigenvectors[:, -size:]
    return F.normalize(embeddings @ directions.float())


def cosine_loss(embedding: Tensor, target: Tensor) -> Tensor:
    """Mean of 1 - similarity of embeddings [B, E] to the teacher's [B, D], both of unit norm, D at most E.

    Zeros fill up the teacher's: so the similarity of two of our embeddings learns to equal that of the teacher's.
    """
    return (1 - (embedding[:, : target.shape[1]] * target).sum(1)).mean()


def relational_loss(embedding: Tensor, target: Tensor, bank: Tensor) -> Tensor:
    """Divergence from the teacher's view of which faces in the `bank` [N, D] of its embeddings a face resembles.

    Fang et al. 2021 (SEED, arXiv:2101.04731). The cosine loss first learns what all faces share; this one asks at once
    for what tells them apart.
    """
    ours = F.log_softmax(embedding[:, : bank.shape[1]] @ bank.T / TEMPERATURE, 1)
    teachers = F.softmax(target @ bank.T / TEMPERATURE, 1)
    return F.kl_div(ours, teachers, reduction="batchmean")
