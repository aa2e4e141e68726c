"""The commands `train`, `collect` and `evaluate`. PyTorch is imported when one runs, not for its help."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from .evaluation.cli import protection

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
DETECTOR = Path("artifacts/detector.onnx")

_lists = (
    click.option("--train-list", type=FILE, help="Photos to train on, a line each, relative to DATA."),
    click.option("--test-list", type=FILE, help="Photos to test on. Without lists every fourth photo of a person."),
    click.option("--pairs", type=FILE, help="Photos of people not to learn from, to set the thresholds on."),
    click.option("--detector", type=FILE, default=DETECTOR, show_default=True, help="Exported detector."),
    click.option(
        "--cache", type=click.Path(path_type=Path), default="cache", show_default=True, help="Where cuts are kept."
    ),
)


def _with_lists(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_lists):
        command = option(command)
    return command


def _file_or_download(context: click.Context, option: click.Parameter, value: str | None) -> Path | None:
    return Path(value) if value == "download" else FILE(value, option, context)


@click.command()
@click.argument("data", type=FOLDER)
@click.option("--recipe", default="distilled", show_default=True, help="distilled, gpu, again, study, or a TOML file.")
@click.option(
    "--teacher",
    type=FILE,
    help="What to learn from: a face recognizer (ONNX, takes aligned RGB), or a TOML of several.",
)
@_with_lists
@click.option("--init", type=FILE, help="A checkpoint to start from instead of random weights.")
@click.option(
    "--imagenet",
    callback=_file_or_download,
    metavar="FILE|download",
    help="torchvision's ResNet-18 weights to start from: as safetensors, or torchvision fetches them.",
)
@click.option("--out", type=click.Path(path_type=Path), default="runs/recognizer.safetensors", show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--bf16", is_flag=True, help="Mixed precision, for processors that multiply bfloat16.")
@click.option("--data-name", help="What the checkpoint calls DATA.  [default: its folder's name]")
@click.option("--tensorboard", is_flag=True, help="Write TensorBoard's event files beside the checkpoint, too.")
def train(recipe: str, **options: Any) -> None:
    """Train a recognizer on DATA: a folder of photos for each person, CelebA, or CelebA-HQ's identity data set.

    Run again after an interruption, it continues after the last finished epoch. Under `torchrun` it uses all devices.
    """
    from .checkpoint import CheckpointError
    from .config import Config
    from .data.layouts import DataError
    from .distill.aligned import RecognizerError
    from .recipe import RecipeError, load_recipe
    from .train import train as run

    if options["tensorboard"] and not find_spec("tensorboard"):
        raise click.ClickException("--tensorboard needs a package: pip install 'face-encryption[tensorboard]'")
    try:
        config = Config(recipe=load_recipe(recipe), **options)
        for name, value in config.summary().items():
            click.echo(f"{name:>15} {value}")
        run(config)
    except (CheckpointError, DataError, RecipeError, RecognizerError) as error:
        raise click.ClickException(str(error)) from None


@click.group()
def evaluate() -> None:
    """Measure what training or protecting achieved."""


@evaluate.command()
@click.argument("checkpoint", type=FILE)
@click.argument("data", type=FOLDER)
@_with_lists
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
    from .checkpoint import CheckpointError, load_checkpoint
    from .data.cutting import cut_size
    from .data.faces import load_faces
    from .data.layouts import DataError, list_data, read_list
    from .evaluation.plots import plot_verification
    from .evaluation.verification import evaluate as measure

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


evaluate.add_command(protection)


@click.command()
@click.argument("name")
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="SOURCE...")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default="people", show_default=True, help="The data set."
)
@click.option("--frames", type=click.IntRange(4), default=40, show_default=True, help="Pictures to keep at most.")
@click.option("--detector", type=FILE, default=DETECTOR, show_default=True, help="Exported detector.")
def collect(name: str, sources: tuple[Path, ...], out: Path, frames: int, detector: Path) -> None:
    """Make an identity NAME to train on from photos, folders or videos that show one person.

    Frames are taken uniformly, the face is cut out, near-duplicates are dropped; three in four go to OUT/train/NAME,
    the rest to OUT/test/NAME. OUT/NAME.png shows all of them: look at it.
    """
    from .data.collect import collect as run
    from .data.layouts import DataError

    try:
        identity = run(name, sources, out, detector, frames)
    except DataError as error:
        raise click.ClickException(str(error)) from None
    for reason, count in identity.skipped.items():
        click.echo(f"skipped {count}: {reason}", err=True)
    click.echo(f"{name}: {identity.train} to train on and {identity.test} to test on; look at {identity.sheet}")
