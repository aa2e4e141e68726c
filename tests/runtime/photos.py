"""Photo files made for the tests, good and bad."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageCms

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
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def reopened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes = b"") -> bytes:
    """A PNG written by hand, for headers that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _small() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8))


def _animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


# Files that are no photo to protect: what they hold, by name, and a word of the message that refuses them.
BAD_PHOTOS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.jpg": (lambda: b"", "empty"),
    "text.jpg": (lambda: b"Dear diary", "not an image"),
    "truncated.jpg": (lambda: encoded(_small(), "JPEG", quality=95)[:-500], "cut off"),
    "header-only.jpg": (lambda: b"\xff\xd8\xff\xe0\x00\x10JFIF", "cut off"),
    "truncated.png": (lambda: encoded(_small(), "PNG")[:-500], "cut off"),
    "header-only.png": (lambda: encoded(_small(), "PNG")[:20], "cut off"),
    "truncated.webp": (lambda: encoded(_small(), "WEBP", lossless=True)[:-500], "cut off"),
    "sixteen-bit-rgb.png": (lambda: png(1, 1, 16, 2, bytes(7)), "16 bits"),
    "sixteen-bit-grey.png": (lambda: encoded(Image.new("I;16", (9, 9)), "PNG"), "16 bits"),
    "animated.gif.jpg": (lambda: _animated("GIF"), "GIF"),
    "animated.png": (lambda: _animated("PNG"), "animated"),
    "animated.webp": (lambda: _animated("WEBP"), "animated"),
    "tiff.png": (lambda: encoded(_small(), "TIFF"), "TIFF"),
    "bmp.png": (lambda: encoded(_small(), "BMP"), "BMP"),
    "heic.jpg": (lambda: b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
    "no-width.png": (lambda: png(0, 9, 8, 2), "0 x 9"),
    "gigapixel.png": (lambda: png(20_000, 20_000, 8, 2), "megapixels"),
    "gigapixel.jpg": (
        lambda: encoded(_small(), "JPEG").replace(struct.pack(">HH", 40, 30), struct.pack(">HH", 20_000, 20_000), 1),
        "megapixels",
    ),
}
