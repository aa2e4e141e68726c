"""Compare the metadata that the page keeps with those that Python keeps.

`kept.py make SOURCE FOLDER` writes photos that tell much. `kept.py compare FOLDER` takes JSON on stdin: what the page
would write of each photo in the folder, `exif`, `xmp` (base64), `comments` (name and text) and `notes`. It prints JSON:
what differs, of each photo. `kept.py same PHOTO WRITTEN` prints what differs in a file that the page wrote.
"""

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import Image, PngImagePlugin

from face_encryption.runtime.photo import read_photo

XMP = """<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description
 xmlns:tiff='http://ns.adobe.com/tiff/1.0/' xmlns:exif='http://ns.adobe.com/exif/1.0/'
 xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:xmp='http://ns.adobe.com/xap/1.0/'
 xmlns:mwg-rs='http://www.metadataworkinggroup.com/schemas/regions/' tiff:Orientation='6' exif:PixelXDimension='9'>
<exif:PixelYDimension>8</exif:PixelYDimension><dc:creator>A &amp; B "C"</dc:creator><!-- so -->
<dc:title><![CDATA[<t>]]></dc:title>
<mwg-rs:Regions>here</mwg-rs:Regions><xmp:Thumbnails><rdf:Alt/></xmp:Thumbnails></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end='w'?>"""


def write_photos(source: Path, folder: Path) -> None:
    """Write photos of each format with EXIF, XMP and comments, stored on their side and upright."""
    image = Image.open(source).convert("RGB").resize((96, 64))
    for turn in (1, 6):
        exif = Image.Exif()
        exif[0x0112], exif[0x010F], exif[0x013B] = turn, "a maker", "somebody"
        details = exif.get_ifd(0x8769)
        details.update({0x829A: (1, 50), 0x927C: b"its notes", 0xA002: 7, 0xA003: 5, 0xA431: "123", 0x9214: (3, 4)})
        details[0x9286] = b"ASCII\0\0\0a comment"
        exif.get_ifd(0x8825).update({1: "N", 2: (45.0, 25.0, 0.5)})
        xmp = XMP.encode()
        image.save(folder / f"told{turn}.jpg", exif=exif, xmp=xmp, comment="written by hand")
        image.save(folder / f"told{turn}.webp", exif=exif, xmp=xmp)
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", XMP)
        texts.add_text("Title", "caf\xe9")
        texts.add_itxt("Author", "\u540d")
        image.save(folder / f"told{turn}.png", exif=exif, pnginfo=texts)


def compare(path: Path, theirs: dict[str, Any]) -> list[str]:
    """Return what the page would write otherwise than Python does."""
    photo = read_photo(path.read_bytes(), "keep")
    written = read_written(io.BytesIO(photo.encode()))
    pairs = {
        "exif": (tags(written["exif"]), tags(theirs["exif"])),
        "xmp": (canonical(written["xmp"]), canonical(theirs["xmp"])),
        "comments": (written["comments"], dict(theirs["comments"])),
    }
    if "notes" in theirs:
        pairs["notes"] = ([note for note in photo.notes if note.startswith(("removed", "still"))], theirs["notes"])
    return [f"{name}: {ours!r} and {other!r}" for name, (ours, other) in pairs.items() if ours != other]


def read_written(file: Path | io.BytesIO) -> dict[str, Any]:
    """Return the metadata of a file as `compare` takes them."""
    image = Image.open(file)
    texts = {name: str(text) for name, text in getattr(image, "text", {}).items()}
    packet = texts.pop("XML:com.adobe.xmp", "").encode()
    if comment := image.info.get("comment"):
        texts["comment"] = comment.decode("latin-1")
    return {"exif": image.info.get("exif", b""), "xmp": image.info.get("xmp", packet), "comments": texts}


def canonical(xmp: bytes) -> str:
    """Return a packet in a form in which the order of attributes is always the same."""
    return ElementTree.canonicalize(xmp.decode(), with_comments=True) if xmp else ""


def tags(block: bytes) -> dict[str, Any]:
    """Return the values of all tags, and what the block says of its second directory."""
    exif = Image.Exif()
    exif.load(block if block.startswith(b"Exif") or not block else b"Exif\0\0" + block)
    parts = {name: dict(exif.get_ifd(number)) for name, number in (("exif", 0x8769), ("gps", 0x8825), ("second", 1))}
    interop = dict(exif.get_ifd(0xA005)) if 0xA005 in parts["exif"] else {}
    pointers = (0x8769, 0x8825, 0xA005)
    plain = {tag: value for tag, value in [*exif.items(), *parts.pop("exif").items()] if tag not in pointers}
    return {"plain": plain, "interop": interop, **parts}


if __name__ == "__main__":
    if sys.argv[1] == "make":
        write_photos(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1] == "same":
        json.dump(compare(Path(sys.argv[2]), read_written(Path(sys.argv[3]))), sys.stdout)
    else:
        folder, results = Path(sys.argv[2]), {}
        for name, theirs in json.load(sys.stdin).items():
            decoded = {key: base64.b64decode(theirs[key]) for key in ("exif", "xmp")}
            results[name] = compare(folder / name, theirs | decoded)
        json.dump(results, sys.stdout)
