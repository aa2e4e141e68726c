"""The command `evaluate protection`. PyTorch is imported when it runs, not for its help."""

from itertools import product
from pathlib import Path
from typing import Any

import click

from .recompression import RECOMPRESSIONS

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("data", type=FOLDER)
@click.argument("pairs", type=FILE, metavar="LIST")
@click.option("--judges", type=FILE, help="Black-box recognizers, never attacked: an ONNX file, or a TOML of several.")
@click.option("--artifacts", type=FOLDER, default="artifacts", show_default=True)
@click.option(
    "--strength", type=click.Choice(["low", "medium", "high"]), multiple=True, default=["medium"], show_default=True
)
@click.option(
    "--effort",
    type=click.Choice(["fast", "normal", "thorough"]),
    multiple=True,
    default=["normal"],
    show_default=True,
)
@click.option("--budget", type=float, multiple=True, help="How much of the change may be seen, about 1 - SSIM.")
@click.option("--clamp", type=float, multiple=True, help="Change no pixel by more than this many levels.")
@click.option("--steps", type=int, multiple=True, help="Steps of the attack.")
@click.option(
    "--gallery",
    type=click.IntRange(0),
    default=0,
    help="Protect with a gallery of up to so many other photos of each person in DATA, which no judge sees.",
)
@click.option(
    "--recompress",
    "recompressions",
    type=click.Choice(["all", "none", *RECOMPRESSIONS]),
    multiple=True,
    default=["all"],
    show_default=True,
    help="Judge the saved files recompressed so, too; may be repeated.",
)
@click.option("--lpips", type=FILE, help="Measure LPIPS too: AlexNet, as scripts/lpips_weights.py writes it.")
@click.option("--distractors", type=click.IntRange(0), default=0, help="Other people of DATA in the rank-1 gallery.")
@click.option("--photos", type=FOLDER, help="Photos of which OUT/photos shows the main face before and after.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write protection.csv and pictures here.")
def protection(
    data: Path,
    pairs: Path,
    judges: Path | None,
    artifacts: Path,
    gallery: int,
    recompressions: tuple[str, ...],
    lpips: Path | None,
    distractors: int,
    photos: Path | None,
    out: Path | None,
    **attacks: tuple[Any, ...],
) -> None:
    """Measure how well the people on a LIST are protected: lines of "probe gallery", two photos below DATA.

    Each probe is protected and written; the judges, black-box recognizers, find the face on the bytes read back, and
    again after JPEG and at half size. The first row, the surrogate that was attacked, says nothing about others: the
    judges do. Options of the attack may be repeated: each value is measured with each of the others', and drawn as a
    curve.
    """
    from face_encryption.runtime import Protector, Settings
    from face_encryption.runtime.errors import FaceEncryptionError

    from ..data.layouts import DataError, read_pairs
    from ..distill.aligned import RecognizerError, read_recognizers
    from .lpips import LpipsError, load_lpips
    from .people import find_people
    from .portraits import write_portraits
    from .probes import embed_black_box, embed_surrogate
    from .protection import measure_protection
    from .report import WHITE_BOX, describe, write_report

    if photos and not out:
        raise click.UsageError("--photos needs --out, to write the pictures to.")
    try:
        every = [
            Settings(**dict(zip(attacks, values, strict=True)))
            for values in product(*(values or (None,) for values in attacks.values()))
        ]
        listed = read_pairs(pairs, data)
        distance = load_lpips(lpips) if lpips else None
        protector = Protector(artifacts, 1)
        recognizers = {WHITE_BOX: embed_surrogate(protector)}
        if judges:
            recognizers |= {name: embed_black_box(each) for name, each in read_recognizers(judges).items()}
        people = find_people(protector, recognizers, data, listed, distractors, gallery)
        ways = [way for way in RECOMPRESSIONS if way in recompressions or "all" in recompressions]
        margin = protector.artifacts.recognizer.value("crop_margin", float)
        results = []
        for result in measure_protection(protector, recognizers, people, every, ways, distance):
            click.echo(describe(result, people.left_out))
            results.append(result)
            if out:  # after each setting, since a curve takes long
                write_report(out, people, results, margin)
        if photos and out:
            for name in write_portraits(protector, photos, every, out / "photos", distance):
                click.echo(f"{name}: no face", err=True)
    except (DataError, LpipsError, RecognizerError, FaceEncryptionError) as error:
        raise click.ClickException(str(error)) from None
