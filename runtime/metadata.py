"""What travels with a photo's pixels: what is always written back, what only on request, and what never.

The colour profile and the resolution belong to the picture and stay. EXIF, XMP and comments tell where, when and by
whom the photo was taken: by default they are removed. Previews are removed even when the rest is kept, because they
show the face before protection.
"""

import contextlib
import math
import struct
from collections.abc import Iterator
from typing import Any

from PIL import ExifTags, Image, ImageOps, PngImagePlugin

# Chunks that say what the numbers of a PNG without an ICC profile mean as colours.
_COLOUR_CHUNKS = (b"cHRM", b"cICP", b"gAMA", b"sRGB")
_MAX_SEGMENT = 65_000  # a JPEG segment has a length of 16 bits, part of which the segment's own header takes
_SERIAL_NUMBERS = (0xA431, 0xA435)  # of the camera body and of the lens
_MAKER_NOTE = 0x927C
_THUMBNAIL = 0x0201
# Namespaces in which programs put previews and second pictures into XMP.
_XMP_PICTURES = (b"xmpGImg:image", b"GImage:Data", b"GDepth:Data")


def always_kept(image: Image.Image, data: bytes) -> dict[str, Any]:
    """Return the options for Pillow's `save` that keep the colour profile and the resolution.

    Args:
        image: the photo.
        data: the bytes of the file that it was opened from.
    """
    options: dict[str, Any] = {}
    if profile := image.info.get("icc_profile"):
        options["icc_profile"] = profile
    if dpi := _resolution(image):
        options["dpi"] = dpi
    if image.format == "PNG":
        options["pnginfo"] = chunks = PngImagePlugin.PngInfo()
        for name, body in _png_chunks(data):
            if name in _COLOUR_CHUNKS:
                chunks.add(name, body)
    return options


def kept_on_request(image: Image.Image, options: dict[str, Any]) -> list[str]:
    """Add to `options` what `metadata="keep"` keeps: EXIF, XMP and comments, without previews.

    Args:
        image: the photo, turned upright.
        options: for Pillow's `save`, from `always_kept`.

    Returns:
        What could not be kept, in the user's words.
    """
    lost = []
    if exif := _exif(image):
        exif[ExifTags.Base.Orientation] = 1
        # A maker note may hold a preview, and its offsets would not survive the move. Pillow writes no thumbnail.
        if exif.get_ifd(ExifTags.IFD.Exif).pop(_MAKER_NOTE, None):
            lost.append("maker note")
        block = _exif_bytes(exif)
        if 0 < len(block) <= _MAX_SEGMENT:
            options["exif"] = block
    if _has_exif(image) and "exif" not in options:
        lost.append("EXIF, which is damaged or too large")
    if xmp := _xmp(image):
        if len(xmp) > _MAX_SEGMENT or any(name in xmp for name in _XMP_PICTURES):
            lost.append("XMP, which holds a preview or is too large")
        elif image.format == "PNG":
            options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        else:
            options["xmp"] = xmp
    for name, text in _texts(image).items():
        if image.format == "PNG":
            options["pnginfo"].add_itxt(name, text)
        elif len(text) < _MAX_SEGMENT:
            options["comment"] = text.encode("latin-1", "replace")
    if "photoshop" in image.info:
        lost.append("IPTC")
    return lost


def describe(image: Image.Image) -> list[str]:
    """Return what the file says beside the picture, in the user's words, for the note on what was removed.

    Args:
        image: the photo as it was opened.
    """
    found = ["EXIF"] if _has_exif(image) else []
    if exif := _exif(image):
        if ExifTags.IFD.GPSInfo in exif:
            found.append("GPS position")
        if any(tag in exif.get_ifd(ExifTags.IFD.Exif) for tag in _SERIAL_NUMBERS):
            found.append("serial numbers")
    if _xmp(image):
        found.append("XMP")
    if "photoshop" in image.info:
        found.append("IPTC")
    if _texts(image):
        found.append("comments")
    return found + pictures(image)


def pictures(image: Image.Image) -> list[str]:
    """Return which copies of the picture the file holds; they are never kept.

    Args:
        image: the photo as it was opened; turning it upright drops the thumbnail.
    """
    found = []
    exif = Image.Exif()  # of its own, because some Pillows cannot write one that was asked for its thumbnail
    with contextlib.suppress(Exception):  # as in _exif
        exif.load(image.info.get("exif", b""))
        if _THUMBNAIL in exif.get_ifd(ExifTags.IFD.IFD1):
            found.append("thumbnail")
    if "mp" in image.info:
        found.append("second picture")
    return found


def _resolution(image: Image.Image) -> tuple[float, float] | None:
    """Return dots per inch, or None where the file states none or nonsense."""
    try:
        x, y = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if all(math.isfinite(value) and 1 <= value < 65535 for value in (x, y)) else None


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the body of each chunk ahead of the pixels."""
    at = 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IDAT":
            return
        yield name, data[at + 8 : at + 8 + length]
        at += length + 12


def turn_upright(image: Image.Image) -> None:
    """Turn and mirror a decoded photo, in place, as its EXIF says; one whose EXIF cannot be read stays as it is."""
    _exif(image)  # Pillow reads damaged EXIF once, fails, and then goes on without
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # it has turned the pixels by then and fails to write another tag back, as in _exif_bytes
        return


def _has_exif(image: Image.Image) -> bool:
    return "exif" in image.info or "Raw profile type exif" in image.info


def _exif(image: Image.Image) -> Image.Exif | None:
    """Return the EXIF block, or None where there is none or Pillow cannot read it."""
    if not _has_exif(image):
        return None  # getexif() would make one up from XMP
    try:
        exif = image.getexif()
        # Pillow reads tags when they are asked for, so ask now, where damage can be caught.
        for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            exif.get_ifd(part)
        dict(exif)
    except Exception:  # Pillow fails in many ways on EXIF that somebody's camera wrote wrongly
        return None
    return exif


def _exif_bytes(exif: Image.Exif) -> bytes:
    """Return the block to write; empty where Pillow cannot write what it read."""
    try:
        return exif.tobytes()
    except Exception:  # as above
        return b""


def _xmp(image: Image.Image) -> bytes:
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return xmp.encode() if isinstance(xmp, str) else bytes(xmp)


def _texts(image: Image.Image) -> dict[str, str]:
    """Return the comments by name; a JPEG or WebP has at most one."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        return {
            name: text
            for name, text in image.text.items()
            if name != "XML:com.adobe.xmp" and not name.startswith("Raw profile type")
        }
    comment = image.info.get("comment")
    return {"comment": comment.decode("latin-1")} if isinstance(comment, bytes) and comment else {}
