import contextlib
import io
import struct
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from face_encryption.runtime import photo
from face_encryption.runtime.errors import PhotoError
from face_encryption.runtime.faces import cut_square, paste_square, square_around
from face_encryption.runtime.photo import grey, read_photo, read_squares

from .photos import BAD_PHOTOS, encoded

UPRIGHT = np.random.default_rng(1).integers(0, 256, (24, 17, 3), np.uint8)
# How a camera stores the upright picture under each orientation.
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: np.rot90(UPRIGHT, 1),
    7: UPRIGHT.transpose(1, 0, 2)[::-1, ::-1],
    8: np.rot90(UPRIGHT, -1),
}
LOSSLESS = [pytest.param("PNG", {}, id="png"), pytest.param("WEBP", {"lossless": True, "exact": True}, id="webp")]
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def reopened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(("kind", "options"), [*LOSSLESS, pytest.param("JPEG", {"quality": 100}, id="jpeg")])
@pytest.mark.parametrize("metadata", ["strip", "keep"])
def test_every_orientation_comes_out_upright(orientation: int, kind: str, options: Any, metadata: Any) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(Image.fromarray(STORED[orientation]), kind, exif=exif, **options)
    found = read_photo(data, metadata)
    if kind != "JPEG":
        assert np.array_equal(found.pixels, UPRIGHT)
    assert found.pixels.shape == UPRIGHT.shape
    written = reopened(found.encode())
    assert written.getexif().get(ExifTags.Base.Orientation, 1) == 1
    assert written.size == (UPRIGHT.shape[1], UPRIGHT.shape[0])


@pytest.mark.parametrize("metadata", ["strip", "keep"])
def test_a_flaw_elsewhere_in_the_exif_keeps_no_photo_from_coming_out_upright(metadata: Any) -> None:
    # The resolution as text, which Pillow reads and cannot write back.
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHI4s", 0x011A, 2, 3, b"72\0\0")
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    found = read_photo(encoded(Image.fromarray(STORED[6]), "PNG", exif=exif), metadata)
    assert np.array_equal(found.pixels, UPRIGHT)
    assert reopened(found.encode()).getexif().get(ExifTags.Base.Orientation, 1) == 1


@pytest.mark.parametrize("orientation", STORED)
def test_orientation_in_xmp_alone(orientation: int) -> None:
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()
    data = encoded(Image.fromarray(STORED[orientation]), "WEBP", lossless=True, exact=True, xmp=xmp)
    found = read_photo(data, "keep")
    assert np.array_equal(found.pixels, UPRIGHT)
    assert np.array_equal(read_photo(found.encode()).pixels, UPRIGHT)


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
@settings(max_examples=30)
@given(pixels=arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(4))), data=st.data())
def test_lossless_formats_give_back_pixels_and_alpha(kind: str, options: Any, pixels: np.ndarray, data: Any) -> None:
    found = read_photo(encoded(Image.fromarray(pixels, "RGBA"), kind, **options))
    changed = data.draw(arrays(np.uint8, found.pixels.shape))
    again = reopened(found.encode(changed)).convert("RGBA")
    assert np.array_equal(np.asarray(again), np.dstack([changed, pixels[..., 3]]))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("box", [(3, 5, 13, 21), (-9, -9, 9, 9), (10, 20, 40, 50), (60, 60, 80, 80)])
@pytest.mark.parametrize("band", [1, 40, 2**19])
def test_squares_are_cut_and_pasted_as_from_an_array(
    mode: str, box: tuple[int, int, int, int], band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo, "_BAND", band)
    image = Image.fromarray(np.dstack([UPRIGHT, UPRIGHT[..., 0]])).convert(mode)
    found = read_photo(encoded(image, "PNG"))
    expected = found.pixels
    assert np.array_equal(expected, np.asarray(image.convert("RGB")))
    square, corner = cut_square(expected, box, 0)
    assert square_around(box, 0) == (corner, len(square))
    assert np.array_equal(found.cut(corner, len(square)), square)
    paste_square(expected, 255 - square, corner)
    found.paste(255 - square, corner)
    assert np.array_equal(found.pixels, expected)
    written = found.encode()
    assert np.array_equal(read_squares(written, [(corner, len(square))])[0], cut_square(expected, box, 0)[0])
    assert read_photo(written).pixels.tolist() == expected.tolist()
    if mode == "RGBA":
        assert np.array_equal(np.asarray(reopened(written))[..., 3], UPRIGHT[..., 0])


