"""What websites make of a photo that is uploaded to them."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# By name: whether the photo's size is halved, and the quality of the JPEG.
RECOMPRESSIONS: dict[str, tuple[bool, int | None]] = {
    "JPEG 90": (False, 90),
    "JPEG 75": (False, 75),
    "JPEG 50": (False, 50),
    "half size": (True, None),
    "half, JPEG 75": (True, 75),
}


def recompress(saved: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Return a photo, u8 [H, W, 3], as one of `RECOMPRESSIONS` leaves it, u8 [H', W', 3]."""
    half, quality = RECOMPRESSIONS[name]
    picture = Image.fromarray(saved)
    if half:
        size = max(picture.width // 2, 1), max(picture.height // 2, 1)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    if quality is None:
        return np.asarray(picture)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
