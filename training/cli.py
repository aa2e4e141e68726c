"""The command `face-encryption train`. PyTorch is imported when the command runs, not when its help is shown."""

from pathlib import Path
from typing import Any

import click

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--train-list", type=FILE, help="Photos to train on, a line each, relative to DATA.")
@click.option("--test-list", type=FILE, help="Photos to test on. Without lists every fourth photo of a person.")
@click.option("--pairs", type=FILE, help="Photos of people to leave out and to set the thresholds on.")
@click.option("--detector", type=FILE, default="artifacts/detector.onnx", show_default=True, help="Exported detector.")
@click.option("--teacher", type=FILE, help="A face recogniser (ONNX, aligned 112x112 RGB) to learn from.")
@click.option("--teacher-weight", type=float, default=20.0, show_default=True, help="Weight of the teacher's loss.")
@click.option("--init", type=FILE, help="A checkpoint to start from instead of random weights.")
@click.option("--out", type=click.Path(path_type=Path), default="runs/recognizer.safetensors", show_default=True)
@click.option(
    "--cache", type=click.Path(path_type=Path), default="cache", show_default=True, help="Where cuts are kept."
)
@click.option("--input-size", type=click.IntRange(32, 512), default=224, show_default=True, help="Pixels.")
@click.option("--epochs", type=click.IntRange(1), default=25, show_default=True)
@click.option("--batch", type=click.IntRange(2), default=64, show_default=True)
@click.option("--learning-rate", type=float, default=2e-3, show_default=True)
@click.option("--weight-decay", type=float, default=0.05, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def train(**options: Any) -> None:
    """Train a recogniser on DATA, a folder that holds a folder of photos for each person.

    Run again after an interruption, it continues after the last finished epoch.
    """
    from face_encryption.training.faces import DataError
    from face_encryption.training.model import CheckpointError
    from face_encryption.training.train import Config
    from face_encryption.training.train import train as run

    config = Config(**options)
    click.echo("\n".join(f"{name:>15} {value}" for name, value in vars(config).items()))
    try:
        run(config)
    except (DataError, CheckpointError) as error:
        raise click.ClickException(str(error)) from None
