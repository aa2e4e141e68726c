"""Work on one photo after the other: go on after a failure, say what became of each, and count.

Results go to stdout, as text or JSON; notes, errors and progress go to stderr.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import click

from .errors import ArtifactsError, FaceEncryptionError, OutputError, PhotoError
from .files import Target, find_photos


class Batch:
    """Photos to work on one by one, and what is said of each.

    Attributes:
        photos: the files to work on, without repetition.
    """

    def __init__(self, inputs: Iterable[str], as_json: bool) -> None:
        """Find the photos; inputs that name none are reported at once.

        Args:
            inputs: files, folders and patterns.
            as_json: print results as one JSON object a photo.
        """
        self._as_json = as_json
        self._exit_code = 0
        self._counts = {"done": 0, "skipped": 0, "failed": 0}
        self._outputs: set[Path] = set()
        self._bar = False
        photos: dict[Path, None] = {}  # a photo that is named twice is worked on once
        for text in inputs:
            try:
                photos |= dict.fromkeys(find_photos(text))
            except PhotoError as error:
                self._fail(Path(text), error)
        self.photos = list(photos)

    def run(self, work: Callable[[Path], None]) -> None:
        """Work on each photo, and leave with the exit code of the first failure."""
        with contextlib.closing(self._progress()) as photos:  # so that the bar ends also when interrupted
            for photo in photos:
                self._attempt(work, photo)
        if sum(self._counts.values()) > 1:
            click.echo(", ".join(f"{count} {what}" for what, count in self._counts.items()), err=True)
        click.get_current_context().exit(self._exit_code)

    def _attempt(self, work: Callable[[Path], None], photo: Path) -> None:
        try:
            work(photo)
        except ArtifactsError:
            raise  # the next photo would meet the same
        except FaceEncryptionError as error:
            self._fail(photo, error)
        except MemoryError:
            self._fail(photo, PhotoError("not enough memory; make the photo smaller"))

    def is_taken(self, photo: Path, target: Target) -> bool:
        """Tell whether there is nothing to do because the output exists, and say so.

        Raises:
            OutputError: the user named this very file, or another photo of this batch is written there.
        """
        path = Path(os.path.abspath(target.path))
        if path in self._outputs:
            raise OutputError(f"{target.path} is the output of another photo as well; give them separate folders")
        self._outputs.add(path)
        if not os.path.lexists(path):
            return False
        if target.named:
            raise OutputError(f"{target.path} exists already and is never overwritten; remove it or choose another")
        self._counts["skipped"] += 1
        self.note(photo, f"skipped, {target.path} exists already")
        if self._as_json:
            self._print({"input": str(photo), "output": str(target.path), "skipped": "exists already"})
        return True

    def result(self, lines: Iterable[str], photo: Path, facts: dict[str, Any]) -> None:
        """Print what was done to a photo."""
        self._counts["done"] += 1
        if self._as_json:
            self._print({"input": str(photo)} | facts)
        else:
            self._print(*lines)

    def note(self, photo: Path, text: str) -> None:
        """Say something about a photo that is neither a result nor an error."""
        self._clear_bar()
        click.echo(f"{photo}: {text}", err=True)

    def _fail(self, photo: Path, error: FaceEncryptionError) -> None:
        self._exit_code = self._exit_code or error.exit_code
        self._counts["failed"] += 1
        self._clear_bar()
        click.echo(f"Error: {photo}: {error}", err=True)
        if self._as_json:
            kind, code = type(error).__name__, error.exit_code
            self._print({"input": str(photo), "error": kind, "message": str(error), "exit_code": code})

    def _print(self, *lines: str | dict[str, Any]) -> None:
        self._clear_bar()
        for line in lines:
            click.echo(line if isinstance(line, str) else json.dumps(line))

    def _progress(self) -> Generator[Path, None, None]:
        self._bar = len(self.photos) > 1 and sys.stderr.isatty()
        if not self._bar:
            yield from self.photos
            return
        with click.progressbar(self.photos, file=sys.stderr, label="photos") as bar:
            yield from bar

    def _clear_bar(self) -> None:
        if self._bar:  # a line printed over the bar would end in the rest of it
            with contextlib.suppress(OSError):
                click.echo("\r\033[K", nl=False, err=True)
