"""Whether two machines, as a phone's processor and a server's, protect a photo alike, as one Markdown table.

    python benchmarks/machines.py protect PHOTO MADE.npz [--artifacts DIR] [--steps K ...]
    python benchmarks/machines.py compare ONE.npz OTHER.npz

Run the first on each machine, with the same photo and the same folder of artifacts, and the second anywhere. It needs
what the runtime needs and nothing else. docs/aarch64.md says how to run it on an emulated processor.
"""

import argparse
import platform
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from face_encryption.runtime import Protector, Settings, read_photo
from face_encryption.runtime.faces import cut_square, paste_square
from face_encryption.runtime.onnx_runtime import ort


def protect(photo: Path, made: Path, artifacts: Path, steps: list[int]) -> None:
    """Protect a photo with each number of steps and keep what the graphs answered; raises as `Protector.protect`."""
    protector = Protector(artifacts)
    data = photo.read_bytes()
    pixels = read_photo(data).pixels
    faces = protector.detect(pixels)
    margin = protector.artifacts.manifest.recognizer.crop_margin
    squares = [cut_square(pixels, face.box, margin) for face in faces]
    inside = np.zeros_like(pixels)
    for square, corner in squares:
        paste_square(inside, np.ones_like(square), corner)
    answers: dict[str, Any] = {
        "machine": f"{platform.machine()}, onnxruntime {ort.__version__}",
        "checkpoint": protector.artifacts.manifest.checkpoint_sha256,
        "steps": steps,
        "photo": pixels,
        "inside": inside.astype(bool),
        "boxes": [face.box for face in faces],
        "scores": [face.score for face in faces],
        "keypoints": [face.keypoints for face in faces],
        "embeddings": [protector.recognize(square).embedding for square, _ in squares],
    }
    for count in steps:
        protected = protector.protect(data, Settings(steps=count))
        answers[f"protected-{count}"] = read_photo(protected.data).pixels
        answers[f"bound-{count}"] = max(face.plan.bound for face in protected.faces if face.plan)
        answers[f"similarity-{count}"] = [face.similarity for face in protected.faces]
        print(f"K = {count}: similarity {', '.join(f'{face.similarity:.4f}' for face in protected.faces)}", flush=True)
    np.savez_compressed(made, **answers)


def compare(one: Path, other: Path) -> None:
    """Print how two machines' answers differ; exits where they do not belong together."""
    a, b = (dict(np.load(path)) for path in (one, other))
    if any(not np.array_equal(a[key], b[key]) for key in ("photo", "checkpoint")):
        raise SystemExit(f"{one} and {other}: not of the same photo and checkpoint")
    if len(a["boxes"]) != len(b["boxes"]):
        raise SystemExit(f"{len(a['boxes'])} faces on {a['machine']}, {len(b['boxes'])} on {b['machine']}")
    print(f"| {a['machine']} against {b['machine']} | |\n| --- | --- |")
    for key, what in (("boxes", "boxes, pixels"), ("keypoints", "keypoints, pixels"), ("scores", "scores")):
        print(f"| {what}: largest difference | {np.abs(a[key] - b[key]).max():.2g} |")
    cosines = np.einsum("ij,ij->i", a["embeddings"].astype(np.float64), b["embeddings"].astype(np.float64))
    print(f"| embeddings of the original faces: 1 - cosine, at most | {(1 - cosines).max():.2g} |")
    inside = a["inside"] & b["inside"]
    for count in np.intersect1d(a["steps"], b["steps"]):
        first, second = (made[f"protected-{count}"] for made in (a, b))
        difference = _difference(first, second)[inside]
        print(f"| K = {count}: equal channels of pixels in the squares | {(difference == 0).mean():.3%} |")
        print(f"| K = {count}: largest difference in levels, and mean | {difference.max()}, {difference.mean():.2g} |")
        after = [", ".join(f"{value:.4f}" for value in made[f"similarity-{count}"]) for made in (a, b)]
        print(f"| K = {count}: similarity after | {after[0]} and {after[1]} |")
        changes = [_difference(made, a["photo"]).max() for made in (first, second)]
        bound = f"{changes[0]} and {changes[1]} of {a[f'bound-{count}']:g}"
        print(f"| K = {count}: largest change in levels, of the bound | {bound} |")


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.int16]:
    return np.abs(one.astype(np.int16) - other.astype(np.int16))


def main() -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("protect")
    making.add_argument("photo", type=Path)
    making.add_argument("made", type=Path)
    making.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    making.add_argument("--steps", type=int, nargs="+", default=[1, 4])
    comparing = commands.add_parser("compare")
    comparing.add_argument("one", type=Path)
    comparing.add_argument("other", type=Path)
    options = parser.parse_args()
    if options.command == "protect":
        protect(options.photo, options.made, options.artifacts, options.steps)
    else:
        compare(options.one, options.other)


if __name__ == "__main__":
    main()
