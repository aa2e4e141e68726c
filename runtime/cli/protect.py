"""The command `face-encryption protect`."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import NoFaceError, PhotoError
from ..files import PROTECTED, Target, choose_targets, read, write
from . import options
from .batch import NO_MEMORY, Batch, Report, list_photos, report_skipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ..protector import Protector
    from ..results import FaceResult
    from ..settings import Settings


def _face_numbers(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...] | None:
    if value == "all":
        return None
    try:
        return tuple(int(number) for number in value.split(","))
    except ValueError:
        raise click.BadParameter(f'{value!r} is neither "all" nor numbers such as "1,3"') from None


@click.command()
@options.inputs
@click.option(
    "-o", "--out", help="Write here: a folder, or a file when there is one photo.  [default: beside the photo]"
)
@click.option("--strength", type=click.Choice(["low", "medium", "high"]), default="medium", show_default=True)
@click.option("--effort", type=click.Choice(["fast", "normal", "thorough"]), default="normal", show_default=True)
@click.option(
    "--budget", type=float, help="How much of the change may be seen, about 1 - SSIM.  [default: by --strength]"
)
@click.option("--clamp", type=float, help="Change no pixel by more than this many levels.  [default: by --strength]")
@click.option("--steps", type=int, help="Steps of the attack, 1 to 1000.  [default: by --effort]")
@click.option("--label", metavar="NAME", help="Move the face towards this identity (targeted).")
@click.option(
    "--gallery",
    multiple=True,
    metavar="PATH",
    help="Photos by which these people are known, a file, folder or quoted pattern: move away from what they show too.",
)
@click.option("--away", is_flag=True, help="Move the face away from the identity that is seen in it (non-targeted).")
@click.option(
    "--consent", is_flag=True, help="The person of --label consents to becoming the match; recorded in the JSON."
)
@click.option("--epsilon", type=float, help="With --label or --away: change no pixel by more than this many levels.")
@click.option("--step-size", type=float, help="With --label or --away: levels that one step goes.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random start.")
@click.option("--faces", callback=_face_numbers, default="all", show_default=True, help="Faces by number, such as 1,3.")
@options.min_score
@options.small_faces
@options.boxes
@click.option("--metadata", type=click.Choice(["strip", "keep"]), default="strip", show_default=True)
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Photos at once; they share the cores."
)
@options.json
@options.artifacts
@options.threads
def protect(
    inputs: tuple[str, ...],
    out: str | None,
    label: str | None,
    gallery: tuple[str, ...],
    away: bool,
    consent: bool,
    jobs: int,
    as_json: bool,
    artifacts: str | None,
    threads: int | None,
    **choices: Any,
) -> None:
    """Write a protected copy, NAME_protected.EXT, of each photo.

    IN is a file, a folder or a pattern. Faces are numbered from left to right, as `detect` shows them. Without --label
    or --away each face is cloaked: moved away from itself, whoever it shows.

    A cloak after which our own recognizer still matches a face is made again with more steps, then with more change, up
    to the upper end of --strength; but never with more than --steps, --budget and --clamp say by hand. When nothing
    helped, the copy of the least similarity is written and the exit code is 8, now and when the command finds that copy
    again.
    """
    _check_usage(label, away, consent, gallery)
    from ..protector import Protector
    from ..settings import Settings

    settings = Settings(label=label, away=away, **choices)
    if jobs > 1 and threads is None:
        threads = max(1, (os.cpu_count() or 1) // jobs)
    protector = Protector(artifacts, threads)
    protector.check(settings)
    batch = Batch(inputs, as_json)
    targets = choose_targets(batch.photos, inputs, out, PROTECTED)
    if gallery:
        settings = replace(settings, gallery=_enroll(protector, gallery))

    def work(photo: Path, target: Target | None) -> Report:
        assert target is not None
        protected = protector.protect(read(photo), settings)
        write(target.path, protected.data)
        facts = {
            "output": str(target.path),
            "label": label,
            "attack": "label" if label else "away" if away else "cloak",
            "consent": True if label else None,
            "seed": settings.seed,
        }
        notes = [*protected.notes, f"written to {target.path}"]
        if gallery:
            known = ", ".join(f"face {face.number} matches {face.gallery}" for face in protected.faces)
            notes.append(f"of the gallery's faces {known}")
        report = Report((), facts | {"notes": list(protected.notes)}, tuple(notes))
        return _with_faces(report, photo, target, protected.faces, settings)

    batch.run(work, targets, jobs, lambda photo, target: _measure_again(protector, photo, target, settings))


def _check_usage(label: str | None, away: bool, consent: bool, gallery: tuple[str, ...]) -> None:
    if label is not None and away:
        raise click.UsageError("--label and --away exclude each other.")
    if gallery and (label is not None or away):
        raise click.UsageError("--gallery is for faces that move away from themselves, not for --label or --away.")
    if consent and label is None:
        raise click.UsageError("--consent says that the person of --label consents; give --label.")
    if label is not None and not consent:
        raise click.UsageError(f'This makes "{label}" the match. Say that they agree: --consent.')


def _measure_again(protector: "Protector", photo: Path, target: Target, settings: "Settings") -> Report:
    """Report of a photo that has its copy whether a face is still a match in it."""
    report = report_skipped(target)
    try:
        faces = protector.measure(read(photo), read(target.path), settings)
    except (NoFaceError, PhotoError) as error:
        reason = "no face found" if isinstance(error, NoFaceError) else error
        return replace(report, notes=(f"{report.notes[0]}; it cannot be measured again ({reason})",))
    return _with_faces(report, photo, target, faces, settings)


def _with_faces(
    report: Report, photo: Path, target: Target, faces: "Sequence[FaceResult]", settings: "Settings"
) -> Report:
    """Add to a report what became of a photo's faces; if it was skipped, lines for those that are still a match."""
    from ..report import result_json, result_line, suggest_stronger

    name, stronger = click.format_filename(photo), suggest_stronger(settings)
    lines = [result_line(name, face, stronger) for face in faces if face.matched or not report.skipped]
    matches = sum(face.matched for face in faces)
    notes = (f"{target.path} exists already",) if matches and report.skipped else report.notes
    if matches and stronger:
        notes += (f"remove {target.path} before you try {stronger}",)
    facts = report.facts | {"faces": [result_json(face) for face in faces]}
    return replace(report, lines=tuple(lines), facts=facts, notes=notes, matches=matches)


def _enroll(protector: "Protector", inputs: tuple[str, ...]) -> "NDArray[np.float32]":
    """Enroll the faces in photos; those without a face, and unreadable ones of a folder, are reported and left out."""
    import numpy as np

    found = []
    for photo in dict.fromkeys(path for text in inputs for path in _photos(text)):
        try:
            found.append(protector.enroll(read(photo)))
        except (NoFaceError, PhotoError) as error:
            if isinstance(error, PhotoError) and photo in map(Path, inputs):
                raise PhotoError(f"{photo}: {error}") from error
            click.echo(f"{photo}: {error}; left out of the gallery", err=True)
        except MemoryError:
            raise PhotoError(f"{photo}: {NO_MEMORY}") from None
    if not found:
        raise NoFaceError("no face in the gallery; nothing was written")
    return np.concatenate(found)


def _photos(text: str) -> list[Path]:
    try:
        return list_photos(text)
    except PhotoError as error:
        raise PhotoError(f"{text}: {error}") from error
