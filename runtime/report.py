"""Results in words for people and as JSON for machines."""

import math
from dataclasses import asdict
from typing import Any

from .detection import Detection
from .faces import CUT, SMALL, Face
from .results import FaceResult, Recognition
from .settings import Settings


def result_line(photo: str, result: FaceResult, stronger: str = "") -> str:
    """Return the one line that says what became of a face; `stronger` is what to try where it is still a match."""
    verdict = f"STILL A MATCH{stronger and f', try {stronger}'}" if result.matched else "no longer matches"
    others = "".join(
        f"; by {each.name} {each.similarity:.2f}, threshold {each.threshold:.2f}" for each in result.surrogates
    )
    names = ""
    if result.before and result.after:
        names = f' was "{_seen(result.before)}" now "{_seen(result.after)}",'
    return (
        f"{photo} face {result.number}: {verdict}"
        f" (similarity {result.similarity:.2f}, threshold {result.threshold:.2f}{others}),{names}"
        f" change <= {result.change} levels, {result.psnr:.1f} dB, {result.seconds:.1f} s"
    )


def suggest_stronger(settings: Settings) -> str:
    """Return what to try after these settings left a face a match: options, or "" where there is nothing stronger."""
    given = [f"--{name}" for name in ("budget", "clamp", "epsilon") if getattr(settings, name) is not None]
    if given:
        return f"a larger {' or '.join(given)}"
    if settings.strength != "high":
        return f"--strength {'medium' if settings.strength == 'low' else 'high'}"
    if settings.steps is not None:
        return "more --steps"
    return "--effort thorough" if settings.labelled and settings.effort != "thorough" else ""


def face_line(photo: str, number: int, face: Face) -> str:
    """Return the one line that says where a face is."""
    x0, y0, x1, y1 = face.box
    return f"{photo} face {number}: box {x0:.0f},{y0:.0f} to {x1:.0f},{y1:.0f}, score {face.score:.2f}"


def detection_notes(seen: Detection) -> tuple[str, ...]:
    """Return what the user may want to know about the faces in a photo: where to look, and what to do, a line each."""
    notes = []
    for face in seen.unsure:
        left, top, right, bottom = (round(edge) for edge in face.box)
        score = math.floor(100 * face.score) / 100  # rounded up it would leave this face out
        notes.append(
            f"perhaps a face at {left},{top} to {right},{bottom} (score {face.score:.2f}): if so, add"
            f" --min-score {score:.2f} or --box {left},{top},{right},{bottom}"
        )
    for number, face in enumerate(seen.faces, 1):
        x0, y0, x1, y1 = face.box
        size, part = max(x1 - x0, y1 - y0), _part_inside(face, seen.shape)
        flaw = f"only {size:.0f} pixels large" if size < SMALL else "cut by the photo's border" if part < CUT else ""
        if flaw:
            notes.append(
                f"face {number} at {x0:.0f},{y0:.0f} to {x1:.0f},{y1:.0f} is {flaw} and may stay recognizable:"
                " look at it, cover it, or leave it out by --faces"
            )
    return tuple(notes)


def _part_inside(face: Face, shape: tuple[int, ...]) -> float:
    x0, y0, x1, y1 = face.box
    width, height = min(x1, shape[1]) - max(x0, 0), min(y1, shape[0]) - max(y0, 0)
    return max(width, 0) * max(height, 0) / max((x1 - x0) * (y1 - y0), 1e-9)


def result_json(result: FaceResult) -> dict[str, Any]:
    """Return what became of a face, as JSON types. An infinite PSNR, of no change, is null."""
    return face_json(result.number, result.face) | {
        "matched": result.matched,
        "similarity": result.similarity,
        "threshold": result.threshold,
        "surrogates": [asdict(each) | {"matched": each.matched} for each in result.surrogates],
        "gallery": result.gallery,
        **{name: _identity(each) for name, each in (("before", result.before), ("after", result.after)) if each},
        **(asdict(result.plan) if result.plan else {}),
        "change": result.change,
        "psnr": result.psnr if math.isfinite(result.psnr) else None,
        "seconds": result.seconds,
    }


def face_json(number: int, face: Face) -> dict[str, Any]:
    """Return a face as JSON types, in pixels of the upright photo."""
    return {"number": number, "box": list(face.box), "score": face.score, "keypoints": face.keypoints.tolist()}


def _identity(recognition: Recognition) -> dict[str, Any]:
    return {"name": recognition.name, "probability": recognition.probability}


def _seen(recognition: Recognition) -> str:
    return f"{recognition.name} {recognition.probability:.2f}"
