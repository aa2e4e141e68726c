"""EXIF: which way up a photo is, what the block tells, and the block without pictures.

Pillow reads tags when they are asked for, and fails in many ways on what somebody's camera wrote wrongly: whatever it
raises is a flaw in the block, which costs a tag or the block, never the photo.
"""

from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base, Interop

from .embedded import holds_picture

_PREFIX = b"Exif\0\0"
_MAKER_NOTE, _THUMBNAIL = 0x927C, 0x0201
_SERIAL_NUMBERS = (0xA431, 0xA435)  # of the camera body and of the lens
_AUTHORS = (0x013B, 0x8298, 0x9C9D)  # artist, copyright, Windows' author
_SIZES = ((0x0100, 0x0101), (0xA002, 0xA003), (0x1001, 0x1002))  # width and height: IFD0, EXIF, interoperability
_SUBJECT = (0x9214, 0xA214)  # where in the picture
# Tags that hold another file or point to one: XMP, sub-directories, strips and tiles of pixels, JPEG data, IPTC,
# Photoshop's resources, an ICC profile, private data of a raw converter.
_OTHER_FILES = {
    *(0x014A, 0x0111, 0x0117, 0x0144, 0x0145, 0x015B, 0x0201, 0x0202, 0x0207, 0x0208, 0x0209, 0x02BC),
    *(0x83BB, 0x8649, 0x8773, 0xC634, _MAKER_NOTE),
}
_NAMES = {_MAKER_NOTE: "maker note", 0x02BC: "XMP in EXIF", 0x83BB: "IPTC", 0x8649: "Photoshop's data"}
# Longer ones that are not text are no camera setting, and could be pixels.
_MAX_BINARY = 1024

Exif = Image.Exif


def read_exif(block: bytes) -> Exif | None:
    """Return the tags of a block, or None where there are none or it cannot be read."""
    exif = Exif()
    try:
        exif.load(_PREFIX + block)
        dict(exif)  # read all of it here, where damage can be caught
        _directory(exif, IFD.GPSInfo)
        if IFD.Interop in _directory(exif, IFD.Exif):
            exif.get_ifd(IFD.Interop)
    except Exception:  # see above
        return None
    return exif if len(exif) else None


def orientation(block: bytes) -> int:
    """Return the orientation, 1 to 8, as a block says; 1, upright, where it says none or cannot be read."""
    exif = Exif()
    try:
        exif.load(_PREFIX + block)
        value = exif.get(Base.Orientation, 1)
        return value if value in range(1, 9) else 1
    except Exception:  # see above
        return 1


def is_adobe_rgb(exif: Exif) -> bool:
    """Tell whether the block says that the colours are Adobe RGB: by DCF's R03, or by the value that some write."""
    details = _directory(exif, IFD.Exif)
    interop = exif.get_ifd(IFD.Interop) if IFD.Interop in details else {}
    index, space = str(interop.get(Interop.InteropIndex, "")).rstrip("\0 "), details.get(Base.ColorSpace)
    return space == 2 or (index == "R03" and space != 1)


def facts(exif: Exif) -> list[str]:
    """Return what the block tells, in the user's words."""
    found = ["GPS position"] if _directory(exif, IFD.GPSInfo) else []
    if any(tag in _directory(exif, IFD.Exif) for tag in _SERIAL_NUMBERS):
        found.append("serial numbers")
    if any(tag in exif for tag in _AUTHORS):
        found.append("author")
    return found


def has_thumbnail(block: bytes) -> bool:
    """Tell whether there is a second directory with a thumbnail, which Pillow never writes."""
    exif = Exif()  # of its own, because some Pillows cannot write one that was asked for its thumbnail
    try:
        exif.load(_PREFIX + block)
        second = exif.get_ifd(IFD.IFD1)
        return any(tag in second for tag in (_THUMBNAIL, 0x0111, 0x0100))
    except Exception:  # see above
        return False


def clean(exif: Exif, size: tuple[int, int], turned: bool) -> list[str]:
    """Remove what must not be written back, and make the rest true of the picture as it is written.

    Args:
        exif: the tags; changed in place.
        size: width and height of the upright photo.
        turned: the photo was not stored upright.

    Returns:
        What was removed, in the user's words.
    """
    parts: list[Any] = [exif, _directory(exif, IFD.Exif), _directory(exif, IFD.GPSInfo)]
    if IFD.Interop in parts[1]:
        parts.append(exif.get_ifd(IFD.Interop))
    removed = []
    for tags in parts:
        for tag in list(tags):
            if is_picture := _is_picture(tags[tag]):
                removed.append("preview")
            if is_picture or tag in _OTHER_FILES:
                removed += [_NAMES[tag]] if tag in _NAMES else []
                del tags[tag]
    exif[Base.Orientation] = 1
    for tags in parts:
        for width, height in _SIZES:
            if width in tags or height in tags:
                tags[width], tags[height] = size
        for tag in _SUBJECT:
            if turned and tag in tags:
                del tags[tag]
    return removed


def to_block(exif: Exif) -> bytes:
    """Return the block to write, with "Exif" ahead of it; empty where Pillow cannot write what it read."""
    try:
        block = exif.tobytes()
    except Exception:  # see above
        return b""
    return b"" if holds_picture(block) else block


def _directory(exif: Exif, part: IFD) -> dict[int, Any]:
    # Pillow would write an empty directory that it was once asked for in vain.
    return exif.get_ifd(part) if part in exif else {}


def _is_picture(value: Any) -> bool:
    if isinstance(value, str):
        return holds_picture(value.encode("latin-1", "replace"))
    if isinstance(value, bytes):
        return holds_picture(value) or (len(value) > _MAX_BINARY and not _is_text(value))
    return isinstance(value, tuple) and len(value) > _MAX_BINARY


def _is_text(value: bytes) -> bool:
    for start, encoding in ((0, "utf-8"), (8, "utf-8"), (8, "utf-16-le"), (8, "utf-16-be"), (0, "utf-16-le")):
        try:  # eight bytes ahead of a user's comment name its encoding
            text = value[start:].decode(encoding).rstrip("\0")
        except UnicodeDecodeError:
            continue
        if sum(character.isprintable() or character.isspace() for character in text) > 0.98 * len(text):
            return True
    return False
