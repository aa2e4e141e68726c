"""A JPEG file taken apart: its segments by their markers, and what lies behind its end."""

import re
from collections.abc import Iterator

from ..errors import PhotoError
from .embedded import trailing
from .parts import Parts

_SCAN, _END, _COMMENT = 0xDA, 0xD9, 0xFE
# Bits to put behind a scan: a decoder that has had all it needed does not look at them.
FILLER = b"\x5a" * 64
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
# Frames, tables and restart intervals: all that a decoder needs beside the scans.
_NEEDED = {*range(0xC0, 0xD0), 0xDB, 0xDC, 0xDD, 0xDE, 0xDF}
_ALONE = {0x00, 0x01, *range(0xD0, 0xD9)}  # markers without a length
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
# More than a coder writes; each takes a pass over the picture.
_MAX_SCANS = 100
# More than any camera or program writes.
_MAX_SEGMENTS, _MAX_COMMENTS, _MAX_METADATA = 10_000, 20, 2**20

_EXIF, _XMP, _MORE_XMP = b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_ICC, _PHOTOSHOP = b"ICC_PROFILE\0", b"Photoshop 3.0\0"
_PHOTOSHOP_THUMBNAILS = (b"8BIM\x04\x09", b"8BIM\x04\x0c")


def take_apart(data: bytes) -> Parts:
    """Take a JPEG file apart. Where it is damaged, the picture is what a decoder can be asked about.

    Raises:
        PhotoError: there are more scans than any coder writes.
    """
    parts = Parts()
    picture, profile, scan = [b"\xff\xd8"], {}, len(data)
    for marker, start, body, end in _segments(data):
        content = data[body:end]
        if marker == _SCAN:
            scan = start
        elif marker in _NEEDED:
            picture.append(data[start:end])
            parts.progressive |= marker in _PROGRESSIVE
        elif marker == 0xE0 and content.startswith(b"JFIF\0") and len(content) >= 14:
            picture.append(b"\xff\xe0\0\x10" + content[:12] + b"\0\0")  # without its thumbnail
            parts.others += ["thumbnail"] * (len(content) > 14)
        elif marker == 0xEE and content.startswith(b"Adobe") and len(content) >= 12:
            picture.append(data[start:end])  # says what the channels are
        elif marker == 0xE2 and content.startswith(_ICC) and len(content) > 14:
            profile[content[12]] = content[14:]
        else:
            _metadata(parts, marker, content)
    parts.profile = b"".join(profile[number] for number in sorted(profile))
    end, parts.has_end = _end_of_scans(data, scan)
    picture += [data[scan:end]] if parts.has_end else [data[scan:end].rstrip(b"\xff"), b"\xff\xd9"]
    parts.picture = b"".join(picture)
    parts.others += trailing(data, end, data[2 : min(scan, _MAX_METADATA)])
    return parts


def _metadata(parts: Parts, marker: int, content: bytes) -> None:
    if marker == 0xE1 and content.startswith(_EXIF):
        if len(parts.exif) < _MAX_METADATA:
            parts.exif += content[6:]  # a long one goes on in the next segment
    elif marker == 0xE1 and content.startswith(_XMP):
        parts.xmp = content[len(_XMP) :]
    elif marker == 0xE1 and content.startswith(_MORE_XMP):
        parts.others.append("extended XMP")
    elif marker == 0xED and content.startswith(_PHOTOSHOP):
        parts.others.append("IPTC")
        parts.others += ["thumbnail"] * any(mark in content for mark in _PHOTOSHOP_THUMBNAILS)
    elif marker == _COMMENT:
        if len(parts.comments) < _MAX_COMMENTS:
            parts.comments.append(("comment", content.decode("latin-1")))
    elif marker == 0xE0:
        parts.others += ["thumbnail"] * content.startswith(b"JFXX\0")
    elif marker == 0xEB and content.startswith(b"JP"):
        parts.others.append("content credentials")
    elif 0xE0 <= marker <= 0xEF and marker != 0xEE and not content.startswith((_ICC, b"MPF\0", b"urn:iso")):
        parts.others.append("other data")


def _segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield marker, start, start of the content and end of each segment up to the first scan, and the scan's header."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if (found := _MARKER.search(data, at)) is None:
            return
        marker, at = found.group(1)[0], found.end()
        if marker == _END:
            return
        if marker in _ALONE:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        yield marker, found.end() - 2, at + 2, at + length
        if marker == _SCAN:
            return
        at += max(2, length)


def _end_of_scans(data: bytes, at: int) -> tuple[int, bool]:
    """Return where the picture ends that has its first scan here, and whether an end is marked there."""
    scans = 0
    while (found := _MARKER.search(data, at)) is not None:
        marker, at = found.group(1)[0], found.end()
        if marker == _END:
            return at, True
        if marker == 0xD8:  # another picture begins; this one's end is missing
            return found.start(), False
        if marker in _NEEDED or marker == _SCAN or marker >= 0xE0:
            with_length = data[at : at + 2]
            at += int.from_bytes(with_length, "big")
        scans += marker == _SCAN
        if scans > _MAX_SCANS:
            raise PhotoError(f"the JPEG has more than {_MAX_SCANS} scans; save the photo again")
    return len(data), False
