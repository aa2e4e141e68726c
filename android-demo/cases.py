"""Write what the Python runtime makes of photos, for the tests of the Kotlin core.

    python android-demo/cases.py OUT [ARTIFACTS]

Each folder of OUT is a case: `photo.jpg`, what the runtime wrote of it as `protected.jpg`, the same pixels ahead of the
coder as `pixels.png`, and `expected.json`. `files` holds files to read; `files.json` what the runtime says of each.
`crowd` is a photo of small faces, and `faces.json` those that the runtime finds at one look, and closer.
"""

import base64
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from skimage.data import astronaut

from face_encryption.runtime import Face, FaceEncryptionError, Photo, Protector, Settings, read_photo
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.runtime.photo.profiles import adobe_rgb
from face_encryption.runtime.report import result_json, result_line

XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
 tiff:Orientation="6" exif:PixelXDimension="1" exif:GPSLatitude="1,2N"><dc:creator>Somebody</dc:creator>
<mwg-rs:Regions>a face</mwg-rs:Regions><xmp:Thumbnails>a picture</xmp:Thumbnails>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""

# Where a person stands in the crowd, and how large, in per cent.
CROWD = (
    (30, 40, 30),
    (880, 60, 35),
    (470, 480, 40),
    (1320, 300, 30),
    (1800, 900, 25),
    (839, 445, 45),
    (1500, 700, 100),
)


def main(out: Path, artifacts: str) -> None:
    """Write all cases."""
    protector = Protector(artifacts, threads=1)
    picture = Image.fromarray(astronaut())
    grey = picture.convert("L")
    small = picture.crop((130, 0, 330, 213))
    cases: dict[str, tuple[Image.Image, dict[str, Any], Settings]] = {
        "colour": (picture, {"quality": 92}, Settings(effort="fast")),
        "profile": (
            small,
            {"quality": 75, "icc_profile": adobe_rgb(), "dpi": (72, 72)},
            Settings(effort="normal", seed=7),
        ),
        "large": (small.resize((2000, 2130)), {"quality": 85}, Settings(effort="fast")),
        "grey": (grey, {"quality": 90, "progressive": True}, Settings(effort="fast", strength="low")),
        "twins": (
            twins(small),
            {"quality": 95, "progressive": True},
            Settings(effort="fast", faces=(2,), strength="high"),
        ),
    }
    for name, (image, options, settings) in cases.items():
        write_case(out / name, protector, image, options, settings)
    write_crowd(out / "crowd", protector, small)
    write_files(out / "files")


