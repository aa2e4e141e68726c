"""Which faces a photo has: those that the detector finds, at one look or closer, and those given by hand."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SettingError
from .faces import Box, Face, Runnable, check_image, detect

# Boxes with a greater overlap, intersection over union, show the same face.
SAME_FACE = 0.3
# A closer look goes through squares of this side in pixels, that have so many pixels in common: larger faces are found
# without it.
TILE, LARGE = 896, 128


@dataclass(frozen=True)
class Detection:
    """What was found in a photo.

    Attributes:
        faces: the faces, from left to right, those of boxes given by hand among them.
        unsure: what may be a face but scores below the threshold, from left to right; none overlaps a face.
        shape: of the photo, [H, W, ...].
    """

    faces: list[Face]
    unsure: list[Face]
    shape: tuple[int, ...]


def find_faces(
    session: Runnable,
    image: NDArray[np.uint8],
    min_score: float,
    unsure: float,
    boxes: Sequence[Box] = (),
    small: bool = False,
) -> Detection:
    """Find the faces in an image, and say where the detector is unsure.

    Args:
        session: an open `detector.onnx`.
        image: uint8 [H, W, 3], RGB, upright, any size.
        min_score: from this score on a box counts as a face, 0 to 1.
        unsure: from this score on a box may be a face, 0 to 1; lower scores are noise.
        boxes: faces given by hand, each in place of what was found there.
        small: look closer, for faces too small for one look at a large photo.

    Raises:
        ValueError: `image` is not a uint8 RGB image, or a box lies outside of it.
    """
    for x0, y0, x1, y1 in boxes:
        if not (min(x1, image.shape[1]) > max(x0, 0) and min(y1, image.shape[0]) > max(y0, 0)):
            raise ValueError(
                f"the box {x0:g},{y0:g},{x1:g},{y1:g} is not in the photo of {image.shape[1]}x{image.shape[0]}"
            )
    candidates = detect(session, image, min(min_score, unsure))
    if small:
        closer = detect_small(session, image, min(min_score, unsure))
        candidates += [each for each in closer if not _shown_by(each, candidates)]
    faces = [face_by_hand(box) for box in boxes]
    for candidate in candidates:
        if candidate.score >= min_score and not _shown_by(candidate, faces[: len(boxes)]):
            faces.append(candidate)
    perhaps = [each for each in candidates if each.score < min_score and not _shown_by(each, faces)]
    return Detection(sorted(faces, key=lambda face: face.box), sorted(perhaps, key=lambda face: face.box), image.shape)


def face_by_hand(box: Box) -> Face:
    """Return the face in a box that a person drew: certain, and upright, as keypoints in one place say."""
    x0, y0, x1, y1 = box
    return Face(box, 1.0, np.full((6, 2), ((x0 + x1) / 2, (y0 + y1) / 2), np.float32))


def _shown_by(face: Face, others: Sequence[Face]) -> bool:
    return any(_shared_part(face.box, other.box) > SAME_FACE for other in others)


def _shared_part(one: Box, two: Box) -> float:
    """Return the intersection over union of two boxes, 0 to 1."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, two)]
    return width * height / (areas[0] + areas[1] - width * height)


def choose_faces(faces: list[Face], numbers: tuple[int, ...] | None) -> list[int]:
    """Return the numbers of the faces to protect, ascending; raises `SettingError` for one that is not there."""
    if numbers is None:
        return list(range(1, len(faces) + 1))
    if missing := [number for number in numbers if number > len(faces)]:
        raise SettingError(f"there is no face {missing[0]}; the photo has {len(faces)}, numbered from left to right")
    return sorted(set(numbers))


def detect_small(session: Runnable, image: NDArray[np.uint8], score_threshold: float) -> list[Face]:
    """Find small faces in a large image: the detector looks at one part of it after the other.

    The parts overlap by more than such a face, so that one of them holds it whole. Takes what `detect` takes, and as
    long as `detect` for each part. Returns faces of at most `LARGE` pixels, highest score first, each once.
    """
    check_image(image)
    height, width = image.shape[:2]
    found = []
    for top in _tiles(height):
        for left in _tiles(width):
            part = image[top : top + TILE, left : left + TILE]
            inside = _inside((left, top), part.shape, image.shape)
            for face in detect(session, part, score_threshold):
                box = _shifted(face.box, left, top)
                if max(box[2] - box[0], box[3] - box[1]) <= LARGE and inside(box):
                    found.append(Face(box, face.score, face.keypoints + np.array([left, top], np.float32)))
    faces: list[Face] = []
    for face in sorted(found, key=lambda face: -face.score):
        if not _shown_by(face, faces):
            faces.append(face)
    return faces


def _tiles(length: int) -> list[int]:
    """Return where the parts of a line of pixels begin."""
    count = max(1, math.ceil((length - LARGE) / (TILE - LARGE)))
    return [round(number * (length - TILE) / max(count - 1, 1)) if length > TILE else 0 for number in range(count)]


def _inside(corner: tuple[int, int], part: tuple[int, ...], image: tuple[int, ...]) -> Callable[[Box], bool]:
    """Return whether a box is not cut by a border that a part has in the middle of the image."""
    (left, top), (height, width) = corner, part[:2]
    lowest = (left if left else -math.inf, top if top else -math.inf)
    highest = (
        left + width if left + width < image[1] else math.inf,
        top + height if top + height < image[0] else math.inf,
    )
    return lambda box: box[0] > lowest[0] and box[1] > lowest[1] and box[2] < highest[0] and box[3] < highest[1]


def _shifted(box: Box, x: int, y: int) -> Box:
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y
