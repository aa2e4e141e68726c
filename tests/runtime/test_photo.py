import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import ExifTags, Image, PngImagePlugin

from face_encryption.runtime.errors import PhotoError
from face_encryption.runtime.faces import cut_square, paste_square, square_around
from face_encryption.runtime.photo import grey, image, read, read_photo, read_squares, webp

from .photos import ICC, STORED, UPRIGHT, encoded, png, reopened

LOSSLESS = [pytest.param("PNG", {}, id="png"), pytest.param("WEBP", {"lossless": True, "exact": True}, id="webp")]


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
    monkeypatch.setattr(image, "_BAND", band)
    stored = Image.fromarray(np.dstack([UPRIGHT, UPRIGHT[..., 0]])).convert(mode)
    found = read_photo(encoded(stored, "PNG"))
    expected = found.pixels
    assert np.array_equal(expected, np.asarray(stored.convert("RGB")))
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


@pytest.mark.parametrize(
    ("kind", "options"),
    [("WEBP", {"quality": quality}) for quality in (20, 60, 95)]
    + [("JPEG", {"quality": 60}), ("PNG", {}), ("WEBP", {"lossless": True})],
)
def test_a_photo_whose_channels_differ_by_a_level_or_two_is_grey(kind: str, options: Any) -> None:
    # As a scanner or a lossy coder leaves them: a slow change of tint over the picture.
    ramp = np.arange(128)
    tint = np.stack([ramp // 64, np.zeros(128, int), 1 - ramp // 64], axis=1)
    stored = (np.add.outer(ramp, ramp)[..., None] // 2 + 20 + tint).astype(np.uint8)
    found = read_photo(encoded(Image.fromarray(stored), kind, **options))
    assert found.grey
    before = found.pixels.astype(int)
    square = found.cut((-10, 30), 60)
    noise = np.random.default_rng(0).integers(-40, 41, square.shape)
    found.paste((square + noise).clip(0, 255).astype(np.uint8), (-10, 30))
    change = found.pixels - before
    assert np.ptp(change, axis=2).max() == 0
    assert change[30:90, :50].any(axis=2).mean() > 0.9
    assert not change[90:].any()
    assert not change[:, 50:].any()
    again = read_photo(found.encode())
    assert again.grey
    assert kind == "JPEG" or np.ptp(again.pixels.astype(int), axis=2).max() <= 4


def test_a_grey_pixel_at_the_end_of_the_range_keeps_its_channels_apart() -> None:
    stored = np.full((16, 16, 3), (253, 255, 254), np.uint8)
    stored[:, 8:] = (0, 2, 1)
    found = read_photo(encoded(Image.fromarray(stored), "PNG"))
    found.paste(np.full((16, 16, 3), 255, np.uint8), (0, 0))
    assert found.pixels[0, 0].tolist() == [253, 255, 254]
    assert found.pixels[0, 15].tolist() == [253, 255, 254]
    found.paste(np.zeros((16, 16, 3), np.uint8), (0, 0))
    assert found.pixels[0, 0].tolist() == [0, 2, 1]


def test_a_photo_with_a_little_colour_is_not_grey() -> None:
    stored = np.full((64, 64, 3), 100, np.uint8)
    stored[:4, :4, 0] = 110
    assert not read_photo(encoded(Image.fromarray(stored), "PNG")).grey


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


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("metadata", ["strip", "keep"])
def test_jpeg_stays_progressive_and_its_tables_are_optimised(progressive: bool, mode: str, metadata: Any) -> None:
    photo = Image.fromarray(UPRIGHT).resize((200, 200)).convert(mode)
    options: Any = {"quality": 80, "subsampling": 0, "progressive": progressive}
    data = encoded(photo, "JPEG", **options)
    written = read_photo(data, metadata).encode()
    assert ("progressive" in reopened(written).info) == progressive
    assert len(written) <= len(encoded(photo, "JPEG", optimize=True, **options)) + 20
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    written = read_photo(encoded(photo, "JPEG", exif=turned, **options), metadata).encode()
    assert ("progressive" in reopened(written).info) == progressive


@pytest.mark.parametrize("progressive", [False, True])
def test_tables_of_large_jpegs_are_those_of_the_standard(progressive: bool) -> None:
    large = Image.linear_gradient("L").convert("RGB").resize((2001, 2000))
    options: Any = {"quality": 80, "subsampling": 0, "progressive": progressive}
    written = read_photo(encoded(large, "JPEG", **options)).encode()
    standard = bytes.fromhex("ffc4001f0000010501010101010100")  # those of the first coefficients of the brightness
    assert (standard in written) == (not progressive)
    assert ("progressive" in reopened(written).info) == progressive


@pytest.mark.parametrize("quality", [5, 30, 60, 75, 82, 90, 96, 100])
@pytest.mark.parametrize(
    "options", [{}, {"exact": True, "method": 0}, {"alpha_quality": 50}], ids=["", "fast", "alpha"]
)
def test_webp_keeps_its_quality(quality: int, options: Any, astronaut: np.ndarray) -> None:
    for photo in (Image.fromarray(astronaut), Image.fromarray(UPRIGHT).resize((300, 200)), Image.new("RGB", (64, 64))):
        if "alpha_quality" in options:
            photo.putalpha(128)
        data = encoded(photo, "WEBP", quality=quality, **options)
        assert webp.quality(data) == pytest.approx(quality, abs=3)
        written = read_photo(data).encode()
        assert webp.quality(written) == pytest.approx(quality, abs=5)
        assert len(written) <= 1.2 * len(data) + 100


@pytest.mark.parametrize("data", [b"", b"RIFF", bytes(40), b"RIFF\0\0\0\0WEBPVP8 \x0b\0\0\0" + bytes(11)])
def test_quality_of_what_is_no_webp(data: bytes) -> None:
    assert webp.quality(data) in (None, 99, 100)


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


def test_photo_without_metadata_needs_no_note() -> None:
    assert read_photo(encoded(Image.fromarray(UPRIGHT), "PNG")).notes == ()


def test_photo_beyond_pillows_own_limit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for kind in ("JPEG", "PNG"):
        assert read_photo(encoded(Image.fromarray(UPRIGHT), kind)).pixels.shape == UPRIGHT.shape
    monkeypatch.setitem(read.MAX_MEGAPIXELS, "PNG", 0.0001)
    with pytest.raises(PhotoError, match="megapixels"):
        read_photo(encoded(Image.fromarray(UPRIGHT), "PNG"))


def _header(kind: str) -> bytes:
    """The header of a photo of 240 megapixels, and little more."""
    small = Image.new("RGB", (30, 40))
    sizes = struct.pack(">HH", 40, 30), struct.pack(">HH", 15_000, 16_000)
    if kind == "PNG":
        return png(16_000, 15_000, 8, 2)
    if "JPEG" in kind:
        return encoded(small, "JPEG", progressive=kind != "JPEG").replace(*sizes)
    if kind == "WebP":
        whole = encoded(small, "WEBP")
        return whole.replace(struct.pack("<HH", 30, 40), struct.pack("<HH", 16_000, 15_000))
    whole = encoded(small, "WEBP", lossless=True)
    (bits,) = struct.unpack_from("<I", whole, 21)
    return whole[:21] + struct.pack("<I", bits & ~(2**28 - 1) | 15_999 | 14_999 << 14) + whole[25:]


@pytest.mark.parametrize("kind", read.MAX_MEGAPIXELS)
def test_a_photo_of_240_megapixels_is_refused_and_the_limit_named(kind: str) -> None:
    limit = f"16000 x 15000 pixels are more than {read.MAX_MEGAPIXELS[kind]} megapixels, the most for a {kind}"
    with pytest.raises(PhotoError, match=limit):
        read_photo(_header(kind))


@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("WebP", {"quality": 50})]
)
def test_the_largest_photos_take_less_than_a_gigabyte(kind: str, options: Any, tmp_path: Path) -> None:
    name = "progressive JPEG" if "progressive" in options else kind
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    with Image.new("RGB", (10_000, 100 * read.MAX_MEGAPIXELS[name])) as photo:
        photo.save(tmp_path / "photo", kind, exif=turned, progressive=name != "JPEG")
    script = (
        "import sys; from pathlib import Path; from face_encryption.runtime.photo import read_photo\n"
        "photo = read_photo(Path(sys.argv[1]).read_bytes()); pixels = photo.pixels; del pixels; photo.encode()\n"
        # Not what getrusage says: that knows the peak of the process that started this one, too.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "photo"], capture_output=True, check=True)
    # In kilobytes; what is left is for the graphs.
    assert int(done.stdout) < 800_000


def test_one_pixel() -> None:
    found = read_photo(encoded(Image.new("RGB", (1, 1), "red"), "PNG"))
    assert found.pixels.tolist() == [[[255, 0, 0]]]


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
