"""The commands `train` and `collect`. PyTorch is imported when one runs, not for its help."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from .evaluation.cli import evaluate
from .options import DETECTOR, FILE, FOLDER, with_lists

__all__ = ["collect", "evaluate", "train"]


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
@with_lists
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
