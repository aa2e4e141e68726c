"""A decoded photo: arrays of its parts, parts written back, and the file encoded again."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import PhotoError
from ..faces import overlap

Format = Literal["JPEG", "PNG", "WEBP"]

# Pictures go from Pillow to numpy in bands of about so many pixels, which stay in the cache.
_BAND = 2**19
# Lossy coding and scanners leave the channels of a black and white photo up to so many levels apart: no visible colour.
_GREY_SPREAD = 4


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo. It keeps the pixels as Pillow holds them; arrays are made of the parts that are asked for.

    Attributes:
        grey: the three channels of each pixel are equal, or at most four levels apart everywhere.
        format: the kind of file, and the kind that `encode` writes.
        notes: what differs from the original file in ways that the user may want to know, one line each.
    """

    grey: bool
    format: Format
    notes: tuple[str, ...]
    _image: Image.Image  # upright, of the mode L, LA, RGB or RGBA, without metadata
    _options: dict[str, Any] = field(repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and 3, of the upright photo."""
        return self._image.height, self._image.width, 3

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The pixels, uint8 [H, W, 3], RGB, upright: a new array each time."""
        return _pixels(self._image, 0, 0, *self._image.size)

    def cut(self, corner: tuple[int, int], side: int) -> NDArray[np.uint8]:
        """Return a square, uint8 [S, S, 3], as `faces.cut_square` cuts it."""
        return cut(self._image, corner, side)

    def paste(self, square: NDArray[np.uint8], corner: tuple[int, int]) -> None:
        """Write a square back into the photo; the part outside is dropped.

        Of a grey photo, each pixel's channels all change by the difference of the means, so that they stay as far apart
        as they were; by less where one of them would leave 0 to 255.
        """
        (rows, columns), inside = overlap(self.shape, len(square), corner)
        part = square[inside]
        if not part.size:
            return
        box = (columns.start, rows.start, columns.stop, rows.stop)
        if self.grey:
            part = _shifted(_pixels(self._image, *box), part)
        patch = self._of_array(part)
        if self._image.mode.endswith("A"):
            patch.putalpha(self._image.crop(box).getchannel("A"))
        self._image.paste(patch, box)

    def encode(self, pixels: NDArray[np.uint8] | None = None) -> bytes:
        """Return a file of this photo's kind; a photo stored as grey is written as grey.

        Args:
            pixels: uint8 [H, W, 3], RGB, of this photo's size, in place of the photo's own. Lossy formats do not give
                back exactly these.

        Raises:
            ValueError: the shape or the type of `pixels` is not this photo's.
            PhotoError: the format cannot hold the photo.
        """
        image = self._image
        if pixels is not None:
            if pixels.shape != self.shape or pixels.dtype != np.uint8:
                raise ValueError(f"expected uint8 {self.shape}, got {pixels.dtype} {pixels.shape}")
            image = self._of_array(pixels)
            if self._image.mode.endswith("A"):
                image.putalpha(self._image.getchannel("A"))
        try:
            return self._saved(image)
        except (OSError, ValueError) as error:
            raise PhotoError(f"cannot be written as {self.format} ({error}); convert it to PNG first") from error

    def _saved(self, image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        try:
            image.save(buffer, self.format, **self._options)
        except OSError:
            if not self._options.get("optimize"):
                raise
            # Pillow gives the coder two bytes a pixel; noise of the highest quality needs more, unless it is written
            # as it comes.
            buffer = io.BytesIO()
            image.save(buffer, self.format, **self._options | {"optimize": False, "progressive": False})
        return buffer.getvalue()

    def _of_array(self, pixels: NDArray[np.uint8]) -> Image.Image:
        return Image.fromarray(grey(pixels)[..., 0] if self._image.mode.startswith("L") else pixels)


def grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pixels, uint8 [H, W, 3], with each channel replaced by the rounded mean of the three."""
    total = pixels.sum(axis=2, dtype=np.uint16, keepdims=True)
    return np.repeat(((total + 1) // 3).astype(np.uint8), 3, axis=2)


def cut(image: Image.Image, corner: tuple[int, int], side: int) -> NDArray[np.uint8]:
    """Return a square of an image, uint8 [S, S, 3], as `faces.cut_square` cuts it."""
    square = np.zeros((side, side, 3), np.uint8)
    (rows, columns), inside = overlap((image.height, image.width), side, corner)
    square[inside] = _pixels(image, columns.start, rows.start, columns.stop, rows.stop)
    return square


def is_grey(image: Image.Image) -> bool:
    """Tell whether nobody sees colour in an image."""
    for band in bands(image, 0, 0, *image.size):
        red, green, blue = band[..., 0], band[..., 1], band[..., 2]
        highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
        if int((highest - lowest).max()) > _GREY_SPREAD:
            return False
    return True


def bands(image: Image.Image, left: int, top: int, right: int, bottom: int) -> Iterator[NDArray[np.uint8]]:
    """Yield a part of an image, uint8 [h, W, 3], RGB, a few rows at a time.

    Of the whole picture at once, Pillow would make two more copies on the way to an array.
    """
    rows = max(1, _BAND // max(1, right - left))
    for start in range(top, bottom, rows):
        band = image.crop((left, start, right, min(start + rows, bottom)))
        yield np.asarray(band if band.mode == "RGB" else band.convert("RGB"))  # which would copy it


def _pixels(image: Image.Image, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
    """Return a part of an image, uint8 [H, W, 3], RGB."""
    pixels = np.empty((bottom - top, right - left, 3), np.uint8)
    at = 0
    for band in bands(image, left, top, right, bottom):
        pixels[at : at + len(band)] = band
        at += len(band)
    return pixels


def _shifted(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pixels of `before`, all channels of each changed as much as the mean is in `after`."""
    shift = grey(after)[..., :1].astype(np.int16) - grey(before)[..., :1]
    lowest, highest = before.min(axis=2, keepdims=True), before.max(axis=2, keepdims=True)
    shift = np.clip(shift, -lowest.astype(np.int16), 255 - highest.astype(np.int16))
    return np.asarray(before + shift, np.uint8)
