"""A face to protect: its square in the photo, and what our recognizer says of it before the attack."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SettingError
from .faces import Face, overlap, square_around
from .photo import Photo
from .results import Recognition

# The length of our recogniser's embedding.
EMBEDDING = 512


@dataclass(frozen=True, eq=False)
class Part:
    """A face and its square.

    Attributes:
        number: of the face in the photo, from 1.
        face: box, score and keypoints.
        corner: x and y of the square's upper left corner in the photo.
        original: the pixels before any change, uint8 [S, S, 3].
        inside: rows and columns of the square that are in the photo.
    """

    number: int
    face: Face
    corner: tuple[int, int]
    original: NDArray[np.uint8]
    inside: tuple[slice, slice]

    @property
    def keypoints(self) -> NDArray[np.float32]:
        """The face's keypoints, float32 [6, 2], in pixels of the square."""
        return (self.face.keypoints - self.corner).astype(np.float32)

    def limit(self, square: NDArray[np.uint8], bound: float) -> NDArray[np.uint8]:
        """Return a square, uint8 [S, S, 3], held within so many levels of the original, and black outside the photo.

        Where squares overlap their changes add up.
        """
        most = np.uint8(math.floor(bound))
        lowest = self.original - np.minimum(self.original, most)
        highest = self.original + np.minimum(255 - self.original, most)
        limited = np.zeros_like(square)
        limited[self.inside] = np.clip(square, lowest, highest)[self.inside]
        return limited


def cut_part(photo: Photo, number: int, face: Face, margin: float) -> Part:
    """Cut a face's square out of a photo; `margin` as in `cut_square`."""
    corner, side = square_around(face.box, margin)
    _, inside = overlap(photo.shape, side, corner)
    return Part(number, face, corner, photo.cut(corner, side), inside)


@dataclass(frozen=True, eq=False)
class Subject:
    """What our recognizer says of a face before the attack, and what it is compared with.

    `signature` is f32 [D], what all recognizers of the cloak see in it; `known` f32 [N, D], the same of the gallery's
    faces that match it.
    """

    part: Part
    before: Recognition
    signature: NDArray[np.float32]
    known: NDArray[np.float32]

    def similarity(self, after: Recognition) -> float:
        """Return how similar the face is to itself, or to a face of the gallery if that is more."""
        clean = np.stack([self.before.embedding, *self.known[:, :EMBEDDING]])
        return float((clean @ after.embedding).max())


def matches(
    gallery: NDArray[np.float32] | None, signature: NDArray[np.float32], threshold: float
) -> NDArray[np.float32]:
    """Return the rows of a gallery, f32 [N, D], whose embeddings count as the same person as that of a signature."""
    if gallery is None:
        return np.zeros((0, len(signature)), np.float32)
    if gallery.ndim != 2 or gallery.shape[1] < len(signature):
        raise SettingError(
            f"the gallery is {list(gallery.shape)}, not [N, {len(signature)}]; enroll with these artifacts"
        )
    return gallery[gallery[:, :EMBEDDING] @ signature[:EMBEDDING] >= threshold, : len(signature)]


def difference(original: NDArray[np.uint8], saved: NDArray[np.uint8]) -> tuple[int, float]:
    """Return the largest change of a channel in pixel levels, and the PSNR in dB."""
    change = saved.astype(np.int16) - original
    if not change.any():
        return 0, math.inf
    mean_square = float(np.einsum("ijk,ijk->", change, change, dtype=np.int64)) / change.size
    return int(np.abs(change).max()), 10 * math.log10(255**2 / mean_square)