def write_crowd(folder: Path, protector: Protector, person: Image.Image) -> None:
    """Write a photo of six parts with faces of 31 to 42 pixels, one of them cut by a part, and a larger one."""
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (1897, 1000), (90, 110, 100))
    for x, y, percent in CROWD:
        size = (person.width * percent // 100, person.height * percent // 100)
        image.paste(person.resize(size, Image.Resampling.LANCZOS), (x, y))
    data = encoded(image, "JPEG", quality=90)
    (folder / "photo.jpg").write_bytes(data)
    pixels = read_photo(data).pixels
    found = {name: protector.look(pixels, small_faces=small) for name, small in (("once", False), ("closer", True))}
    said = {
        name: {"faces": [numbers(face) for face in seen.faces], "unsure": [numbers(face) for face in seen.unsure]}
        for name, seen in found.items()
    }
    (folder / "faces.json").write_text(json.dumps(said, indent=1))


def numbers(face: Face) -> list[float]:
    """Return the box, the score and the keypoints of a face."""
    return [*map(float, face.box), float(face.score), *face.keypoints.ravel().tolist()]


def write_files(folder: Path) -> None:
    """Write files of many kinds, and what the runtime says of each: notes, or why it is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    files = dict(make_files())
    shared = Path(__file__).resolve().parents[2] / "shared/data/cases"
    files |= {path.name: path.read_bytes() for path in sorted(shared.glob("*")) if path.is_file()}
    said: dict[str, dict[str, object]] = {}
    for name, data in files.items():
        (folder / name).write_bytes(data)
        try:
            photo = read_photo(data)
            said[name] = {"notes": list(photo.notes), "shape": list(photo.shape[:2]), "grey": photo.grey, **kept(data)}
        except FaceEncryptionError as error:
            said[name] = {"error": type(error).__name__, "message": str(error)}
    (folder.parent / "files.json").write_text(json.dumps(said, indent=1))


def kept(data: bytes) -> dict[str, object]:
    """Return what becomes of a file whose metadata are kept: the notes, those of the new file, its EXIF tags."""
    photo = read_photo(data, "keep")
    written = photo.encode()
    exif = Image.open(io.BytesIO(written)).getexif()
    details, gps = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    tags = [sorted(set(part) - {0x8769, 0x8825, 0xA005}) for part in (exif, details, gps)]
    return {"kept": list(photo.notes), "again": list(read_photo(written).notes), "tags": tags}


def make_files() -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of small files: photos with metadata, damaged ones, and what is no photo."""
    picture = Image.fromarray(astronaut()).crop((130, 0, 330, 213))
    exif = Image.Exif()
    exif[0x013B] = "Somebody"
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA431] = "1234567"
    exif.get_ifd(0x8825)[1] = "N"
    jpeg, png = encoded(picture, "JPEG"), encoded(picture, "PNG")
    rich = encoded(picture, "JPEG", exif=exif, comment=b"a comment", dpi=(300, 300))
    yield "rich.jpg", rich
    xmp = XMP.encode()
    yield "xmp.jpg", encoded(picture, "JPEG", exif=exif, xmp=xmp, comment=b"a comment")
    yield "xmp.png", encoded(picture, "PNG", exif=exif, pnginfo=texts({"XML:com.adobe.xmp": XMP, "Author": "Somebody"}))
    yield "bad-xmp.jpg", encoded(picture, "JPEG", xmp=xmp[:200])
    long = Image.Exif()
    long[0x010E] = "x" * 65_400
    yield "long-exif.jpg", encoded(picture, "JPEG", exif=long)
    pictures = Image.Exif()
    pictures[0x010E] = base64.b64encode(encoded(picture.resize((8, 8)), "JPEG")).decode()
    pictures[0x8649] = b"Photoshop's"
    pictures.get_ifd(0x8769).update({0x927C: b"of the maker", 0xA002: 1, 0xA003: 1, 0x9214: (10, 10)})
    pictures[0x0112] = 3
    yield "pictures.jpg", encoded(picture, "JPEG", exif=pictures)
    for turn in range(1, 9):
        turned = Image.Exif()
        turned[0x0112] = turn
        yield f"turned-{turn}.jpg", encoded(picture, "JPEG", exif=turned)
    yield "second.jpg", jpeg + jpeg
    yield "video.jpg", jpeg + b"\0\0\0\x18ftypmp42" + bytes(100)
    yield "cut.jpg", jpeg[: len(jpeg) // 2]
    yield "no-end.jpg", jpeg[:-2]
    yield "cmyk.jpg", encoded(picture.convert("CMYK"), "JPEG")
    yield "grey.png", encoded(picture.convert("L"), "PNG")
    yield "palette.png", encoded(picture.quantize(64), "PNG")
    yield "bits.png", encoded(picture.convert("1"), "PNG")
    yield "alpha.png", encoded(picture.convert("RGBA"), "PNG", dpi=(72, 72))
    yield "cut.png", png[: len(png) // 2]
    yield "deep.png", encoded(Image.fromarray(np.zeros((8, 8), np.uint16)), "PNG")
    yield "moving.png", encoded(picture, "PNG", save_all=True, append_images=[picture.rotate(90)])
    yield "nothing.jpg", b""
    yield "text.jpg", b"this is a text and no photo"
    yield "moving.gif", encoded(picture, "GIF")
    yield "scan.tif", encoded(picture, "TIFF")
    yield "old.bmp", encoded(picture, "BMP")
    yield "new.heic", b"\0\0\0\x18ftypheic" + bytes(100)
    yield "paper.pdf", b"%PDF-1.4" + bytes(100)


def texts(values: dict[str, str]) -> PngImagePlugin.PngInfo:
    """Return texts for Pillow to write into a PNG."""
    info = PngImagePlugin.PngInfo()
    for name, text in values.items():
        info.add_itxt(name, text)
    return info


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the bytes of an image in a format of Pillow's."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def twins(image: Image.Image) -> Image.Image:
    """Return two of the image side by side, so near that the squares of the faces come close."""
    both = Image.new("RGB", (2 * image.width - 40, image.height))
    both.paste(image, (0, 0))
    both.paste(image, (image.width - 40, 0))
    return both


def write_case(
    folder: Path, protector: Protector, image: Image.Image, options: dict[str, Any], settings: Settings
) -> None:
    """Write one case: the photo with these options of Pillow's, and what these settings make of it."""
    folder.mkdir(parents=True, exist_ok=True)
    data = encoded(image, "JPEG", **options)
    last: list[NDArray[np.uint8]] = []

    def remember(photo: Photo, pixels: NDArray[np.uint8] | None = None) -> bytes:
        last.append(photo.pixels)
        return encode(photo, pixels)

    encode = Photo.encode
    with mock.patch.object(Photo, "encode", remember):
        protected = protector.protect(data, settings)
    (folder / "photo.jpg").write_bytes(data)
    (folder / "protected.jpg").write_bytes(protected.data)
    Image.fromarray(last[0]).save(folder / "pixels.png")
    Image.fromarray(read_photo(data).pixels).save(folder / "photo.png")
    expected = {
        "onnxruntime": ort.__version__,
        "settings": {
            "strength": settings.strength,
            "effort": settings.effort,
            "seed": settings.seed,
            "faces": list(settings.faces) if settings.faces else None,
        },
        "notes": list(protected.notes),
        "faces": [result_json(face) for face in protected.faces],
        "lines": [result_line("photo.jpg", face) for face in protected.faces],
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "artifacts")
