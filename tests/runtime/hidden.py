"""Photo files with metadata, made for the tests, and a search for other pictures in a file."""

import base64
import io
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

from .photos import STORED, UPRIGHT, chunk, encoded, reopened

# What a camera or a program would show before the photo is opened: a picture of the face before protection.
PREVIEW = encoded(Image.fromarray(UPRIGHT), "JPEG")
NAMES = {
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xapGImg": "http://ns.adobe.com/xap/1.0/g/img/",
    "GImage": "http://ns.google.com/photos/1.0/image/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "Container": "http://ns.google.com/photos/1.0/container/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "own": "http://example.org/own/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "mwg_rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
}


def with_segments(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    """Put segments, each a marker and what it holds, at the beginning of a JPEG."""
    added = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    return jpeg[:2] + added + jpeg[2:]


def with_chunks(data: bytes, *chunks: tuple[bytes, bytes], behind: bool = False) -> bytes:
    """Put chunks, each a name and what it holds, ahead of the pixels of a PNG or behind them."""
    at = data.index(b"IEND") - 4 if behind else data.index(b"IDAT") - 4
    return data[:at] + b"".join(chunk(name, body) for name, body in chunks) + data[at:]


def packet(content: str, **namespaces: str) -> bytes:
    """An XMP packet with this content of its description."""
    declared = "".join(f' xmlns:{prefix.replace("_", "-")}="{uri}"' for prefix, uri in namespaces.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about=""{declared}>{content}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def other_pictures(data: bytes, folder: Path) -> list[str]:
    """Return where in a photo file there are other pictures: at these places, or in tags that exiftool can extract."""
    found = [f"at {start.start()}" for start in _PICTURE.finditer(data, 1) if _opens(data[start.start() :])]
    if shutil.which("exiftool"):
        path = folder / "examined"
        path.write_bytes(data)
        command = ["exiftool", "-a", "-u", "-ee", "-b", "-j", "-G1", str(path)]
        (tags,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        for name, value in tags.items():
            text = value if isinstance(value, str) else json.dumps(value)
            raw = base64.b64decode(text[7:]) if text.startswith("base64:") else text.encode()
            if _opens(raw) or _PICTURE.search(raw) or _PICTURE.search(_loosely_decoded(raw)):
                found.append(name)
    return found


_PICTURE = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n|RIFF....WEBP|GIF8|II\*\0|MM\0\*|....ftyp", re.DOTALL)


def _opens(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).close()
    except Exception:
        return False
    return True


def _loosely_decoded(text: bytes) -> bytes:
    digits: list[bytes] = re.findall(rb"[A-Za-z0-9+/]{40,}", text)
    return b"".join(base64.b64decode(run[: len(run) // 4 * 4]) for run in digits)


def photo_with(
    kind: str, xmp: bytes = b"", exif: Image.Exif | None = None, stored: Any = UPRIGHT, **more: Any
) -> bytes:
    options: dict[str, Any] = more if exif is None else {"exif": exif, **more}
    if xmp and kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
    elif xmp:
        options["xmp"] = xmp
    return encoded(Image.fromarray(stored), kind, **options)


def exif_with_thumbnail(orientation: int = 1) -> bytes:
    """EXIF with a camera, a serial number, a position, a maker note and a thumbnail."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Camera maker"
    exif.get_ifd(ExifTags.IFD.Exif).update({0xA431: "SERIAL-1", 0x927C: b"MAKERNOTE"})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (52.0, 30.0, 0.0)})
    block = bytearray(exif.tobytes())
    # Pillow writes no thumbnail, so hang a second directory behind the first one.
    tiff, order = block[6:], "<" if block[6:8] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, first)
    struct.pack_into(order + "I", tiff, first + 2 + 12 * count, len(tiff))
    start = len(tiff) + 2 + 2 * 12 + 4
    tiff += struct.pack(order + "HHHIIHHIII", 2, 0x201, 4, 1, start, 0x202, 4, 1, 9, 0) + b"THUMBNAIL"
    return bytes(block[:6] + tiff)


def with_metadata(kind: str, orientation: int = 1) -> bytes:
    image, options = Image.fromarray(STORED[orientation]), {"exif": exif_with_thumbnail(orientation)}
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("Comment", "SECRET")
        chunks.add_itxt("XML:com.adobe.xmp", packet("<xmp:Label>XMPDATA</xmp:Label>", xmp=NAMES["xmp"]).decode())
        return encoded(image, kind, pnginfo=chunks, **options)
    comment = {"comment": b"SECRET"} if kind == "JPEG" else {}
    return encoded(image, kind, xmp=packet("<xmp:Label>XMPDATA</xmp:Label>", xmp=NAMES["xmp"]), **options, **comment)


def xmp_of(data: bytes) -> str:
    """The XMP of a photo file."""
    return bytes(reopened(data).info.get("xmp", b"")).decode()