@pytest.mark.parametrize(
    ("mode", "written"),
    [("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA")],
)
def test_png_modes(mode: str, written: str) -> None:
    image = Image.fromarray(UPRIGHT).convert(mode)
    found = read_photo(encoded(image, "PNG"))
    assert np.array_equal(found.pixels, np.asarray(image.convert("RGB")))
    assert found.grey == (mode in ("1", "L", "LA"))
    again = reopened(found.encode())
    assert (again.format, again.mode) == ("PNG", written)
    assert np.array_equal(np.asarray(again.convert("RGB")), found.pixels)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_png_transparent_colour_becomes_alpha(mode: str) -> None:
    image = Image.fromarray(np.where(UPRIGHT < 128, 0, 255).astype(np.uint8)).convert(mode)
    data = encoded(image, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)
    found = read_photo(data)
    again = reopened(found.encode())
    assert np.array_equal(np.asarray(again.convert("RGBA")), np.asarray(reopened(data).convert("RGBA")))
    assert again.getchannel("A").getextrema() == (0, 255)


def test_grey_jpeg_stays_grey() -> None:
    found = read_photo(encoded(Image.fromarray(UPRIGHT).convert("L"), "JPEG"))
    assert found.grey
    assert reopened(found.encode()).mode == "L"


def test_grey_picture_in_a_colour_file_is_grey() -> None:
    found = read_photo(encoded(Image.fromarray(UPRIGHT).convert("L").convert("RGB"), "JPEG"))
    assert found.grey
    assert reopened(found.encode()).mode == "RGB"


@given(arrays(np.uint8, (3, 3, 3)))
def test_grey_is_the_rounded_mean(pixels: np.ndarray) -> None:
    mean = np.floor(pixels.mean(axis=2, keepdims=True) + 0.5)
    assert np.array_equal(grey(pixels), np.broadcast_to(mean, pixels.shape))


@pytest.mark.parametrize("quality", [30, 75, 95, 100])
def test_jpeg_keeps_its_quantisation_and_drops_no_colour(quality: int) -> None:
    data = encoded(Image.fromarray(UPRIGHT), "JPEG", quality=quality, subsampling=2)
    found = read_photo(data)
    again: Any = reopened(found.encode())
    before: Any = reopened(data)
    assert again.quantization == before.quantization
    assert [component[1:3] for component in again.layer] == [(1, 1)] * 3


def test_jpeg_of_noise_at_the_highest_quality_can_be_written() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    found = read_photo(encoded(Image.fromarray(noise), "JPEG", quality=100, subsampling=0, progressive=False))
    read_photo(found.encode())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("metadata", ["strip", "keep"])
def test_profile_and_resolution_are_kept(kind: str, metadata: Any) -> None:
    found = read_photo(encoded(Image.fromarray(UPRIGHT), kind, icc_profile=ICC, dpi=(300, 150)), metadata)
    again = reopened(found.encode())
    assert again.info["icc_profile"] == ICC
    if kind != "WEBP":  # which has no place for it
        assert again.info["dpi"] == pytest.approx((300, 150), abs=0.1)


def test_png_gamma_is_kept() -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"gAMA", struct.pack(">I", 50_000))
    found = read_photo(encoded(Image.fromarray(UPRIGHT), "PNG", pnginfo=chunks))
    assert reopened(found.encode()).info["gamma"] == 0.5


def test_cmyk_jpeg_becomes_rgb_through_its_profile() -> None:
    cmyk = Image.fromarray(UPRIGHT).resize((64, 64)).convert("CMYK")
    plain = read_photo(encoded(cmyk, "JPEG", quality=95))
    profiled = read_photo(encoded(cmyk, "JPEG", quality=95, icc_profile=_cmyk_profile()))
    # The profile of the test says that any ink at all gives a mid grey.
    assert np.ptp(profiled.pixels) < 10 < np.ptp(plain.pixels)
    again = reopened(profiled.encode())
    assert again.mode == "RGB"
    assert "icc_profile" not in again.info
    assert any("CMYK" in note for note in profiled.notes)


