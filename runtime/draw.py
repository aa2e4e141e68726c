"""A copy of a photo with its faces marked and numbered, as `--faces` counts them."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .faces import Face

_COLOUR = (0, 255, 0)


def draw_faces(image: NDArray[np.uint8], faces: list[Face]) -> NDArray[np.uint8]:
    """Return a copy of the image, uint8 [H, W, 3], with a box, the keypoints and the number of each face."""
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    width = max(1, max(picture.size) // 300)
    font = ImageFont.load_default(size=10 * width)
    for number, face in enumerate(faces, 1):
        pen.rectangle(face.box, outline=_COLOUR, width=width)
        pen.text(face.box[:2], f" {number}", fill=_COLOUR, font=font)
        for x, y in face.keypoints:
            pen.ellipse((x - width, y - width, x + width, y + width), fill=_COLOUR)
    return np.asarray(picture)
