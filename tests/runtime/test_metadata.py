"""What is written back beside the pixels, and what is said of it."""

import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from face_encryption.runtime.photo import read_photo

from .hidden import NAMES, packet, photo_with, with_chunks, with_metadata, xmp_of
from .photos import STORED, UPRIGHT, encoded, reopened

KINDS = ["JPEG", "PNG", "WEBP"]
PHOTO = Image.fromarray(UPRIGHT)


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
