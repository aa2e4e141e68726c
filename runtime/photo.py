"""A photo file: its bytes to upright RGB pixels, and pixels back to bytes of the same kind.

Reads and writes JPEG, PNG and WebP. The pixels come out upright whatever the EXIF orientation says. The photo
remembers what is needed to write changed pixels back as the same kind of file: format, colour profile, resolution,
transparency, grey, and the JPEG quantisation tables.
"""

import io
import struct
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from . import metadata as meta
from .errors import PhotoError
from .faces import overlap

Format = Literal["JPEG", "PNG", "WEBP"]
MetadataPolicy = Literal["strip", "keep"]

MAX_PIXELS = 250_000_000
SUPPORTED = "JPEG, PNG and WebP"
# Lossy files without quantisation tables to reuse, that is WebP, are written at this quality.
QUALITY = 95
# Of zlib for PNG: two to three times as fast as its default of 6 on photos, for 1 to 7 % more bytes.
COMPRESSION = 4
# Pictures go from Pillow to numpy in bands of about so many pixels, which stay in the cache.
_BAND = 2**19

_PLUGINS: dict[Format, Any] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}
_OTHER_FORMATS = {b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"BM": "BMP", b"%PDF": "PDF", b"8BPS": "PSD"}


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo. It keeps the pixels as Pillow holds them; arrays are made of the parts that are asked for.

    Attributes:
        grey: the three channels are equal everywhere.
        format: the kind of file, and the kind that `encode` writes.
        notes: what differs from the original file in ways that the user may want to know, one line each.
    """

    grey: bool
    format: Format
    notes: tuple[str, ...]
    _image: Image.Image  # upright, of the mode L or RGB, without metadata
    _alpha: Image.Image | None
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
        return _cut(self._image, corner, side)

    def paste(self, square: NDArray[np.uint8], corner: tuple[int, int]) -> None:
        """Write a square back into the photo; the part outside is dropped, and a photo stored as grey stays grey."""
        (rows, columns), inside = overlap(self.shape, len(square), corner)
        if (part := square[inside]).size:
            self._image.paste(self._of_array(part), (columns.start, rows.start))

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
        if self._alpha is not None:
            image = image.copy()
            image.putalpha(self._alpha)
        buffer = io.BytesIO()
        try:
            image.save(buffer, self.format, **self._options)
        except (OSError, ValueError) as error:
            raise PhotoError(f"cannot be written as {self.format} ({error}); convert it to PNG first") from error
        return buffer.getvalue()

    def _of_array(self, pixels: NDArray[np.uint8]) -> Image.Image:
        return Image.fromarray(grey(pixels)[..., 0] if self._image.mode == "L" else pixels)


def read_photo(data: bytes, metadata: MetadataPolicy = "strip") -> Photo:
    """Decode a JPEG, PNG or WebP file.

    Args:
        data: the bytes of the file.
        metadata: what `encode` will write back of EXIF, XMP and comments: "strip" none, "keep" all but the previews.
            The colour profile and the resolution are always kept.

    Raises:
        PhotoError: the bytes are not such a photo, or one that is damaged, animated, 16-bit or too large.
    """
    kind = _recognise(data)
    # Pillow warns on stderr about flaws in metadata; what matters to the user is in the notes or the error.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # The plugin directly: Image.open() would refuse photos far below MAX_PIXELS.
            image: Image.Image = _PLUGINS[kind](io.BytesIO(data))
            _check_header(image)
            image.load()
            removed = meta.pictures(image) if metadata == "keep" else meta.describe(image)
            meta.turn_upright(image)
            options = meta.always_kept(image, data)
            if metadata == "keep":
                removed += meta.kept_on_request(image, options)
            notes = [f"removed from the file: {', '.join(removed)}"] if removed else []
            notes += _choose_encoding(image, data, options)
            return _decoded(image, kind, options, notes)
        except PhotoError:
            raise
        except MemoryError:
            raise PhotoError("not enough memory to decode it; make the photo smaller") from None
        except Image.DecompressionBombError:
            raise PhotoError(f"larger than {MAX_PIXELS // 10**6} megapixels; make it smaller") from None
        except Exception as error:  # whatever a decoder says of bytes that somebody else wrote
            reason = " ".join(str(error).split()) or type(error).__name__
            raise PhotoError(f"the {kind} data is damaged or cut off ({reason}); fetch the photo again") from error


def read_squares(data: bytes, places: Iterable[tuple[tuple[int, int], int]]) -> list[NDArray[np.uint8]]:
    """Decode what `Photo.encode` returned, and return what `Photo.cut` gives for each corner and side."""
    image: Image.Image = _PLUGINS[_recognise(data)](io.BytesIO(data))
    return [_cut(image, corner, side) for corner, side in places]


def grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pixels, uint8 [H, W, 3], with each channel replaced by the rounded mean of the three."""
    total = pixels.sum(axis=2, dtype=np.uint16, keepdims=True)
    return np.repeat(((total + 1) // 3).astype(np.uint8), 3, axis=2)


def _recognise(data: bytes) -> Format:
    """Tell the format by the first bytes, and refuse what the header already rules out."""
    if not data:
        raise PhotoError("the file is empty; fetch the photo again")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        if len(data) >= 25:
            width, height, depth = struct.unpack_from(">IIB", data, 16)
            if width == 0 or height == 0:
                raise PhotoError(f"the photo is {width} x {height} pixels, it has none to protect")
            if depth == 16:  # Pillow would keep the upper 8 bits of a colour PNG and say nothing
                raise PhotoError("a PNG of 16 bits a channel is not supported; save it with 8 bits")
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    other = next((name for start, name in _OTHER_FORMATS.items() if data.startswith(start)), None)
    if data[4:8] == b"ftyp":
        other = "HEIC, AVIF or video"
    if other:
        raise PhotoError(f"{other} is not supported; save the photo as one of {SUPPORTED}")
    raise PhotoError(f"not an image; {SUPPORTED} photos are read")


def _check_header(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PhotoError(
            f"{width} x {height} pixels are more than {MAX_PIXELS // 10**6} megapixels; make the photo smaller"
        )
    if getattr(image, "n_frames", 1) > 1:
        raise PhotoError("an animated picture is not supported; save one frame as a photo")


def _choose_encoding(image: Image.Image, data: bytes, options: dict[str, Any]) -> list[str]:
    """Add to the options for Pillow's `save` how to encode the pixels; return notes on what the file will lack."""
    notes = []
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        # 4:4:4, because a perturbation in colour does not survive that half of the colour samples are dropped.
        options["subsampling"] = 0
        tables = [table for _, table in sorted(image.quantization.items())]
        options |= {"qtables": tables} if 0 < len(tables) <= 4 else {"quality": QUALITY}
        if image.mode == "CMYK":
            options.pop("icc_profile", None)
            notes.append("converted from CMYK to RGB, without the CMYK colour profile")
    elif image.format == "WEBP" and _is_lossless_webp(data):
        options |= {"lossless": True, "exact": True}  # exact: also the pixels below full transparency
    elif image.format == "WEBP":
        options |= {"quality": QUALITY, "exact": True}
    elif image.format == "PNG":
        options["compress_level"] = COMPRESSION
        if image.mode == "P":
            notes.append("written with full colours in place of a palette")
        elif image.mode == "1":
            notes.append("written as 8-bit grey")
    return notes


def _is_lossless_webp(data: bytes) -> bool:
    """Tell whether the picture of a WebP file is in a VP8L chunk."""
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name in (b"VP8 ", b"VP8L"):
            return bool(name == b"VP8L")
        at += 8 + length + length % 2
    return False


def _decoded(image: Image.Image, kind: Format, options: dict[str, Any], notes: list[str]) -> Photo:
    if image.mode == "CMYK":
        image = _cmyk_to_rgb(image)
    mode, alpha = ("L" if image.mode in ("1", "L", "LA") else "RGB"), None
    if image.has_transparency_data:
        image = image.convert(mode + "A")
        alpha = image.getchannel("A")
    image = image if image.mode == mode else image.convert(mode)
    image.info = {}  # Pillow's `save` would write some of it
    return Photo(mode == "L" or _is_grey(image), kind, tuple(notes), image, alpha, options)


def _cut(image: Image.Image, corner: tuple[int, int], side: int) -> NDArray[np.uint8]:
    square = np.zeros((side, side, 3), np.uint8)
    (rows, columns), inside = overlap((image.height, image.width), side, corner)
    square[inside] = _pixels(image, columns.start, rows.start, columns.stop, rows.stop)
    return square


def _pixels(image: Image.Image, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
    """Return a part of an image, uint8 [H, W, 3], RGB."""
    pixels = np.empty((bottom - top, right - left, 3), np.uint8)
    at = 0
    for band in _bands(image, left, top, right, bottom):
        pixels[at : at + len(band)] = band
        at += len(band)
    return pixels


def _is_grey(image: Image.Image) -> bool:
    for band in _bands(image, 0, 0, *image.size):
        red, green, blue = np.moveaxis(band, 2, 0)
        if not (np.array_equal(red, green) and np.array_equal(red, blue)):
            return False
    return True


def _bands(image: Image.Image, left: int, top: int, right: int, bottom: int) -> Iterator[NDArray[np.uint8]]:
    """Yield a part of an image, uint8 [h, W, 3], RGB, a few rows at a time.

    Of the whole picture at once, Pillow would make two more copies on the way to an array.
    """
    rows = max(1, _BAND // max(1, right - left))
    for start in range(top, bottom, rows):
        yield np.asarray(image.crop((left, start, right, min(start + rows, bottom))).convert("RGB"))


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (KeyError, OSError, ImageCms.PyCMSError):
        converted = None
    return converted or image.convert("RGB")
