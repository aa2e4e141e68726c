"""A copy of a photo with its faces marked and numbered, as `--faces` counts them, and what may be faces marked so."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..faces import Face

_COLOUR, _UNSURE, _ON_GREY = (0, 255, 0), (255, 160, 0), (255, 255, 255)


def draw_faces(image: NDArray[np.uint8], faces: list[Face], unsure: list[Face]) -> NDArray[np.uint8]:
    """Return a copy of the image, uint8 [H, W, 3], with a box, the keypoints and the number of each face.

    What may be a face is shown by the four corners of its box and a question mark.
    """
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    width = max(1, max(picture.size) // 300)
    font = ImageFont.load_default(size=10 * width)
    # What is stored as grey would keep a third of the green.
    in_grey = bool((image == image[..., :1]).all())
    colour = _ON_GREY if in_grey else _COLOUR
    for number, face in enumerate(faces, 1):
        pen.rectangle(face.box, outline=colour, width=width)
        pen.text((max(0, face.box[0]), max(0, face.box[1])), f" {number}", fill=colour, font=font)
        for x, y in face.keypoints:
            pen.ellipse((x - width, y - width, x + width, y + width), fill=colour)
    colour = _ON_GREY if in_grey else _UNSURE
    for face in unsure:
        x0, y0, x1, y1 = face.box
        for x, y, dx, dy in ((x0, y0, 1, 1), (x1, y0, -1, 1), (x0, y1, 1, -1), (x1, y1, -1, -1)):
            arms = (x + dx * (x1 - x0) / 4, y), (x, y), (x, y + dy * (y1 - y0) / 4)
            pen.line(arms, fill=colour, width=width)
        pen.text((max(0, x0), max(0, y0)), " ?", fill=colour, font=font)
    return np.asarray(picture)
