"""Files that are damaged: read where the picture is whole, refused in one line where it is not; no traceback."""

import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from face_encryption.runtime.errors import PhotoError
from face_encryption.runtime.photo import read_photo

from .hidden import PREVIEW, other_pictures, with_chunks, with_metadata, with_segments
from .photos import BAD_PHOTOS, ICC, UPRIGHT, chunk, encoded

PHOTO = Image.fromarray(UPRIGHT)
# How many damaged files are tried.
MUTANTS = int(os.environ.get("FACE_ENCRYPTION_TEST_MUTANTS", "300"))


@pytest.mark.parametrize("name", BAD_PHOTOS)
def test_bad_photo_is_refused_in_one_line(name: str) -> None:
    make, word = BAD_PHOTOS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PhotoError, match=word) as refusal:
            read_photo(make())
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("ending", [b"", b"\xff", bytes(300), b"\xff\xff", PREVIEW])
def test_a_jpeg_that_lacks_nothing_but_its_end(mode: str, ending: bytes, progressive: bool) -> None:
    whole = encoded(PHOTO.resize((170, 130)).convert(mode), "JPEG", progressive=progressive)
    assert np.array_equal(read_photo(whole[:-2] + ending).pixels, read_photo(whole).pixels)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [20, 100, 400])
def test_a_jpeg_that_lacks_more_is_refused(missing: int, progressive: bool) -> None:
    whole = encoded(PHOTO.resize((170, 130)), "JPEG", quality=95, progressive=progressive)
    with pytest.raises(PhotoError, match="cut off"):
        read_photo(whole[:-missing])


