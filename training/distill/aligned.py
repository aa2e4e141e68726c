"""Face recognizers of others, given as ONNX: they teach ours, or judge what it protects, and take aligned faces."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from face_encryption.runtime.onnx_runtime import ort

# Where such recognizers expect eyes, nose tip and mouth centre in 112x112 pixels (ArcFace's template).
TEMPLATE_SIZE = 112
TEMPLATE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [56.1396, 92.2848]])


class RecognizerError(ValueError):
    """Another's recognizer that is missing, is no ONNX model, or takes another kind of input."""


def similarity_transforms(points: npt.NDArray[Any], sources: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the shifts, turns and scales that take `points` [N, 2] nearest to `sources` [B, N, 2], least squares.

    They are maps f64 [B, 2, 3] from pixels of the results to those of the pictures. In the plane a turn with a scale is
    a multiplication by a complex number.
    """
    template, target = points @ np.array([1, 1j]), sources @ np.array([1, 1j])
    centred = template - template.mean()
    turn = target @ centred.conj() / (np.abs(centred) ** 2).sum()
    shift = target.mean(1) - turn * template.mean()
    return np.stack([turn.real, -turn.imag, shift.real, turn.imag, turn.real, shift.imag], 1).reshape(-1, 2, 3)


def similarity_transform(points: npt.NDArray[Any], source: npt.NDArray[Any]) -> tuple[float, ...]:
    """Return the map of `similarity_transforms` to one picture's points [N, 2] as Pillow's AFFINE takes it."""
    return tuple(similarity_transforms(points, source[None]).ravel().tolist())


def align(
    image: npt.NDArray[np.uint8],
    keypoints: npt.NDArray[np.float32],
    size: int = TEMPLATE_SIZE,
    template: npt.NDArray[Any] = TEMPLATE,
) -> Image.Image:
    """Warp a face to a template, f32 [4, 2] in `size` x `size` pixels: the eyes, nose and mouth centre.

    `image` is u8 [H, W, 3]; `keypoints` f32 [6, 2] are the detector's, in pixels.
    """
    warp = similarity_transform(template, keypoints[:4])  # the subject's right eye is on the picture's left
    return Image.fromarray(image).transform((size, size), Image.Transform.AFFINE, warp, Image.Resampling.BILINEAR)


class AlignedRecognizer:
    """A finished face recognizer that takes aligned faces [1, 3, N, N]; `size` is N, `digest` stands for all of it."""

    def __init__(
        self,
        path: Path,
        channels: str = "RGB",
        mean: float | list[float] = 0.0,
        std: float = 1.0,
        template: list[list[float]] | None = None,
        weight: float = 1.0,
        threshold: float | None = None,
        licence: str = "unknown",
        source: str = "unknown",
    ) -> None:
        """Load the model, which takes (pixel - mean) / std of pixels in 0..255; `channels` is "RGB" or "BGR".

        `mean` is one number or one a channel, in the model's order; `template` says where in its N x N pixels it wants
        eyes, nose and mouth. What is not given is what SFace takes. `weight`, above 0, is how much it counts beside
        other teachers. `threshold` is the similarity that 1 % of the pairs of different people reach; it, the licence
        and where the model comes from go into exported artifacts. Raises `RecognizerError` for a model that cannot be
        loaded or takes another input.
        """
        if channels not in ("RGB", "BGR") or not isinstance(std, int | float) or std == 0:
            raise RecognizerError(f"{path}: channels {channels!r} and std {std}; they are RGB or BGR, and not 0")
        if not isinstance(weight, int | float) or weight <= 0:
            raise RecognizerError(f"{path}: weight {weight!r}; it is a number above 0")
        if threshold is not None and not (isinstance(threshold, int | float) and -1 <= threshold <= 1):
            raise RecognizerError(f"{path}: threshold {threshold!r}; it is a similarity, from -1 to 1")
        means = mean if isinstance(mean, list) else [mean]
        if len(means) not in (1, 3) or not all(isinstance(value, int | float) for value in means):
            raise RecognizerError(f"{path}: mean {mean!r}; it is one number, or three")
        self.path, self.channels, self.mean, self.std, self.weight = path, channels, mean, std, weight
        self.threshold, self.licence, self.source = threshold, licence, source
        if not path.is_file():
            raise RecognizerError(f"{path}: no such recognizer")
        try:
            # Faces are seen in parallel, so that one inference needs one thread.
            options = ort.SessionOptions()
            options.intra_op_num_threads = 1
            self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common type
            raise RecognizerError(f"{path}: not an ONNX model that runs here ({str(error).splitlines()[0]})") from None
        self.input = self.session.get_inputs()[0]
        shape = self.input.shape
        if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or not isinstance(shape[2], int):
            raise RecognizerError(f"{path}: it takes {shape}, not [1, 3, N, N]")
        self.size = int(shape[2])
        try:
            self.template = np.array(template, np.float64) if template else TEMPLATE * self.size / TEMPLATE_SIZE
        except (TypeError, ValueError):
            self.template = np.empty(0)
        if self.template.shape != TEMPLATE.shape:
            raise RecognizerError(f"{path}: the template is four points: two eyes, nose, mouth")
        self.digest = hashlib.sha256(
            f"{channels} {mean} {std} {template or ''} {weight}".encode() + path.read_bytes()
        ).hexdigest()

    def embed(self, image: npt.NDArray[np.uint8], keypoints: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Embed the face with these keypoints, f32 [6, 2], in a picture u8 [H, W, 3]; returns f32 [D] of unit norm."""
        return self.embed_aligned(align(image, keypoints, self.size, self.template))

    def embed_aligned(self, face: Image.Image) -> npt.NDArray[np.float32]:
        """Embed a face that fills an RGB picture of N x N as the template says; returns f32 [D] of unit norm."""
        pixels = np.asarray(face, np.float32)[..., :: -1 if self.channels == "BGR" else 1]
        pixels = (pixels - self.mean) / self.std
        pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
        embedding = self.session.run(None, {self.input.name: pixels})[0].ravel()
        return np.asarray(embedding / np.linalg.norm(embedding), np.float32)


def read_recognizers(path: Path) -> dict[str, AlignedRecognizer]:
    """Load one recognizer, an ONNX file that takes what SFace takes, or all that a TOML file describes, by name:

        [name]
        model = "file.onnx"     # beside the TOML
        channels = "BGR"        # what follows may be missing, then it is as for SFace: RGB, 0, 1 and ArcFace's template
        mean = 127.5            # or one a channel; the model takes (pixel - mean) / std
        std = 128.0
        template = [[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [56.1, 92.3]]     # eyes, nose, mouth in its pixels
        weight = 1.0            # as a teacher, beside others
        threshold = 0.4         # as a surrogate: from this similarity on a match, at a false accept rate of 1 %
        licence = "MIT"         # for the manifest of the artifacts, as is where the model comes from
        source = "npm package example 1.0.0"

    Raises `RecognizerError`.
    """
    if path.suffix != ".toml":
        return {path.stem: AlignedRecognizer(path)}
    try:
        entries = tomllib.loads(path.read_text())
        models = {name: path.parent / entry.pop("model") for name, entry in entries.items()}
        recognizers = {name: AlignedRecognizer(models[name], **entry) for name, entry in entries.items()}
    except OSError as error:
        raise RecognizerError(f"{path}: cannot read it ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError) as error:
        raise RecognizerError(f"{path}: not a TOML file of recognizers ({error})") from None
    if not recognizers:
        raise RecognizerError(f"{path}: names no recognizer")
    return recognizers
