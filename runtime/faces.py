"""Faces in a photo: finding them, cutting a square around each, and putting the square back.

Boxes are x0, y0, x1, y1 in pixels of the upright photo; x grows to the right and y downwards. A box may leave the
image. The arithmetic of the cut is simple on purpose: every client must cut the same square to give the same bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]

# Smaller faces, in pixels, and faces of which less than this part lies in the photo, are hard to protect.
SMALL, CUT = 24, 0.6
# A face of a few pixels still gets a square that the recognizer's resampling can work with.
MIN_SIDE = 16


class Runnable(Protocol):
    """The part of an `onnxruntime.InferenceSession` that is used here."""

    def run(self, output_names: list[str], input_feed: dict[str, Any]) -> Any:
        """Return the named outputs for the named inputs."""


@dataclass(frozen=True)
class Face:
    """One detected face.

    Attributes:
        box: x0, y0, x1, y1 in pixels; may leave the image.
        score: the detector's confidence, 0 to 1.
        keypoints: float32 [6, 2], x and y in pixels: right eye, left eye, nose tip, mouth, right ear, left ear.
    """

    box: Box
    score: float
    keypoints: NDArray[np.float32] = field(compare=False, repr=False)


def detect(
    session: Runnable, image: NDArray[np.uint8], score_threshold: float = 0.5, max_faces: int = 100
) -> list[Face]:
    """Find the faces in an image.

    Args:
        session: an open `detector.onnx`.
        image: uint8 [H, W, 3], RGB, upright, any size.
        score_threshold: faces with a lower score are left out, 0 to 1.
        max_faces: at most this many faces are returned.

    Returns:
        The faces, in the detector's order: the highest score first.

    Raises:
        ValueError: `image` is not a uint8 RGB image with at least one pixel.
    """
    check_image(image)
    boxes, scores, keypoints = session.run(
        ["boxes", "scores", "keypoints"],
        {
            "image": np.ascontiguousarray(image),
            "score_threshold": np.array(score_threshold, np.float32),
            "max_faces": np.array(max_faces, np.int64),
        },
    )
    return [
        Face((float(x0), float(y0), float(x1), float(y1)), float(score), points)
        for (x0, y0, x1, y1), score, points in zip(boxes, scores, keypoints, strict=True)
    ]


def main_face(faces: Sequence[Face], shape: tuple[int, ...]) -> Face:
    """Return the most prominent face: the one that a photo of one person is about.

    Args:
        faces: what `detect` found.
        shape: of the photo, [H, W, ...].

    Raises:
        ValueError: there is no face.
    """
    return max(faces, key=lambda face: prominence(face.box, shape))


def prominence(box: Box, shape: tuple[int, ...]) -> float:
    """Return the area of a face's box in square pixels, less the farther it lies from the photo's centre.

    Nothing is left of it in the corners. By area alone, a bystander at the photo's edge passes for whom it shows.
    """
    x0, y0, x1, y1 = box
    away = math.hypot(x0 + x1 - shape[1], y0 + y1 - shape[0]) / math.hypot(*shape[:2])
    return (x1 - x0) * (y1 - y0) * (1 - away)


def cut_square(
    image: NDArray[np.uint8], box: Box | NDArray[np.float32], margin: float
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Cut the square around a box; what lies outside the image is black.

    The side is (1 + 2 * margin) times the longer edge of the box, rounded half up, and at least `MIN_SIDE`. The square
    has the box's centre, rounded half up to whole pixels.

    Args:
        image: uint8 [H, W, 3].
        box: x0, y0, x1, y1 in pixels; may leave the image.
        margin: what is added on each side, as a fraction of the longer edge of the box.

    Returns:
        The square, a fresh uint8 [S, S, 3], and the x and y of its upper left corner in the image (may be negative).

    Raises:
        ValueError: `image` is not a uint8 RGB image, or the box or the margin is not finite.
    """
    check_image(image)
    corner, side = square_around(box, margin)
    square = np.zeros((side, side, 3), np.uint8)
    in_image, in_square = overlap(image.shape, side, corner)
    square[in_square] = image[in_image]
    return square, corner


def square_around(box: Box | NDArray[np.float32], margin: float) -> tuple[tuple[int, int], int]:
    """Return the x and y of the upper left corner, and the side, of the square that `cut_square` cuts.

    Raises:
        ValueError: the box or the margin is not finite.
    """
    x0, y0, x1, y1 = (float(edge) for edge in box)
    if not all(map(math.isfinite, (x0, y0, x1, y1, margin))):
        raise ValueError(f"the box {(x0, y0, x1, y1)} with margin {margin} is not finite")
    side = max(MIN_SIDE, _round_half_up((1 + 2 * margin) * max(x1 - x0, y1 - y0)))
    x = _round_half_up((x0 + x1 - side) / 2)
    return (x, _round_half_up((y0 + y1 - side) / 2)), side


def paste_square(image: NDArray[np.uint8], square: NDArray[np.uint8], corner: tuple[int, int]) -> None:
    """Write a square back into the image, in place; the part outside the image is dropped.

    Args:
        image: uint8 [H, W, 3], changed in place.
        square: uint8 [S, S, 3], as `cut_square` cut it.
        corner: the x and y of the square's upper left corner, as `cut_square` returned them.
    """
    in_image, in_square = overlap(image.shape, len(square), corner)
    image[in_image] = square[in_square]


def overlap(
    shape: tuple[int, ...], side: int, corner: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where a square and an image of this shape overlap: (rows, columns) in the image, and in the square.

    Args:
        shape: height, width, ... of the image.
        side: the side of the square in pixels.
        corner: the x and y of the square's upper left corner in the image; both may be negative.
    """
    x, y = corner
    height, width = shape[:2]
    top, bottom = max(y, 0), min(y + side, height)
    left, right = max(x, 0), min(x + side, width)
    if top >= bottom or left >= right:
        # Clamped slices would have negative ends here, which numpy counts from the far side.
        empty = (slice(0, 0), slice(0, 0))
        return empty, empty
    return (slice(top, bottom), slice(left, right)), (slice(top - y, bottom - y), slice(left - x, right - x))


def check_image(image: NDArray[np.uint8]) -> None:
    """Raise a ValueError unless `image` is uint8 [H, W, 3] with at least one pixel."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"an image is uint8 [height, width, 3], this is {image.dtype} {list(image.shape)}")


def _round_half_up(value: float) -> int:
    # Python's round() goes to even numbers, which Kotlin's and JavaScript's do not.
    return math.floor(value + 0.5)
