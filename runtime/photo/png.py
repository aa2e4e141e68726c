"""A PNG file taken apart into its chunks."""

import struct
import zlib
from collections.abc import Iterator

from ..errors import PhotoError
from .embedded import trailing
from .parts import Parts

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
# Chunks that say what the numbers of a PNG without an ICC profile mean as colours, and their lengths.
_COLOUR = {b"cHRM": 32, b"cICP": 4, b"gAMA": 4, b"sRGB": 1}
# Known ones that say nothing of the photo's owner, or no longer hold for changed pixels.
_DROPPED = {b"IEND", b"bKGD", b"hIST", b"sBIT", b"sPLT", b"tIME", b"acTL", b"fcTL", b"fdAT", b"pHYs", b"tRNS", b"iDOT"}
_MAX_PROFILE = 2**23
_MAX_TEXT = 2**20  # of all texts together
_MAX_CHUNKS = 10**6
_NO_TEXT, _NO_PROFILE = "comments, which are damaged or too large", "colour profile, which is damaged"
_XMP = "XML:com.adobe.xmp"
_RAW_EXIF = ("Raw profile type exif", "Raw profile type APP1")  # as ImageMagick writes it


def take_apart(data: bytes) -> Parts:
    """Take a PNG file apart. Where it is damaged, the picture is what a decoder can be asked about.

    Chunks whose checksum is wrong are dropped where the picture can do without them.

    Raises:
        PhotoError: the file is animated.
    """
    parts = Parts(is_png=True)
    picture, pixels = [SIGNATURE], False
    end = len(data)
    for name, start, body, stop in _chunks(data):
        content = data[body : stop - 4]
        if name == b"IDAT":
            picture.append(data[start:stop])
            pixels = True
        elif name in (b"IHDR", b"PLTE"):
            picture.append(data[start:stop])
        elif zlib.crc32(name + content) != int.from_bytes(data[stop - 4 : stop], "big"):
            parts.others.append("damaged data")
        elif name == b"acTL" and len(content) >= 4 and int.from_bytes(content[:4], "big") > 1:
            raise PhotoError("an animated picture is not supported; save one frame as a photo")
        elif (name == b"tRNS" and not pixels) or (name == b"pHYs" and len(content) == 9 and not pixels):
            picture.append(data[start:stop])
        else:
            _metadata(parts, name, content, pixels)
        if name == b"IEND":
            end = stop
            break
    picture.append(_END)
    parts.picture = b"".join(picture)
    parts.others += trailing(data, end, parts.xmp)
    return parts


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield name, start, start of the content and end, behind the checksum, of each chunk."""
    at = len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, at)
        if not name.isalpha():
            return
        yield name, at, at + 8, at + 12 + length
        at += 12 + length


def _metadata(parts: Parts, name: bytes, content: bytes, pixels: bool) -> None:
    if name == b"eXIf":
        parts.exif = content
        # Browsers ignore an orientation behind the pixels, and the third edition of PNG forbids it there.
        parts.exif_turns = not pixels
    elif name == b"iCCP":
        _, _, compressed = content.partition(b"\0")
        if not parts.profile and _NO_PROFILE not in parts.others:
            parts.profile = _expanded(compressed[1:], _MAX_PROFILE)
            parts.others += [_NO_PROFILE] * (not parts.profile)
    elif name in _COLOUR:
        if len(content) == _COLOUR[name] and not pixels and all(name != known for known, _ in parts.colour):
            parts.colour.append((name, content))
    elif name in (b"tEXt", b"zTXt", b"iTXt"):
        _text(parts, name, content, pixels)
    elif name == b"caBX":
        parts.others.append("content credentials")
    elif name not in _DROPPED:
        parts.others.append("other data")


def _text(parts: Parts, kind: bytes, content: bytes, pixels: bool) -> None:
    key, _, rest = content.partition(b"\0")
    name, text = key.decode("latin-1"), rest
    room = 0 if _NO_TEXT in parts.others else _MAX_TEXT - sum(len(known) for _, known in parts.comments)
    if kind == b"zTXt":
        text = _expanded(rest[1:], room)
    elif kind == b"iTXt":
        compressed, (_, _, text) = rest[:1] == b"\1", [*rest[2:].split(b"\0", 2), b"", b"", b""][:3]
        text = _expanded(text, room) if compressed else text
    if name == _XMP:
        parts.xmp = text
    elif name in _RAW_EXIF:
        if not parts.exif:
            parts.exif, parts.exif_turns = _raw_profile(text), not pixels
    elif name.startswith("Raw profile type"):
        parts.others.append("IPTC" if name.endswith("iptc") else "other data")
    elif (not text and rest[1:]) or len(text) > room:
        parts.others.append(_NO_TEXT)
    else:
        parts.comments.append((name, text.decode("utf-8" if kind == b"iTXt" else "latin-1", "replace")))


def _expanded(compressed: bytes, limit: int) -> bytes:
    """Return what was compressed; nothing where that is damaged or longer than the limit."""
    if limit <= 0:
        return b""
    try:
        stream = zlib.decompressobj()
        expanded = stream.decompress(compressed, limit)
    except zlib.error:
        return b""
    return expanded if stream.eof else b""


def _raw_profile(text: bytes) -> bytes:
    """Return the EXIF block of a text of a name, a length and hexadecimal digits; nothing where it is damaged."""
    try:
        block = bytes.fromhex("".join(text.decode("ascii").split()[2:]))
    except ValueError:
        return b""
    return block.removeprefix(b"Exif\0\0")