FLAWED_SEGMENTS = {
    "Photoshop, cut off in a name": (0xED, b"Photoshop 3.0\x008BIM\x07\xdb"),
    "Photoshop, cut off in a size": (0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0"),
    "Photoshop, too long a name": (0xED, b"Photoshop 3.0\x008BIM\x04\x04\xff"),
    "Photoshop, no resolution": (0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\2\0\1"),
    "JFIF": (0xE0, b"JFIF\0\1"),
    "Adobe": (0xEE, b"Adobe\0"),
    "EXIF": (0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "EXIF in itself": (0xE1, b"Exif\0\0II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0"),
    "XMP": (0xE1, b"http://ns.adobe.com/xap/1.0/\0<"),
    "profile": (0xE2, b"ICC_PROFILE\0\1"),
    "profile, a piece": (0xE2, b"ICC_PROFILE\0\2\3" + ICC),
    "second pictures": (0xE2, b"MPF\0II*\0\xff\xff\xff\xff"),
    "comment": (0xFE, b""),
    "unknown": (0xF0, b"?"),
}


@pytest.mark.parametrize("metadata", ["strip", "keep"])
@pytest.mark.parametrize("flaw", FLAWED_SEGMENTS)
def test_a_flaw_in_the_metadata_of_a_jpeg_costs_the_metadata(flaw: str, metadata: Any) -> None:
    whole = encoded(PHOTO, "JPEG")
    found = read_photo(with_segments(whole, FLAWED_SEGMENTS[flaw]), metadata)
    assert np.array_equal(found.pixels, read_photo(whole).pixels)
    read_photo(found.encode())


ICC_PIECE = b"ICC_PROFILE\0\1\1"
BOMB = zlib.compress(bytes(3 * 2**20))
FLAWED_CHUNKS = {
    "text that expands": (b"zTXt", b"Workflow\0\0" + BOMB),
    "international text that expands": (b"iTXt", b"Workflow\0\1\0\0\0" + BOMB),
    "profile that expands": (b"iCCP", b"ICC\0\0" + zlib.compress(bytes(2**24))),
    "text, not compressed": (b"zTXt", b"Comment\0\0nothing"),
    "text, unknown compression": (b"zTXt", b"Comment\0\7" + BOMB),
    "text, cut off": (b"iTXt", b"Comment\0\1"),
    "text without a name": (b"tEXt", b"\0text"),
    "text of too long a name": (b"tEXt", b"x" * 100 + b"\0text"),
    "EXIF as text": (b"tEXt", b"Raw profile type exif\0\nexif\n9\nno digits"),
    "profile, not compressed": (b"iCCP", b"ICC\0\0nothing"),
    "profile, cut off": (b"iCCP", b"ICC"),
    "gamma": (b"gAMA", b"\0"),
    "primaries": (b"cHRM", b"\0"),
    "intent": (b"sRGB", b""),
    "resolution": (b"pHYs", b"\0"),
    "EXIF": (b"eXIf", b"MM"),
    "frames": (b"acTL", b"\0"),
    "frame": (b"fcTL", b"\0"),
}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("metadata", ["strip", "keep"])
@pytest.mark.parametrize("flaw", FLAWED_CHUNKS)
def test_a_flaw_in_the_metadata_of_a_png_costs_the_metadata(flaw: str, metadata: Any, behind: bool) -> None:
    found = read_photo(with_chunks(encoded(PHOTO, "PNG"), FLAWED_CHUNKS[flaw], behind=behind), metadata)
    assert np.array_equal(found.pixels, UPRIGHT)
    assert np.array_equal(read_photo(found.encode()).pixels, UPRIGHT)


def test_a_png_without_its_end_and_with_wrong_checksums_beside_the_pixels() -> None:
    whole = encoded(PHOTO, "PNG")
    assert np.array_equal(read_photo(whole[: whole.index(b"IEND") - 4]).pixels, UPRIGHT)
    flawed = with_chunks(whole, (b"tEXt", b"Comment\0words")).replace(b"words", b"sword")
    found = read_photo(flawed, "keep")
    assert np.array_equal(found.pixels, UPRIGHT)
    assert b"sword" not in found.encode()
    assert found.notes == ("removed from the file: damaged data",)


@pytest.mark.parametrize("options", [{"lossless": True, "exact": True}, {"quality": 80}])
def test_a_webp_whose_length_is_wrong(options: Any) -> None:
    whole = encoded(PHOTO, "WEBP", **options)
    pixels = read_photo(whole).pixels
    (length,) = struct.unpack_from("<I", whole, 4)
    for wrong in (length + 100, 2**32 - 2):
        data = whole[:4] + struct.pack("<I", wrong) + whole[8:]
        assert np.array_equal(read_photo(data).pixels, pixels)
    data = whole + b"EXIF" + struct.pack("<I", 1000) + b"MM"
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    assert np.array_equal(read_photo(data, "keep").pixels, pixels)


def test_an_animation_of_one_frame_is_a_photo() -> None:
    whole = encoded(PHOTO, "PNG")
    data = with_chunks(whole, (b"acTL", struct.pack(">II", 1, 0)), (b"fcTL", bytes(26)))
    assert np.array_equal(read_photo(data).pixels, UPRIGHT)
    (length,) = struct.unpack_from("<I", lossless := encoded(PHOTO, "WEBP", lossless=True), 4)
    height, width = UPRIGHT.shape[:2]
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    frame = bytes(6) + size + bytes(3) + b"\2" + lossless[12 : 8 + length]
    body = b"WEBPVP8X" + struct.pack("<IB3x", 10, 2) + size + b"ANIM" + struct.pack("<I6x", 6)
    body += b"ANMF" + struct.pack("<I", len(frame)) + frame
    assert np.array_equal(read_photo(b"RIFF" + struct.pack("<I", len(body)) + body).pixels, UPRIGHT)


def test_a_jpeg_of_more_scans_than_any_coder_writes_is_refused() -> None:
    whole = encoded(PHOTO, "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    with pytest.raises(PhotoError, match="scans"):
        read_photo(whole[:-2] + last * 100 + whole[-2:])


def test_metadata_without_end_take_neither_memory_nor_time() -> None:
    bomb = (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**20 - 1)))
    profile = (b"iCCP", b"P\0\0" + BOMB)
    found = read_photo(with_chunks(encoded(PHOTO, "PNG"), *[bomb] * 2000, *[profile] * 500), "keep")
    assert np.array_equal(found.pixels, UPRIGHT)
    assert len(found.encode()) < 2**21
    jpeg = encoded(PHOTO, "JPEG")
    for segment in (
        (0xFE, b"words " * 10_000),
        (0xE1, b"Exif\0\0" + bytes(60_000)),
        (0xE2, b"ICC_PROFILE\0\1\1" + ICC),
    ):
        found = read_photo(with_segments(jpeg, *[segment] * 2000), "keep")
        assert len(found.encode()) < 200_000
    with pytest.raises(PhotoError, match="damaged"):
        read_photo(with_segments(jpeg, *[(0xFE, b"")] * 20_000))


def mutants(files: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Yield copies of the files, each damaged in one to eight places: bytes changed, lost, doubled or moved."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        data = bytearray(files[number % len(files)])
        for _ in range(rng.integers(1, 9)):
            # Half of the damage is where the headers are.
            at = int(rng.integers(0, min(len(data), 1000) if rng.random() < 0.5 else len(data)))
            length = int(rng.integers(1, 30))
            kind = rng.integers(0, 6)
            if kind == 0:
                data[at] ^= 1 << int(rng.integers(0, 8))
            elif kind == 1:
                data[at : at + 2] = bytes(rng.choice([0, 1, 127, 255], 2).astype(np.uint8))
            elif kind == 2:
                del data[at : at + length]
            elif kind == 3:
                data[at:at] = data[at : at + length]
            elif kind == 4:
                other = files[int(rng.integers(0, len(files)))]
                begin = int(rng.integers(0, len(other)))
                data[at : at + length] = other[begin : begin + length]
            elif rng.random() < 0.1:
                del data[max(1, at) :]
        yield bytes(data)


@pytest.fixture(scope="module")
def whole_files() -> list[bytes]:
    files = [with_metadata(kind, orientation) for kind in ("JPEG", "PNG", "WEBP") for orientation in (1, 6)]
    files += [encoded(PHOTO, "WEBP", lossless=True), encoded(PHOTO, "PNG", icc_profile=ICC)]
    files += [encoded(PHOTO, "JPEG", progressive=True, icc_profile=ICC), encoded(PHOTO.convert("P"), "PNG")]
    return [*files, with_segments(encoded(PHOTO.convert("CMYK"), "JPEG"), *FLAWED_SEGMENTS.values()) + PREVIEW]


@pytest.mark.parametrize("metadata", ["strip", "keep"])
def test_damaged_files_are_read_or_refused(metadata: Any, whole_files: list[bytes], tmp_path: Path) -> None:
    read = 0
    for data in mutants(whole_files, MUTANTS, seed=0):
        try:
            found = read_photo(data, metadata)
        except PhotoError:
            continue
        written = found.encode()
        again = read_photo(written)
        assert again.shape == found.shape
        if read % 20 == 0:  # it takes a while
            assert not other_pictures(written, tmp_path)
        read += 1
    assert read > MUTANTS / 10  # not all are refused


def test_chunks_of_the_pixels_in_pieces() -> None:
    whole = encoded(PHOTO, "PNG")
    start = whole.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", whole, start)
    content = whole[start + 8 : start + 8 + length]
    pieces = b"".join(chunk(b"IDAT", content[at : at + 100]) for at in range(0, length, 100))
    assert np.array_equal(read_photo(whole[:start] + pieces + whole[start + 12 + length :]).pixels, UPRIGHT)
