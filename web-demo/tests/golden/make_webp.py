"""Write `webp.json`: files that Pillow writes of pixels that both sides can compute, and their estimated quality."""

import base64
import io
import json
from pathlib import Path

import numpy as np
from make_jpeg import pixels
from PIL import Image

from face_encryption.runtime.photo import webp


def cases() -> list[dict]:
    """Return all cases with their files."""
    asked = [
        *({"channels": 3, "quality": quality} for quality in (30, 80, 95, 100)),
        {"channels": 4, "quality": 80},
        {"channels": 3, "lossless": True},
        {"channels": 4, "lossless": True},
    ]
    for case in asked:
        array = pixels(96, 70, case["channels"])
        image = Image.fromarray(np.ascontiguousarray(array))
        options = {"lossless": True} if case.get("lossless") else {"quality": case["quality"]}
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", exact=True, **options)
        case["estimate"] = webp.quality(webp.take_apart(buffer.getvalue()).picture)
        case["file"] = base64.b64encode(buffer.getvalue()).decode()
    return asked


if __name__ == "__main__":
    Path(__file__).with_name("webp.json").write_text(json.dumps(cases()) + "\n")
