"""Pictures that hide in other data: previews, second pictures, videos."""

import base64
import binascii
import io
import re
import warnings

from PIL import Image

# How files of pictures and videos begin. TIFF is left out: every EXIF block begins so.
_START = re.compile(
    rb"\xff\xd8\xff[\xc0-\xfe]|\x89PNG\r\n\x1a\n|RIFF....WEBP|GIF8[79]a|....ftyp(?:heic|heix|mif1|msf1|avif|avis)"
    rb"|\xff\x0a|\0\0\0\x0cJXL |\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    re.DOTALL,
)
_JXL = b"\xff\x0a"  # a start of two bytes says nothing in the midst of data
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]{40,}={0,2}")
_HEX = re.compile(rb"[0-9A-Fa-f\s]{40,}")
_JPEG = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
_NO_PADDING = re.compile(rb"[^\0\xff\r\n\t ]")
_GAIN_MAP = (b"hdrgm:Version", b"GainMap", b"hdrgainmap", b"urn:iso:std:iso:ts:21496")


def holds_picture(data: bytes) -> bool:
    """Tell whether data hold what looks like the start of a picture, as it is, in base64 or in hexadecimal digits."""
    return _starts(data) or any(_starts(decoded) for decoded in _decoded(data))


def holds_whole_picture(data: bytes) -> bool:
    """Tell whether data hold a picture that can be opened: for tables of numbers, where any few bytes may occur."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for start in _START.finditer(data):
            try:
                Image.open(io.BytesIO(data[start.start() :])).close()
            except Exception:  # not a picture, whatever the decoder says of it
                continue
            return True
    return False


def trailing(data: bytes, end: int, hints: bytes) -> list[str]:
    """Return what lies behind a picture in its file, in the user's words.

    Args:
        data: the bytes of the file.
        end: where the picture ends.
        hints: metadata of the picture, which may say that a gain map follows.
    """
    if not _NO_PADDING.search(data, end):
        return []
    found = []
    video = data.find(b"ftyp", end)
    if _JPEG.search(data, end, video if video >= 0 else len(data)):
        gain_map = any(data.find(mark, end) >= 0 or mark in hints for mark in _GAIN_MAP)
        found.append("HDR gain map" if gain_map else "second picture")
    if video >= 0:
        found.append("video")
    return found or ["data behind the picture"]


def _starts(data: bytes) -> bool:
    return any(start.group() != _JXL or start.start() == 0 for start in _START.finditer(data))


def _decoded(data: bytes) -> list[bytes]:
    found = []
    for run in _HEX.finditer(data):
        digits = b"".join(run.group().split())
        found.append(binascii.unhexlify(digits[: len(digits) // 2 * 2]))
    for run in _BASE64.finditer(data):
        digits = re.sub(rb"[^A-Za-z0-9+/]", b"", run.group())
        # Text ahead of it may run into the digits, so try each of the four places where a group of them may begin.
        found += [base64.b64decode(digits[at : at + (len(digits) - at) // 4 * 4]) for at in range(4)]
    return found
