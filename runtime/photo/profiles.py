"""ICC profiles: which are kept, and one for photos whose EXIF alone says that their colours are Adobe RGB."""

import io
import struct

from PIL import ImageCms

from .embedded import holds_whole_picture

_HEADER = 128


def valid(profile: bytes) -> bytes:
    """Return a profile cut to the length that it declares; nothing where it is not one, or holds a picture."""
    if len(profile) < _HEADER + 4 or profile[36:40] != b"acsp":
        return b""
    length = int.from_bytes(profile[:4], "big")
    if not _HEADER + 4 <= length <= len(profile) or holds_whole_picture(profile[:length]):
        return b""
    try:
        ImageCms.ImageCmsProfile(io.BytesIO(profile[:length]))
    except (OSError, ImageCms.PyCMSError):
        return b""
    return profile[:length]


def adobe_rgb() -> bytes:
    """Return a profile compatible with Adobe RGB (1998), of version 2: three primaries, a white point and a gamma.

    The primaries are those of the Adobe RGB (1998) encoding, adapted to D50 as its annex has them.
    """
    text = b"Compatible with Adobe RGB (1998)\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)
    gamma = b"curv" + struct.pack(">4xIH", 1, 0x0233)  # 563 / 256
    tags = {
        b"desc": description,
        b"cprt": b"text" + bytes(4) + b"No copyright, use freely\0",
        b"wtpt": _xyz(0.95045, 1.0, 1.08905),
        b"rXYZ": _xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": _xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": _xyz(0.14919, 0.06322, 0.74457),
        b"rTRC": gamma,
        b"gTRC": gamma,
        b"bTRC": gamma,
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = _HEADER + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4xI4s4s4s", start + len(body), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _xyz(0.9642, 1.0, 0.82491)[8:]
    return header.ljust(_HEADER, b"\0") + table + body


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))
