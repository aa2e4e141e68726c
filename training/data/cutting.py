"""A photo's main face, found and cut out."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from face_encryption.runtime.faces import Face, cut_square, detect, main_face, prominence
from face_encryption.runtime.onnx_runtime import ort

from .layouts import DataError

# The cut that is kept is wider than the one that is trained on, so that rotation and shift find real pixels.
CACHE_MARGIN = 0.5
# A second face of at least this part of the first one's prominence leaves open whom a photo shows.
RIVAL = 0.75
NO_DETECTOR = "{}: no detector; make it with: face-encryption export --detector-only"


def cut_scale(margin: float) -> float:
    """Return the edge of the square with `margin` on each side, as a part of the cached cut's edge."""
    return (1 + 2 * margin) / (1 + 2 * CACHE_MARGIN)


def cut_size(input_size: int, margin: float) -> int:
    """Return the edge in pixels of cached cuts in which a recognizer's input keeps its resolution."""
    return round(input_size / cut_scale(margin))


def read_photo(path: Path) -> npt.NDArray[np.uint8]:
    """Read a photo upright as u8 [H, W, 3], RGB. Raises `DataError`."""
    try:
        with Image.open(path) as file:
            return np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
    except Exception as error:  # Pillow's errors for damaged files have no common type
        raise DataError(f"unreadable: {error}") from None


def find_face(detector: ort.InferenceSession, image: npt.NDArray[np.uint8], *, alone: bool) -> Face:
    """Find the face that a photo is about; `alone` when no other may be nearly as prominent.

    Raises `DataError` when there is none, or a rival.
    """
    faces = detect(detector, image)
    if not faces:
        raise DataError("no face")
    face = main_face(faces, image.shape)
    enough = RIVAL * prominence(face.box, image.shape)
    if alone and any(other is not face and prominence(other.box, image.shape) >= enough for other in faces):
        raise DataError("two faces of equal size")
    return face


def cut_face(
    image: npt.NDArray[np.uint8], face: Face, size: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Cut a face with `CACHE_MARGIN` on each side of its box, as u8 [size, size, 3]; with its keypoints there."""
    square, corner = cut_square(image, face.box, CACHE_MARGIN)
    cut = np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR))
    return cut, ((face.keypoints - corner) * size / len(square)).astype(np.float32)


def open_detector(path: Path) -> ort.InferenceSession:
    """Open an exported detector. Raises `DataError`."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception:  # onnxruntime's errors have no common type
        raise DataError(NO_DETECTOR.format(path)) from None
