"""Results in words for people and as JSON for machines."""

import math
from dataclasses import asdict
from typing import Any

from .faces import Face
from .results import FaceResult, ProtectedPhoto, Recognition


def result_line(photo: str, result: FaceResult) -> str:
    """Return the one line that says what became of a face."""
    verdict = "STILL A MATCH" if result.matched else "no match"
    return (
        f"{photo} face {result.number}: {verdict}"
        f" (similarity {result.similarity:.2f}, threshold {result.threshold:.2f}),"
        f' was "{_seen(result.before)}" now "{_seen(result.after)}",'
        f" change <= {result.change} levels, {result.psnr:.1f} dB, {result.seconds:.1f} s"
    )


def face_line(photo: str, number: int, face: Face) -> str:
    """Return the one line that says where a face is."""
    x0, y0, x1, y1 = face.box
    return f"{photo} face {number}: box {x0:.0f},{y0:.0f} to {x1:.0f},{y1:.0f}, score {face.score:.2f}"


def protected_json(protected: ProtectedPhoto) -> dict[str, Any]:
    """Return what was done to a photo, as JSON types. An infinite PSNR, of no change, is null."""
    return {
        "faces": [
            face_json(result.number, result.face)
            | {
                "matched": result.matched,
                "similarity": result.similarity,
                "threshold": result.threshold,
                "gallery": result.gallery,
                "before": {"name": result.before.name, "probability": result.before.probability},
                "after": {"name": result.after.name, "probability": result.after.probability},
                **(asdict(result.plan) if result.plan else {}),
                "change": result.change,
                "psnr": result.psnr if math.isfinite(result.psnr) else None,
                "seconds": result.seconds,
            }
            for result in protected.faces
        ],
        "notes": list(protected.notes),
    }


def face_json(number: int, face: Face) -> dict[str, Any]:
    """Return a face as JSON types, in pixels of the upright photo."""
    return {"number": number, "box": list(face.box), "score": face.score, "keypoints": face.keypoints.tolist()}


def _seen(recognition: Recognition) -> str:
    return f"{recognition.name} {recognition.probability:.2f}"
