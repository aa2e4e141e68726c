"""Large portraits before and after, for somebody to look at: no figure knows what a face should look like."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from face_encryption.runtime import Protector, Settings
from face_encryption.runtime.faces import cut_square
from face_encryption.runtime.files import PHOTO_SUFFIXES

from ..data.cutting import read_photo
from ..data.layouts import DataError
from ..threads import in_parallel
from .probes import detect_main_face, protect_and_measure
from .report import side_by_side, write_rows
from .visibility import Distance, Pixels, Visibility

# A larger face is shown smaller, so that before, after and difference fit on a screen.
EDGE = 600
CAPTION = 16  # pixels


def write_portraits(
    protector: Protector, folder: Path, every: Sequence[Settings], out: Path, lpips: Distance | None = None
) -> list[str]:
    """Protect each photo of a folder with each of the settings, and show the main face of each.

    For the photo `name.jpg` and the first setting, `out` gets `name-1.png`: the face's square before, after, and the
    difference ten times as large; at 100 %, or as it says, since no square is shown larger than `EDGE`. `photos.csv`
    has what can be seen of each. Returns the names of photos without a face. Raises `DataError`.
    """
    photos = sorted(file for file in folder.iterdir() if file.suffix.lower() in PHOTO_SUFFIXES)
    if not photos:
        raise DataError(f"{folder}: no photos")
    out.mkdir(parents=True, exist_ok=True)
    margin = protector.artifacts.manifest.recognizer.crop_margin

    def work(photo: Path) -> list[dict[str, Any]]:
        clean = detect_main_face(protector, read_photo(photo))
        if clean.face is None:
            return []
        rows = []
        for number, settings in enumerate(every, 1):
            saved, visibility = protect_and_measure(protector, clean, settings, lpips)
            before, after = (cut_square(pixels, clean.face.box, margin)[0] for pixels in (clean.pixels, saved))
            compare(before, after, visibility).save(out / f"{photo.stem}-{number}.png")
            row = {"photo": photo.name, "setting": number, "side": len(before)}
            rows.append(row | asdict(protector.plan(settings)) | asdict(visibility))
        return rows

    rows_each = in_parallel(work, photos, f"protecting {len(photos)} portraits")
    rows = [row for each in rows_each for row in each]
    if not rows:
        raise DataError(f"{folder}: no face in any of the {len(photos)} photos")
    write_rows(out / "photos.csv", rows)
    return [photo.name for photo, each in zip(photos, rows_each, strict=True) if not each]


def compare(before: Pixels, after: Pixels, visibility: Visibility) -> Image.Image:
    """Show a face's square before, after and the difference at 100 % or smaller, under a line that says so."""
    edge = min(len(before), EDGE)
    squares = side_by_side(before, after, edge)
    picture = Image.new("RGB", (squares.width, squares.height + CAPTION))
    picture.paste(squares, (0, CAPTION))
    text = f"{len(before)} pixels at {edge / len(before):.0%}, SSIM {visibility.ssim:.3f}"
    text += "" if visibility.lpips is None else f", LPIPS {visibility.lpips:.3f}"
    text += f", SSIMULACRA2 {visibility.ssimulacra2:.0f}, blurred luma {visibility.blurred:.0f}"
    ImageDraw.Draw(picture).text((2, 2), text)
    return picture
