"""What is written back beside the pixels, and what is said of it."""

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from face_encryption.runtime.photo import read_photo
from face_encryption.runtime.photo.profiles import adobe_rgb, valid

from .hidden import NAMES, PREVIEW, other_pictures, packet, photo_with, with_chunks, with_metadata, with_segments
from .photos import ICC, STORED, UPRIGHT, encoded, reopened

KINDS = ["JPEG", "PNG", "WEBP"]
PHOTO = Image.fromarray(UPRIGHT)


def xmp_of(data: bytes) -> str:
    return bytes(reopened(data).info.get("xmp", b"")).decode()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", [1, 6])
def test_metadata_is_stripped_and_that_is_said(kind: str, orientation: int) -> None:
    data = with_metadata(kind, orientation)
    found = read_photo(data)
    written = found.encode()
    assert not reopened(written).getexif()
    for secret in (b"SERIAL-1", b"MAKERNOTE", b"THUMBNAIL", b"SECRET", b"XMPDATA", b"Camera maker"):
        assert secret in data or (kind, secret) == ("WEBP", b"SECRET")
        assert secret not in written
    for word in ("EXIF", "GPS position", "serial numbers", "thumbnail", "XMP"):
        assert word in found.notes[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", [1, 6])
def test_metadata_is_kept_on_request_but_for_previews(kind: str, orientation: int) -> None:
    found = read_photo(with_metadata(kind, orientation), "keep")
    written = found.encode()
    exif = reopened(written).getexif()
    assert exif[ExifTags.Base.Make] == "Camera maker"
    assert exif[ExifTags.Base.Orientation] == 1
    assert exif.get_ifd(ExifTags.IFD.Exif)[0xA431] == "SERIAL-1"
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[2] == (52.0, 30.0, 0.0)
    assert b"XMPDATA" in written
    assert (b"SECRET" in written) == (kind != "WEBP")
    for preview in (b"THUMBNAIL", b"MAKERNOTE"):
        assert preview not in written
    assert "thumbnail" in found.notes[0]


def test_xmp_preview_and_broken_exif_are_not_kept() -> None:
    data = encoded(Image.fromarray(UPRIGHT), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", xmp=b"<xmpGImg:image>FACE")
    found = read_photo(data, "keep")
    written = found.encode()
    assert b"FACE" not in written
    assert "EXIF" in found.notes[0]
    assert "XMP" in found.notes[0]


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


@pytest.mark.parametrize("metadata", ["strip", "keep"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_profile_is_cut_to_its_length(kind: str, metadata: Any, tmp_path: Path) -> None:
    written = read_photo(encoded(PHOTO, kind, icc_profile=ICC + bytes(7) + PREVIEW), metadata).encode()
    assert reopened(written).info["icc_profile"] == ICC
    assert not other_pictures(written, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(PREVIEW, id="no profile"),
        pytest.param(ICC[:200], id="cut off"),
        pytest.param(ICC[:36] + b"nope" + ICC[40:], id="no signature"),
        pytest.param(struct.pack(">I", len(ICC) + len(PREVIEW)) + ICC[4:] + PREVIEW, id="declared longer"),
    ],
)
def test_what_is_no_profile_is_not_kept(kind: str, profile: bytes, tmp_path: Path) -> None:
    found = read_photo(encoded(PHOTO, kind, icc_profile=profile))
    written = found.encode()
    assert "icc_profile" not in reopened(written).info
    assert not other_pictures(written, tmp_path)
    assert "colour profile" in found.notes[0]


def test_a_profile_in_pieces_out_of_order() -> None:
    pieces = [
        (0xE2, b"ICC_PROFILE\0" + bytes([at + 1, 2]) + ICC[at * 200 : (at + 1) * 200 + at * 999]) for at in (1, 0)
    ]
    found = read_photo(with_segments(encoded(PHOTO, "JPEG"), *pieces))
    assert reopened(found.encode()).info["icc_profile"] == ICC


def adobe_exif(index: str, space: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera maker"
    exif.get_ifd(ExifTags.IFD.Exif).update({0xA001: space, 0xA005: {1: index}})
    return exif


@pytest.mark.parametrize("metadata", ["strip", "keep"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("index", "space", "is_adobe"), [("R03", 65535, True), ("R98", 2, True), ("R98", 1, False), ("R98", 65535, False)]
)
def test_adobe_rgb_by_tag_gets_a_profile(kind: str, index: str, space: int, is_adobe: bool, metadata: Any) -> None:
    written = read_photo(photo_with(kind, exif=adobe_exif(index, space)), metadata).encode()
    assert reopened(written).info.get("icc_profile") == (adobe_rgb() if is_adobe else None)


def test_a_profile_goes_before_the_tag_and_grey_has_no_adobe_rgb() -> None:
    data = photo_with("JPEG", exif=adobe_exif("R03", 65535), icc_profile=ICC)
    assert reopened(read_photo(data).encode()).info["icc_profile"] == ICC
    data = photo_with("JPEG", exif=adobe_exif("R03", 65535), stored=UPRIGHT[..., 0])
    assert "icc_profile" not in reopened(read_photo(data).encode()).info


def test_the_profile_made_for_adobe_rgb_converts_as_its_encoding_says() -> None:
    assert valid(adobe_rgb()) == adobe_rgb()
    rng = np.random.default_rng(0)
    colours = rng.integers(60, 200, (8, 8, 3)).astype(np.uint8)
    made = ImageCms.ImageCmsProfile(io.BytesIO(adobe_rgb()))
    converted = ImageCms.profileToProfile(Image.fromarray(colours), made, ImageCms.createProfile("sRGB"))
    # Adobe RGB (1998), 4.3.5: to XYZ under D65; then IEC 61966-2-1.
    xyz = (colours / 255) ** (563 / 256) @ np.array(
        [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
    ).T
    linear = xyz @ np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]).T
    linear = linear.clip(0, 1)
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(np.asarray(converted) - expected).max() < 2


@pytest.mark.parametrize("orientation", [1, 6, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_sizes_in_kept_metadata_are_those_of_the_upright_photo(kind: str, orientation: int) -> None:
    stored = STORED[orientation]
    exif = Image.Exif()
    exif.update({0x0112: orientation, 0x0100: 999, 0x0101: 998})
    sizes = {0xA002: stored.shape[1], 0xA003: stored.shape[0], 0x9214: (3, 4, 5, 6), 0xA005: {0x1001: 9, 0x1002: 8}}
    exif.get_ifd(ExifTags.IFD.Exif).update(sizes)
    xmp = packet(
        f'<exif:PixelXDimension>{stored.shape[1]}</exif:PixelXDimension><rdf:li exif:PixelYDimension="1"'
        f' tiff:ImageWidth="2" tiff:Orientation="{orientation}"/>',
        **NAMES,
    )
    written = reopened(read_photo(photo_with(kind, xmp, exif, stored), "keep").encode())
    again = written.getexif()
    details, interop = again.get_ifd(ExifTags.IFD.Exif), again.get_ifd(ExifTags.IFD.Interop)
    height, width = UPRIGHT.shape[:2]
    assert (again[0x0100], again[0x0101], again[0x0112]) == (width, height, 1)
    assert (details[0xA002], details[0xA003]) == (width, height)
    assert (interop[0x1001], interop[0x1002]) == (width, height)
    assert (0x9214 in details) == (orientation == 1)
    text = xmp_of(encoded(written, kind, xmp=written.info["xmp"])) if kind != "PNG" else written.info["xmp"].decode()
    for said in (f">{width}</exif:PixelX", f'PixelYDimension="{height}"', f'Width="{width}"', 'Orientation="1"'):
        assert said in text


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


REGION = "<mwg-rs:Regions><mwg-rs:Name>Eileen Example</mwg-rs:Name></mwg-rs:Regions>"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", [1, 6])
def test_names_and_places_that_stay_are_said(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif.update({0x0112: orientation, 0x013B: "A. Thor"})
    xmp = packet(
        REGION + "<exif:GPSLatitude>48,8.0N</exif:GPSLatitude><photoshop:City>Ottawa</photoshop:City>", **NAMES
    )
    data = photo_with(kind, xmp, exif, STORED[orientation])
    kept = read_photo(data, "keep")
    still = kept.notes[-1]
    assert still.startswith("still in the file: ")
    for word in ("GPS position", "places", "author"):
        assert word in still
    written = xmp_of(kept.encode())
    assert ("names of people" in still) == ("Eileen Example" in written) == (orientation == 1)
    assert ("regions" in kept.notes[0]) == (orientation != 1)
    stripped = read_photo(data)
    for word in ("GPS position", "places", "author", "names of people"):
        assert word in stripped.notes[0]


def test_a_person_named_without_a_region_is_said() -> None:
    xmp = packet("<Iptc4xmpExt:PersonInImage>Eileen</Iptc4xmpExt:PersonInImage>", **NAMES)
    assert read_photo(photo_with("PNG", xmp), "keep").notes == ("still in the file: XMP, names of people",)


@pytest.mark.parametrize(
    "xmp",
    [
        b"<unclosed",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<a>" * 60_000 + b"</a>" * 60_000,
        b"<a>" * 9_000 + b'<xmp:Thumbnails xmlns:xmp="u"/>' + b"</a>" * 9_000,
        b"\xff\xfe<\0a\0/\0>\0",
        packet("<own:data>" + "x" * 70_000 + "</own:data>", **NAMES),
        b"?",
    ],
    ids=["not XML", "entities", "too deep to read", "too deep to write", "UTF-16", "too long", "no element"],
)
def test_a_flaw_in_xmp_costs_the_xmp(xmp: bytes) -> None:
    for data in (
        with_chunks(encoded(PHOTO, "PNG"), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)),
        encoded(PHOTO, "WEBP", xmp=xmp),
    ):
        found = read_photo(data, "keep")
        assert not xmp_of(found.encode())
        assert "XMP" in found.notes[0]


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


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", KINDS)
def test_orientation_in_xmp_alone_turns_nothing(kind: str, orientation: int) -> None:
    # Browsers turn by EXIF alone, so that what they show is what comes out.
    xmp = packet(f'<rdf:li tiff:Orientation="{orientation}"/>', **NAMES)
    found = read_photo(photo_with(kind, xmp, lossless=True, exact=True), "keep")
    if kind != "JPEG":
        assert np.array_equal(found.pixels, UPRIGHT)
    assert f'tiff:Orientation="{orientation}"' in xmp_of(found.encode())


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("name", [b"eXIf", b"zTXt"])
def test_exif_behind_the_pixels_of_a_png_turns_nothing(name: bytes, behind: bool) -> None:
    # PNG, third edition, 5.6: eXIf comes before IDAT; HTML ignores what comes behind the picture's data.
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "Camera maker"})
    block = exif.tobytes()[6:]
    raw = f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()
    body = block if name == b"eXIf" else b"Raw profile type exif\0\0" + zlib.compress(raw)
    data = with_chunks(encoded(Image.fromarray(STORED[6]), "PNG"), (name, body), behind=behind)
    found = read_photo(data, "keep")
    assert np.array_equal(found.pixels, STORED[6] if behind else UPRIGHT)
    again = reopened(found.encode()).getexif()
    assert (again[0x0112], again[0x010F]) == (1, "Camera maker")


SAMPLES = {
    "adobergb_r03.jpg": [],
    "app13_07db.jpg": [],
    "big_ztxt.png": ["comments"],
    "bw_cwebp.webp": [],
    "exif_photoshop_thumb.jpg": ["preview"],
    "icc_holds_jpeg.jpg": [],
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
