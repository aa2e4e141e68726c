"""The commands `evaluate recognizer` and `evaluate protection`. PyTorch is imported when one runs, not for its help."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import click

from ..options import FILE, FOLDER, with_lists
from .recompression import RECOMPRESSIONS


@click.group()
def evaluate() -> None:
    """Measure what training or protecting achieved."""


@evaluate.command()
@click.argument("checkpoint", type=FILE)
@click.argument("data", type=FOLDER)
@with_lists
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write identities.csv and a plot here.")
@click.option("--worst", type=click.IntRange(0), default=5, show_default=True, help="How many identities to print.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def recognizer(
    checkpoint: Path, data: Path, detector: Path, cache: Path, out: Path | None, worst: int, as_json: bool, **lists: Any
) -> None:
    """Measure a CHECKPOINT's accuracy on the test photos of DATA, and its verification on held-out identities.

    The held-out identities are those of --pairs; without, verification is on the test photos, of people whom it was
    trained on.
    """
    from ..checkpoint import CheckpointError, load_checkpoint
    from ..data.cutting import cut_size
    from ..data.faces import load_faces
    from ..data.layouts import DataError, list_data, read_list
    from .plots import plot_verification
    from .verification import evaluate as measure

    try:
        model, description = load_checkpoint(checkpoint)
        size = cut_size(description.input_size, description.crop_margin)
        photos = list_data(data, lists["train_list"], lists["test_list"]).test
        test = load_faces(data, photos, detector, cache, size)
        if unknown := sorted(set(test.names) - set(description.classes)):
            raise DataError(f"{checkpoint} does not know {unknown[0]}, whom a test photo shows")
        pairs = lists["pairs"]
        held_out = load_faces(data, read_list(pairs, data), detector, cache, size) if pairs else test
    except (CheckpointError, DataError) as error:
        raise click.ClickException(str(error)) from None
    report = measure(model, description, test, held_out)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        report.write(out / "identities.csv")
        plot_verification(report.verification, out / "verification.png")
    rates, thresholds = report.verification.rates, report.verification.thresholds
    if as_json:
        facts = {"accuracy": report.accuracy, "identities": report.identities}
        click.echo(json.dumps(facts | {"rates": rates, "thresholds": thresholds}))
        return
    click.echo(f"accuracy {report.accuracy:.4f} on {len(test.names)} faces of {len(report.identities)} identities")
    for rate, threshold in thresholds.items():
        share = f"TAR {rates[rate]:.4f}" if rates else "no two photos of one person"
        click.echo(f"verification at FAR {float(rate):.1%}: {share}, threshold {threshold:.4f}")
    if not thresholds:
        click.echo("no verification: all photos show one person")
    for name, count, right, instead in report.identities[:worst]:
        click.echo(f"{name}: {right} of {count}" + (f", mostly taken for {instead}" if instead else ""))


@evaluate.command()
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
        margin = protector.artifacts.manifest.recognizer.crop_margin
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
