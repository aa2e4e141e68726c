"""The command `face-encryption detect`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import NoFaceError
from ..files import DETECTED, Target, choose_targets, read, write
from . import options
from .batch import Batch, Report

if TYPE_CHECKING:
    from ..faces import Box


@click.command()
@options.inputs
@click.option("--draw", metavar="OUT", help="Write a copy with the faces marked: to a folder, or a file for one photo.")
@options.min_score
@options.small_faces
@options.boxes
@options.json
@options.artifacts
@options.threads
def detect(
    inputs: tuple[str, ...],
    draw: str | None,
    min_score: float | None,
    small_faces: bool,
    boxes: tuple["Box", ...],
    as_json: bool,
    artifacts: str | None,
    threads: int | None,
) -> None:
    """Print where the faces in each photo are, numbered from left to right, and where there may be another."""
    from ..photo import read_photo
    from ..protector import Protector
    from ..report import detection_notes, face_json, face_line
    from ..settings import check_detection
    from .draw import draw_faces

    check_detection(min_score, boxes)
    protector = Protector(artifacts, threads)
    protector.artifacts.detector.load()  # here, so that a missing one shows before the first photo
    batch = Batch(inputs, as_json)

    def work(path: Path, target: Target | None) -> Report:
        photo = read_photo(read(path))
        pixels = photo.pixels
        seen = protector.look(pixels, min_score, boxes, small_faces)
        faces, notes = seen.faces, detection_notes(seen)
        if not faces and (target is None or not seen.unsure):
            raise NoFaceError("; ".join(["no face found", *notes]))
        name = click.format_filename(path)
        lines = tuple(face_line(name, number, face) for number, face in enumerate(faces, 1))
        facts: dict[str, Any] = {
            "faces": [face_json(number, face) for number, face in enumerate(faces, 1)],
            "unsure": [{"box": list(face.box), "score": face.score} for face in seen.unsure],
        }
        if target is None:
            return Report(lines, facts, notes)
        write(target.path, photo.encode(draw_faces(pixels, faces, seen.unsure)))
        return Report(lines, facts | {"output": str(target.path)}, (*notes, f"written to {target.path}"))

    batch.run(work, None if draw is None else choose_targets(batch.photos, inputs, draw, DETECTED))
