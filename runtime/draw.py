"""A copy of a photo with its faces marked and numbered, as `--faces` counts them."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .faces import Face

_COLOUR, _ON_GREY = (0, 255, 0), (255, 255, 255)


def draw_faces(image: NDArray[np.uint8], faces: list[Face]) -> NDArray[np.uint8]:
    """Return a copy of the image, uint8 [H, W, 3], with a box, the keypoints and the number of each face."""
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    width = max(1, max(picture.size) // 300)
    font = ImageFont.load_default(size=10 * width)
    # What is stored as grey would keep a third of the green.
    colour = _ON_GREY if (image == image[..., :1]).all() else _COLOUR
    for number, face in enumerate(faces, 1):
        pen.rectangle(face.box, outline=colour, width=width)
        pen.text((max(0, face.box[0]), max(0, face.box[1])), f" {number}", fill=colour, font=font)
        for x, y in face.keypoints:
            pen.ellipse((x - width, y - width, x + width, y + width), fill=colour)
    return np.asarray(picture)
