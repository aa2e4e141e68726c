"""Options that commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

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


def with_lists(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which photos of a data set are for what."""
    for option in reversed(_lists):
        command = option(command)
    return command
