"""A WebP file taken apart into its chunks, and the quality that it was encoded with."""

import math
import struct
from collections.abc import Iterator

from ..errors import PhotoError
from .embedded import trailing
from .parts import Parts

_PICTURE = (b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L")
_ANIMATION, _ALPHA = 0x02, 0x10  # flags


def take_apart(data: bytes) -> Parts:
    """Take a WebP file apart. Where it is damaged, the picture is what a decoder can be asked about.

    Raises:
        PhotoError: the file is animated.
    """
    parts = Parts()
    picture, frames = [], 0
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little") // 2 * 2)
    for name, body, stop in _chunks(data, max(end, 20)):
        content = data[body:stop]
        if name == b"VP8X" and len(content) >= 10:
            flags = content[0] & (_ANIMATION | _ALPHA)
            picture.append(data[body - 8 : body] + bytes([flags]) + data[body + 1 : stop])
        elif name in _PICTURE:
            picture += [data[body - 8 : stop], b"\0" * (len(content) % 2)]
            frames += name == b"ANMF"
            if frames > 1:
                raise PhotoError("an animated picture is not supported; save one frame as a photo")
        elif name == b"EXIF":
            parts.exif = content.removeprefix(b"Exif\0\0")
        elif name == b"XMP ":
            parts.xmp = content
        elif name == b"ICCP":
            parts.profile = content
        elif name == b"C2PA":
            parts.others.append("content credentials")
        else:
            parts.others.append("other data")
    form = b"WEBP" + b"".join(picture)
    parts.picture = b"RIFF" + struct.pack("<I", len(form)) + form
    parts.others += trailing(data, end, parts.xmp)
    return parts


def size(picture: bytes) -> tuple[int, int]:
    """Return width and height of the picture of a WebP file, as its first chunk says; 0 where that is damaged."""
    body = picture[20:32].ljust(12, b"\0")
    if picture[12:16] == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if picture[12:16] == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def is_lossless(picture: bytes) -> bool:
    """Tell whether the picture of a WebP file is in a VP8L chunk."""
    return _frame(picture)[0] == b"VP8L"


def _frame(picture: bytes) -> tuple[bytes, bytes]:
    """Return name and content of the chunk with the pixels, which is in another one in a file made for animations."""
    for name, body, stop in _chunks(picture, len(picture)):
        if name == b"ANMF":
            return _frame(bytes(12) + picture[body + 16 : stop])
        if name in (b"VP8 ", b"VP8L"):
            return name, picture[body:stop]
    return b"", b""


def _chunks(data: bytes, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of the content of each chunk."""
    at = 12
    while at + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, at + 8, min(at + 8 + length, len(data))
        at += 8 + length + length % 2


def quality(picture: bytes) -> int | None:
    """Estimate the quality, 0 to 100, with which libwebp would quantise as the lossy picture of a file is quantised.

    Returns:
        None where there is no such picture.
    """
    name, frame = _frame(picture)
    if name != b"VP8 " or len(frame) < 11 or frame[0] & 1:
        return None
    shares = _quantisers(_Bits(frame[10:]))
    # The inverse of libwebp's QualityToCompression(): the quantiser's index is 127 (1 - compression), rounded down. It
    # spreads the segments around what a single one would have, so that the mean of their logarithms is that.
    compression = math.exp(sum(share * math.log(max(1 - (step + 0.5) / 127, 0.004)) for step, share in shares))
    linear = compression**3
    return round(100 * (linear * 1.5 if linear < 0.5 else (linear + 1) / 2))


def _quantisers(bits: "_Bits") -> list[tuple[int, float]]:
    """Return the quantiser's index, 0 to 127, of each segment and its share of the picture (RFC 6386, section 9)."""
    bits.number(2)  # colour space, clamping
    segments, absolute, tree = [], True, [1.0, 1.0, 1.0]
    if bits.number(1):
        with_map = bits.number(1)
        if bits.number(1):
            absolute = bool(bits.number(1))
            segments = [bits.signed(7) for _ in range(4)]
            for _ in range(4):
                bits.signed(6)  # of the loop filter
        if with_map:
            tree = [bits.number(8) / 255 if bits.number(1) else 1.0 for _ in range(3)]
    bits.number(10)  # of the loop filter
    if bits.number(1) and bits.number(1):
        for _ in range(8):
            bits.signed(6)
    bits.number(2)  # partitions
    base = bits.number(7)
    if not segments:
        return [(base, 1.0)]
    low, first, third = tree  # of a segment below the third, of the first among these, of the third among the others
    shares = (low * first, low * (1 - first), (1 - low) * third, (1 - low) * (1 - third))
    steps = (min(127, max(0, step if absolute else base + step)) for step in segments)
    return list(zip(steps, shares, strict=True))


class _Bits:
    """The boolean decoder of RFC 6386, section 7, for bits of which either value is as likely."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data + b"\0\0", 2
        self._value = int.from_bytes(self._data[:2], "big")
        self._range, self._shifts = 255, 0

    def number(self, length: int) -> int:
        """Read an unsigned number of so many bits."""
        result = 0
        for _ in range(length):
            result = 2 * result + self._bit()
        return result

    def signed(self, length: int) -> int:
        """Read a flag and, where it is set, a number of so many bits and its sign; 0 without."""
        if not self.number(1):
            return 0
        number = self.number(length)
        return -number if self.number(1) else number

    def _bit(self) -> int:
        split = 1 + (self._range - 1) // 2
        bit = self._value >= split << 8
        if bit:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < 128:
            self._value, self._range, self._shifts = self._value << 1, self._range << 1, self._shifts + 1
            if self._shifts == 8:
                self._shifts = 0
                self._value |= self._data[self._at] if self._at < len(self._data) else 0
                self._at += 1
        return int(bit)
