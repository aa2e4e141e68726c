"""Work on photos: go on after a failure, say in their order what became of each, and count.

Results go to stdout, as text or JSON; notes, errors and progress go to stderr.
"""

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ..errors import STILL_A_MATCH, ArtifactsError, FaceEncryptionError, NoFaceError, OutputError, PhotoError
from ..files import Target, find_photos, left_out, source
from ..writing import ExistsError, is_taken, remove_leftovers

NO_MEMORY = "not enough memory; make the photo smaller"


@dataclass(frozen=True)
class Report:
    """What became of a photo.

    Attributes:
        lines: the results as text.
        facts: the results as JSON types.
        notes: what is neither a result nor an error.
        skipped: nothing had to be done.
        matches: how many faces of the result are still a match.
    """

    lines: tuple[str, ...]
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()
    skipped: bool = False
    matches: int = 0


# What is done to one photo; the target is None where nothing is written.
Work = Callable[[Path, Target | None], Report]
# What is said of one photo whose result exists.
Skip = Callable[[Path, Target], Report]


def report_skipped(target: Target) -> Report:
    """Report that a photo is skipped because there is a file where its result would go."""
    facts = {"output": str(target.path), "skipped": "exists already"}
    note = f"skipped, {target.path} exists already, perhaps of another photo or with other settings"
    return Report((), facts, (note,), skipped=True)


def list_photos(text: str) -> list[Path]:
    """Find photos as `find_photos` does, and say on stderr what of a folder is not among them."""
    photos = find_photos(text)
    if os.path.isdir(text) and (others := left_out(Path(text))):
        click.echo(f"{text}: left out: {others}", err=True)
    return photos


class Batch:
    """Photos to work on, and what is said of each.

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
        self._failures: list[int] = []
        self._counts = {"done": 0, "skipped": 0, "failed": 0}
        self._matches = 0
        self._targets: dict[Path, Target] = {}
        self._owners: dict[str, Path] = {}
        self._bar = False
        photos: dict[str, Path] = {}  # a photo that is named twice, by whatever paths, is worked on once
        for text in inputs:
            try:
                for photo in list_photos(text):
                    first = photos.setdefault(os.path.realpath(photo), photo)
                    if first != photo:
                        click.echo(f"{photo}: left out, the same photo as {first}", err=True)
            except PhotoError as error:
                self._fail(Path(text), error)
        # A shell writes out a pattern's names, results of an earlier run among them.
        results = [
            photo for photo in photos.values() if (made_of := source(photo)) and os.path.realpath(made_of) in photos
        ]
        for photo in results:
            click.echo(f"{photo}: left out, made of {source(photo)}", err=True)
        self.photos = [photo for photo in photos.values() if photo not in results]

    def run(
        self,
        work: Work,
        targets: list[Target] | None = None,
        jobs: int = 1,
        skip: Skip = lambda _, target: report_skipped(target),
    ) -> None:
        """Work on each photo, and leave with the exit code of the first failure.

        A face that is still a match outweighs photos without a face, which nearly every folder holds, and nothing else.

        Args:
            work: is called from several threads when there are several jobs.
            targets: for each photo, where its result goes; photos whose result exists are skipped.
            jobs: how many photos to work on at once.
            skip: what is said of a photo that is skipped.
        """
        self._targets = dict(zip(self.photos, targets or [], strict=False))
        self._owners = {}
        for photo, target in self._targets.items():
            self._owners.setdefault(_place(target), photo)
        remove_leftovers({target.path.parent for target in self._targets.values()})
        with _mapping(jobs) as mapped, contextlib.closing(self._progress()) as photos:  # ends the bar if interrupted
            outcomes = mapped(lambda photo: self._attempt(work, skip, photo), self.photos)
            for photo, outcome in zip(photos, outcomes, strict=True):
                self._say(photo, outcome)
        if sum(self._counts.values()) > 1:
            counts = [f"{count} {what}" for what, count in self._counts.items()]
            if self._matches:
                counts.append(f"{self._matches} {'faces' if self._matches > 1 else 'face'} STILL A MATCH")
            click.echo(", ".join(counts), err=True)
        codes = self._failures
        if self._matches:
            codes = [*(code for code in codes if code != NoFaceError.exit_code), STILL_A_MATCH]
        click.get_current_context().exit(codes[0] if codes else 0)

    def _attempt(self, work: Work, skip: Skip, photo: Path) -> Report | FaceEncryptionError:
        target = self._targets.get(photo)
        try:
            if target is not None and self._is_taken(photo, target):
                return skip(photo, target)
            try:
                return work(photo, target)
            except ExistsError:  # written by another process meanwhile
                if target is None or target.named:
                    raise
                return skip(photo, target)
        except ArtifactsError:
            raise  # the next photo would meet the same
        except FaceEncryptionError as error:
            return error
        except MemoryError:
            return PhotoError(NO_MEMORY)

    def _is_taken(self, photo: Path, target: Target) -> bool:
        """Tell whether there is nothing to do because the output exists.

        Raises:
            OutputError: the user named this very file, or another photo of this batch is written there.
        """
        if self._owners[_place(target)] != photo:
            raise OutputError(f"{target.path} is the output of another photo as well; give them separate folders")
        if not is_taken(target.path):
            return False
        if target.named:
            raise OutputError(f"{target.path} exists already and is never overwritten; remove it or choose another")
        return True

    def _say(self, photo: Path, outcome: Report | FaceEncryptionError) -> None:
        if isinstance(outcome, FaceEncryptionError):
            self._fail(photo, outcome)
            return
        self._counts["skipped" if outcome.skipped else "done"] += 1
        self._matches += outcome.matches
        if self._as_json:
            self._print({"input": str(photo)} | outcome.facts)
        else:
            self._print(*outcome.lines)
        for note in outcome.notes:
            self._clear_bar()
            click.echo(f"{photo}: {note}", err=True)

    def _fail(self, photo: Path, error: FaceEncryptionError) -> None:
        self._failures.append(error.exit_code)
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


@contextlib.contextmanager
def _mapping(jobs: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Give a `map` that has so many calls under way at once; those not begun when it is left are dropped."""
    if jobs == 1:
        yield map
        return
    pool = ThreadPoolExecutor(jobs)
    try:
        with warnings.catch_warnings():  # read_photo's, undone by several threads at once, could leave any filter
            warnings.simplefilter("ignore")
            yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def _place(target: Target) -> str:
    return os.path.join(os.path.realpath(target.path.parent), target.path.name)
