"""Write photos of several kinds, made of one, into a folder: `photos.py SOURCE FOLDER`."""

import sys
from pathlib import Path

from PIL import Image

from face_encryption.runtime.photo.profiles import adobe_rgb


def write_photos(source: Path, folder: Path) -> None:
    """Write one photo of each kind that the runtime reads."""
    image = Image.open(source).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x013B] = "somebody"
    exif.get_ifd(0x8825).update({1: "N", 2: (45.0, 25.0, 0.0)})
    # Stored so that turning it by 90 degrees clockwise gives the picture.
    image.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", quality=92, exif=exif)
    image.save(folder / "progressive.jpg", quality=88, progressive=True, dpi=(300, 300))
    image.save(folder / "wide.jpg", quality=90, icc_profile=adobe_rgb(), subsampling=2)
    image.convert("L").save(folder / "grey.jpg", quality=90)
    image.convert("L").convert("RGB").save(folder / "grey.png")
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    clear.save(folder / "clear.png")
    image.quantize(200).save(folder / "palette.png")
    image.save(folder / "lossless.webp", lossless=True)
    image.save(folder / "lossy.webp", quality=80)
    clear.save(folder / "clear.webp", lossless=True, exact=True)


if __name__ == "__main__":
    write_photos(Path(sys.argv[1]), Path(sys.argv[2]))
