"""No other picture is left in what is written, wherever one hides."""

import base64
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, PngImagePlugin

from face_encryption.runtime.photo import read_photo

from .hidden import NAMES, PREVIEW, other_pictures, packet, photo_with, with_chunks, with_segments, xmp_of
from .photos import UPRIGHT, encoded, reopened

KINDS = ["JPEG", "PNG", "WEBP"]
PHOTO = Image.fromarray(UPRIGHT)


PREVIEW_64 = base64.b64encode(PREVIEW).decode()
LINES = "&#xA;".join(PREVIEW_64[at : at + 76] for at in range(0, len(PREVIEW_64), 76))
# Ways in which programs put a picture of the photo into XMP, and others that nobody has thought of.
XMP_PICTURES = {
    "thumbnail under another prefix": f"<xmp:Thumbnails><rdf:Alt><rdf:li><xapGImg:image>{PREVIEW_64}</xapGImg:image>"
    "</rdf:li></rdf:Alt></xmp:Thumbnails>",
    "in lines": f"<own:data>{LINES}</own:data>",
    "second picture": f"<GImage:Data>{PREVIEW_64}</GImage:Data>",
    "behind other bytes": f"<own:data>{base64.b64encode(b'0123' + PREVIEW).decode()}</own:data>",
    "attribute": f'<rdf:li own:data="{PREVIEW_64}"/>',
    "hexadecimal": f"<own:data>{PREVIEW.hex()}</own:data>",
    "comment": f"<!-- {PREVIEW_64} -->",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", XMP_PICTURES)
def test_no_picture_in_xmp_is_kept(kind: str, way: str, tmp_path: Path) -> None:
    data = photo_with(kind, packet(XMP_PICTURES[way] + "<xmp:Label>LABEL</xmp:Label>", **NAMES))
    found = read_photo(data, "keep")
    written = found.encode()
    assert not other_pictures(written, tmp_path)
    assert PREVIEW_64[:40] not in xmp_of(written)
    assert PREVIEW.hex()[:40] not in xmp_of(written)
    if way == "comment":  # where nothing tells what else is one
        assert "XMP" in found.notes[0]
    else:
        assert "LABEL" in xmp_of(written)
    assert way in ("second picture", "comment") or "preview" in found.notes[0]
    assert not other_pictures(read_photo(data).encode(), tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("tag", "directory"),
    [
        pytest.param(0x8649, None, id="Photoshop"),
        pytest.param(0x02BC, None, id="XMP"),
        pytest.param(0x9999, None, id="unknown"),
        pytest.param(0x9286, ExifTags.IFD.Exif, id="user comment"),
        pytest.param(0x001C, ExifTags.IFD.GPSInfo, id="GPS area"),
    ],
)
@pytest.mark.parametrize("value", [b"8BIM\x04\x0c" + PREVIEW, PREVIEW_64.encode()], ids=["bytes", "base64"])
def test_no_picture_in_exif_is_kept(kind: str, tag: int, directory: Any, value: bytes, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera maker"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    (exif if directory is None else exif.get_ifd(directory))[tag] = value
    data = photo_with(kind, exif=exif)
    assert value in data
    found = read_photo(data, "keep")
    written = found.encode()
    assert reopened(written).getexif()[ExifTags.Base.Make] == "Camera maker"
    assert value[-40:] not in written
    assert not other_pictures(written, tmp_path)
    assert "preview" in found.notes[0]


def test_pixels_in_exif_are_not_kept_and_long_text_is() -> None:
    exif = Image.Exif()
    exif[0x9999] = UPRIGHT.tobytes() * 2
    exif[0x9998] = tuple(range(2000))
    exif.get_ifd(ExifTags.IFD.Exif)[0x9286] = b"ASCII\0\0\0" + b"a long story. " * 200
    written = read_photo(photo_with("JPEG", exif=exif), "keep").encode()
    again = reopened(written).getexif()
    assert 0x9999 not in again
    assert 0x9998 not in again
    assert again.get_ifd(ExifTags.IFD.Exif)[0x9286].endswith(b"a long story. ")


def test_no_picture_in_a_comment_is_kept(tmp_path: Path) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Preview", PREVIEW_64)
    chunks.add_text("Raw profile type photoshop", f"\n8bim\n{len(PREVIEW)}\n{PREVIEW.hex()}", zip=True)
    chunks.add_text("Comment", "WORDS", zip=True)
    for data in (encoded(PHOTO, "PNG", pnginfo=chunks), encoded(PHOTO, "JPEG", comment=b"\0" + PREVIEW)):
        found = read_photo(data, "keep")
        written = found.encode()
        assert not other_pictures(written, tmp_path)
        assert "preview" in found.notes[0]
        assert (b"WORDS" in written) == (found.format == "PNG")


MOVIE = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0\0\1\0mdat" + bytes(range(248))
CLAIM = '<rdf:li GCamera:MotionPhoto="1" GCamera:MicroVideoOffset="9"/><Container:Directory/>'
GAIN_CLAIM = '<rdf:li hdrgm:Version="1.0" own:note="Semantic"/>'


@pytest.mark.parametrize("metadata", ["strip", "keep"])
@pytest.mark.parametrize(
    ("xmp", "tail", "note"),
    [
        pytest.param(CLAIM, MOVIE, "video", id="motion photo"),
        pytest.param("", b"\0\0MotionPhoto_Data" + MOVIE + b"SEFT", "video", id="without a claim"),
        pytest.param(GAIN_CLAIM, PREVIEW, "HDR gain map", id="HDR"),
        pytest.param("", with_segments(PREVIEW, (0xE1, b"urn:iso:std:iso:ts:21496")), "HDR gain map", id="HDR by ISO"),
        pytest.param(GAIN_CLAIM + CLAIM, PREVIEW + MOVIE, "HDR gain map, video", id="both"),
        pytest.param("", PREVIEW, "second picture", id="second picture"),
        pytest.param("", b"Samsung's own data", "data behind the picture", id="anything"),
    ],
)
def test_what_lies_behind_the_picture_is_removed_and_not_claimed(
    xmp: str, tail: bytes, note: str, metadata: Any, tmp_path: Path
) -> None:
    own = packet(xmp + "<xmp:Label>LABEL</xmp:Label>", **NAMES)
    for kind in KINDS:
        found = read_photo(photo_with(kind, own) + tail, metadata)
        written = found.encode()
        assert note in found.notes[0]
        assert not other_pictures(written, tmp_path)
        assert tail[-16:] not in written
        for claim in ("MotionPhoto", "MicroVideo", "Directory", "hdrgm:Version"):
            assert claim not in xmp_of(written)
        assert ("LABEL" in xmp_of(written)) == (metadata == "keep")


@pytest.mark.parametrize("tail", [b"", bytes(100), b"\xff" * 9, b"\r\n"])
def test_padding_behind_the_picture_needs_no_note(tail: bytes) -> None:
    for kind in KINDS:
        assert read_photo(encoded(PHOTO, kind) + tail).notes == ()


def test_extended_xmp_is_not_kept_nor_claimed() -> None:
    more = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", 9, 0) + PREVIEW
    own = packet('<rdf:li xmpNote:HasExtendedXMP="00000000000000000000000000000000"/>', **NAMES)
    found = read_photo(with_segments(photo_with("JPEG", own), (0xE1, more)), "keep")
    assert "extended XMP" in found.notes[0]
    assert "HasExtendedXMP" not in xmp_of(found.encode())


def test_photoshops_resources_and_content_credentials_are_removed(tmp_path: Path) -> None:
    resources = b"Photoshop 3.0\0" + b"8BIM\x04\x0c\0\0" + struct.pack(">I", len(PREVIEW)) + PREVIEW
    data = with_segments(encoded(PHOTO, "JPEG"), (0xED, resources), (0xEB, b"JP\0\1" + PREVIEW), (0xE5, b"?"))
    for metadata in ("strip", "keep"):
        found = read_photo(data, metadata)
        assert not other_pictures(found.encode(), tmp_path)
        for word in ("IPTC", "thumbnail", "content credentials", "other data"):
            assert word in found.notes[0]
    chunks = [(b"caBX", PREVIEW), (b"prVW", PREVIEW)]
    found = read_photo(with_chunks(encoded(PHOTO, "PNG"), *chunks), "keep")
    assert not other_pictures(found.encode(), tmp_path)
    assert found.notes == ("removed from the file: content credentials, other data",)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("way", ["thumbnail under another prefix", "in lines", "second picture"])
def test_exiftool_finds_the_pictures_that_were_hidden(way: str, tmp_path: Path) -> None:
    hidden = photo_with("JPEG", packet(XMP_PICTURES[way], **NAMES))
    assert any(place.startswith("XMP-") for place in other_pictures(hidden, tmp_path))
    assert not other_pictures(read_photo(hidden, "keep").encode(), tmp_path)


SAMPLES = {
    "adobergb_r03.jpg": [],
    "app13_07db.jpg": [],
    "big_ztxt.png": ["comments"],
    "bw_cwebp.webp": [],
    "exif_photoshop_thumb.jpg": ["preview"],
    "icc_holds_jpeg.jpg": ["data behind the colour profile"],
    "motion_google.jpg": ["video"],
    "prog.jpg": [],
    "q60.webp": [],
    "trunc2.jpg": [],
    "ultrahdr_nompf.jpg": ["HDR gain map"],
    "wide_o6_dims.jpg": ["GPS position"],
    "xmp_regions_gps.jpg": ["GPS position", "names of people"],
    "xmp_thumb_xapGImg.jpg": ["preview"],
}


@pytest.mark.parametrize("metadata", ["strip", "keep"])
@pytest.mark.parametrize("name", SAMPLES)
def test_real_files(name: str, metadata: Any, shared: Path, tmp_path: Path) -> None:
    data = (shared / "data" / "cases" / name).read_bytes()
    found = read_photo(data, metadata)
    written = found.encode()
    assert not other_pictures(written, tmp_path)
    assert reopened(written).size == found.shape[1::-1]
    for word in SAMPLES[name]:
        assert word in " ".join(found.notes)
    details = reopened(written).getexif().get_ifd(ExifTags.IFD.Exif)
    assert details.get(0xA002, found.shape[1]) == found.shape[1]
    assert found.grey == (name == "bw_cwebp.webp")
    assert ("icc_profile" in reopened(written).info) == (
        name in ("adobergb_r03.jpg", "icc_holds_jpeg.jpg", "big_ztxt.png")
    )
    assert len(written) < 1.2 * len(data)