def test_cmyk_jpeg_with_a_broken_profile() -> None:
    data = encoded(Image.new("CMYK", (20, 20)), "JPEG", icc_profile=b"nonsense")
    assert read_photo(data).pixels.min() == 255


def _exif(orientation: int = 1) -> bytes:
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


def _with_metadata(kind: str, orientation: int = 1) -> bytes:
    image, options = Image.fromarray(STORED[orientation]), {"exif": _exif(orientation)}
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("Comment", "SECRET")
        chunks.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>XMPDATA</x:xmpmeta>")
        return encoded(image, kind, pnginfo=chunks, **options)
    comment = {"comment": b"SECRET"} if kind == "JPEG" else {}
    return encoded(image, kind, xmp=b"<x:xmpmeta>XMPDATA</x:xmpmeta>", **options, **comment)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_metadata_is_stripped_and_that_is_said(kind: str, orientation: int) -> None:
    data = _with_metadata(kind, orientation)
    found = read_photo(data)
    written = found.encode()
    assert not reopened(written).getexif()
    for secret in (b"SERIAL-1", b"MAKERNOTE", b"THUMBNAIL", b"SECRET", b"XMPDATA", b"Camera maker"):
        assert secret in data or (kind, secret) == ("WEBP", b"SECRET")
        assert secret not in written
    for word in ("EXIF", "GPS position", "serial numbers", "thumbnail", "XMP"):
        assert word in found.notes[0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_metadata_is_kept_on_request_but_for_previews(kind: str, orientation: int) -> None:
    found = read_photo(_with_metadata(kind, orientation), "keep")
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


def test_photo_without_metadata_needs_no_note() -> None:
    assert read_photo(encoded(Image.fromarray(UPRIGHT), "PNG")).notes == ()


@pytest.mark.parametrize("name", BAD_PHOTOS)
def test_bad_photo_is_refused_in_one_line(name: str) -> None:
    make, word = BAD_PHOTOS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PhotoError, match=word) as refusal:
            read_photo(make())
    assert "\n" not in str(refusal.value)


def test_photo_beyond_pillows_own_limit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for kind in ("JPEG", "PNG"):
        assert read_photo(encoded(Image.fromarray(UPRIGHT), kind)).pixels.shape == UPRIGHT.shape
    monkeypatch.setattr(photo, "MAX_PIXELS", 10)
    with pytest.raises(PhotoError, match="megapixels"):
        read_photo(encoded(Image.fromarray(UPRIGHT), "PNG"))


def test_one_pixel() -> None:
    found = read_photo(encoded(Image.new("RGB", (1, 1), "red"), "PNG"))
    assert found.pixels.tolist() == [[[255, 0, 0]]]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_read_or_refused(kind: str, data: Any) -> None:
    whole = _with_metadata(kind)
    at = data.draw(st.integers(0, len(whole)))
    damage = data.draw(st.binary(max_size=8))
    end = data.draw(st.sampled_from([len(whole), at + len(damage)]))
    metadata = data.draw(st.sampled_from(["strip", "keep"]))
    with contextlib.suppress(PhotoError):
        found = read_photo((whole[:at] + damage + whole[at + len(damage) :])[:end], metadata)
        read_photo(found.encode())


def test_other_pixels_are_refused() -> None:
    found = read_photo(encoded(Image.fromarray(UPRIGHT), "PNG"))
    with pytest.raises(ValueError, match="expected uint8"):
        found.encode(found.pixels[1:])


def _cmyk_profile() -> bytes:
    """An ICC profile that maps every CMYK colour to the same mid grey."""
    identity = b"".join(struct.pack(">i", value << 16) for value in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + bytes([128, 128, 128] * 16) + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags = [(b"A2B0", table), (b"wtpt", white)]
    at = 128 + 4 + 12 * len(tags)
    directory, body = struct.pack(">I", len(tags)), b""
    for name, content in tags:
        directory += name + struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02100000, b"prtr", b"CMYK", b"Lab ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + directory + body
