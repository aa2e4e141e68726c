"""Which colour profiles are written back, and the one that is made."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from face_encryption.runtime.photo import read_photo
from face_encryption.runtime.photo.profiles import adobe_rgb, valid

from .hidden import PREVIEW, other_pictures, photo_with, with_segments
from .photos import ICC, UPRIGHT, encoded, reopened

KINDS = ["JPEG", "PNG", "WEBP"]
PHOTO = Image.fromarray(UPRIGHT)


@pytest.mark.parametrize("metadata", ["strip", "keep"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_profile_is_cut_to_its_length(kind: str, metadata: Any, tmp_path: Path) -> None:
    found = read_photo(encoded(PHOTO, kind, icc_profile=ICC + bytes(7) + PREVIEW), metadata)
    assert found.notes == ("removed from the file: data behind the colour profile",)
    written = found.encode()
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
