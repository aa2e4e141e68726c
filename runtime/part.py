"""A face to protect: its square in the photo."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .faces import Face, overlap, square_around
from .photo import Photo


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


def difference(original: NDArray[np.uint8], saved: NDArray[np.uint8]) -> tuple[int, float]:
    """Return the largest change of a channel in pixel levels, and the PSNR in dB."""
    change = saved.astype(np.int16) - original
    if not change.any():
        return 0, math.inf
    mean_square = float(np.einsum("ijk,ijk->", change, change, dtype=np.int64)) / change.size
    return int(np.abs(change).max()), 10 * math.log10(255**2 / mean_square)
