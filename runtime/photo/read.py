"""Decode photos: what is not one is refused, in words that say what to do."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from ..errors import PhotoError
from . import jpeg, png, profiles, webp
from .exif import orientation
from .image import Format, Photo, bands, cut, is_grey
from .metadata import Metadata, MetadataPolicy
from .parts import Parts

SUPPORTED = "JPEG, PNG and WebP"
# Beyond these, decoding, detecting and encoding would take the process above a gigabyte.
MAX_MEGAPIXELS = {"JPEG": 80, "progressive JPEG": 60, "PNG": 60, "WebP": 40, "lossless WebP": 20}
# Huffman tables made for the picture save 4 % of a JPEG; in larger ones that would take longest of all that is done.
_MAX_OPTIMISED = 4 * 10**6
# Of JPEGs without quantisation tables to reuse, and of WebPs whose quality cannot be told.
_QUALITY = 95
# Of zlib for PNG: two to three times as fast as its default of 6 on photos, for 1 to 7 % more bytes.
_COMPRESSION = 4

_TAKE_APART = {"JPEG": jpeg.take_apart, "PNG": png.take_apart, "WEBP": webp.take_apart}
_PLUGINS: dict[Format, Any] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}
_OTHER_FORMATS = {b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"BM": "BMP", b"%PDF": "PDF", b"8BPS": "PSD"}
# How a picture that was stored under each EXIF orientation is turned upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_photo(data: bytes, metadata: MetadataPolicy = "strip") -> Photo:
    """Decode a JPEG, PNG or WebP file.

    It is turned upright as browsers turn it: by EXIF, ahead of the pixels in a PNG; not by XMP.

    Args:
        data: the bytes of the file.
        metadata: what `encode` will write back of EXIF, XMP and comments: "strip" none, "keep" all but the pictures in
            them. The colour profile and the resolution are always kept.

    Raises:
        PhotoError: the bytes are not such a photo, or one that is damaged, animated, 16-bit or too large.
    """
    kind = _recognize(data)
    # Pillow warns on stderr about flaws; what matters to the user is in the notes or the error.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            parts = _TAKE_APART[kind](data)
            image = _decoded(kind, parts)
            options, notes = _coding(kind, parts, image)
            turn = _TURNS.get(orientation(parts.exif) if parts.exif_turns else 1)
            dpi = image.info.get("dpi")
            image = _plain(image, parts, turn)
            beside = Metadata(parts, image, dpi, turn is not None, metadata)
            grey = image.mode.startswith("L") or is_grey(image)
            return Photo(grey, kind, (*beside.notes(), *notes), image, beside.options | options)
        except PhotoError:
            raise
        except MemoryError:
            raise PhotoError("not enough memory to decode it; make the photo smaller") from None
        except Exception as error:  # whatever a decoder says of bytes that somebody else wrote
            reason = " ".join(str(error).split()) or type(error).__name__
            raise PhotoError(f"the {kind} data is damaged or cut off ({reason}); fetch the photo again") from error


def read_squares(data: bytes, places: Iterable[tuple[tuple[int, int], int]]) -> list[NDArray[np.uint8]]:
    """Decode what `Photo.encode` returned, and return what `Photo.cut` gives for each corner and side."""
    image: Image.Image = _PLUGINS[_recognize(data)](io.BytesIO(data))
    return [cut(image, corner, side) for corner, side in places]


def _recognize(data: bytes) -> Format:
    """Tell the format by the first bytes, and refuse what the header already rules out."""
    if not data:
        raise PhotoError("the file is empty; fetch the photo again")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(png.SIGNATURE):
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


def _decoded(kind: Format, parts: Parts) -> Image.Image:
    """Return the picture as it is stored, decoded."""
    if kind == "WEBP":  # whose decoder makes room for the picture when it is opened
        _check_size(kind, parts, webp.size(parts.picture))
    image = _opened(kind, parts, parts.picture)
    if not parts.has_end:
        # Other bits behind the data change nothing when none of them are missing.
        longer = _opened(kind, parts, parts.picture[:-2] + jpeg.FILLER + parts.picture[-2:])
        longer.load()
        expected = _checksum(longer)
        del longer
        image.load()
        if _checksum(image) != expected:
            raise PhotoError("the JPEG data is cut off; fetch the photo again")
    image.load()
    return image


def _opened(kind: Format, parts: Parts, picture: bytes) -> Image.Image:
    # The plugin directly: Image.open() would warn of photos below our limits.
    image: Image.Image = _PLUGINS[kind](io.BytesIO(picture))
    _check_size(kind, parts, image.size)
    return image


def _check_size(kind: Format, parts: Parts, size: tuple[int, int]) -> None:
    name: str = "WebP" if kind == "WEBP" else kind
    if parts.progressive:
        name = "progressive JPEG"
    elif kind == "WEBP" and webp.is_lossless(parts.picture):
        name = "lossless WebP"
    if size[0] * size[1] > MAX_MEGAPIXELS[name] * 10**6:
        limit = f"{MAX_MEGAPIXELS[name]} megapixels, the most for a {name}"
        raise PhotoError(f"{size[0]} x {size[1]} pixels are more than {limit}; make the photo smaller")


def _checksum(image: Image.Image) -> int:
    checksum = 0
    for band in bands(image, 0, 0, *image.size):
        checksum = zlib.crc32(band.tobytes(), checksum)
    return checksum


def _coding(kind: Format, parts: Parts, image: Image.Image) -> tuple[dict[str, Any], list[str]]:
    """Return the options for Pillow's `save` that encode the pixels, and notes on what the file will lack."""
    options: dict[str, Any] = {}
    notes = []
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        # 4:4:4, because a perturbation in colour does not survive that half of the colour samples are dropped.
        options["subsampling"] = 0
        tables = [table for _, table in sorted(image.quantization.items())]
        options |= {"qtables": tables} if 0 < len(tables) <= 4 else {"quality": _QUALITY}
        small = image.width * image.height <= _MAX_OPTIMISED
        options |= {"optimize": small or parts.progressive, "progressive": parts.progressive}
        if image.mode == "CMYK":
            notes.append("converted from CMYK to RGB, without the CMYK colour profile")
    elif kind == "WEBP" and webp.is_lossless(parts.picture):
        options |= {"lossless": True, "exact": True}  # exact: also the pixels below full transparency
    elif kind == "WEBP":
        quality = webp.quality(parts.picture)
        options |= {"quality": _QUALITY if quality is None else quality, "exact": True}
    else:
        options["compress_level"] = _COMPRESSION
        if image.mode == "P":
            notes.append("written with full colours in place of a palette")
        elif image.mode == "1":
            notes.append("written as 8-bit grey")
    return options, notes


def _plain(image: Image.Image, parts: Parts, turn: Image.Transpose | None) -> Image.Image:
    """Return an image of the mode L, LA, RGB or RGBA, upright, without what its file's decoder holds."""
    vars(image).pop("_decoder", None)  # of a WebP: two more pictures
    image.fp = None  # type: ignore[attr-defined]
    if image.mode == "CMYK":
        image, parts.profile = _cmyk_to_rgb(image, profiles.valid(parts.profile)), b""
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    mode += "A" if image.has_transparency_data else ""
    if image.mode != mode:
        image = image.convert(mode)
    if turn is not None:
        image = image.transpose(turn)
    image.info = {}  # Pillow's `save` would write some of it
    return image


def _cmyk_to_rgb(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (OSError, ImageCms.PyCMSError):
        converted = None
    return converted or image.convert("RGB")
