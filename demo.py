"""Protect the astronaut: what `make demo` runs after the export. Writes `demo/` with the photos and a picture of both.

python demo.py [--picture FILE]
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from face_encryption.runtime import Protector

ENLARGE = 10


def side_by_side(before: Image.Image, after: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Show a part of two photos beside each other, and beside them their difference, ten times enlarged around grey."""
    size = (320, 320)
    cuts = [photo.convert("RGB").crop(box) for photo in (before, after)]
    parts = [cut.resize(size, Image.Resampling.LANCZOS) for cut in cuts]
    change = np.asarray(cuts[1], np.int16) - np.asarray(cuts[0], np.int16)
    difference = np.clip(128 + ENLARGE * change, 0, 255).astype(np.uint8)
    parts.append(Image.fromarray(difference).resize(size, Image.Resampling.NEAREST))
    sheet = Image.new("RGB", (3 * size[0] + 20, size[1]), "white")
    for number, part in enumerate(parts):
        sheet.paste(part, (number * (size[0] + 10), 0))
    return sheet


def main() -> None:
    """Protect the photo, print whether recognizers still match it, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--picture", type=Path, default=Path("demo/before-after.png"))
    options = parser.parse_args()
    photo = io.BytesIO()
    Image.fromarray(data.astronaut()).save(photo, "PNG")
    protected = Protector(options.artifacts).protect(photo.getvalue())

    folder = Path("demo")
    folder.mkdir(exist_ok=True)
    (folder / "astronaut.png").write_bytes(photo.getvalue())
    (folder / "astronaut_protected.png").write_bytes(protected.data)
    for face in protected.faces:
        x0, y0, x1, y1 = face.face.box
        margin = round((x1 - x0) * 0.35)
        box = (round(x0) - margin, round(y0) - margin, round(x1) + margin, round(y1) + margin)
        sheet = side_by_side(Image.open(photo), Image.open(io.BytesIO(protected.data)), box)
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(options.picture)
        results = [("ours", face.similarity, face.threshold)]
        results += [(each.name, each.similarity, each.threshold) for each in face.surrogates]
        for name, similarity, threshold in results:
            verdict = "still a match" if similarity >= threshold else "no match"
            print(f"same person?  {name}: similarity {similarity:.2f}, threshold {threshold:.2f}: {verdict}")
        print(f"change   at most {face.change} of 255 levels, PSNR {face.psnr:.1f} dB, {face.seconds:.2f} s")
    print(f"look at  {options.picture} (before, after, difference x{ENLARGE}) and {folder}/astronaut_protected.png")


if __name__ == "__main__":
    main()
