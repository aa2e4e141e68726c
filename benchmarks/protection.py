"""How well cloaked photos are protected: the recogniser that was attacked beside ones that it has never seen.

    python benchmarks/protection.py DATA LIST [--judges FILE.toml] [--artifacts DIR] [--strength NAME] [--steps K]

LIST names two photos of one person a line, "probe gallery", below DATA. Each probe is protected and written as PNG; a
judge finds and aligns the face on the bytes read back, as a stranger would, and compares it with the clean gallery
photo. Protected are the faces whose similarity is below the judge's threshold at a false accept rate of 1 %, set on
the clean photos of different people; the share of clean probes below it is the judge's own misses. The TOML names
judges, recognisers given as ONNX that take aligned 112x112 faces:

    [name]
    model = "file.onnx"     # beside the TOML
    channels = "RGB"        # or BGR
    mean = 0.0              # (pixel - mean) / std, pixels from 0 to 255
    std = 1.0
"""

import argparse
import io
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from face_encryption.runtime import Protector, Settings
from face_encryption.runtime.faces import cut_square, detect, largest_face
from face_encryption.training.distill import align

FAR = 0.01
Pixels = NDArray[np.uint8]
Embed = Callable[[Pixels], NDArray[np.float32] | None]


def white_box(protector: Protector) -> Embed:
    """Return the attacked recogniser's own embedding of a photo's main face."""
    margin = protector.artifacts.recognizer.value("crop_margin", float)

    def embed(image: Pixels) -> NDArray[np.float32] | None:
        faces = protector.detect(image)
        return protector.recognise(cut_square(image, largest_face(faces).box, margin)[0]).embedding if faces else None

    return embed


def judge(protector: Protector, folder: Path, entry: dict[str, Any]) -> Embed:
    """Return a judge's embedding of a photo's main face, aligned by the keypoints found on that very photo."""
    session = ort.InferenceSession(str(folder / entry["model"]), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    order = slice(None, None, -1 if entry["channels"] == "BGR" else 1)

    def embed(image: Pixels) -> NDArray[np.float32] | None:
        faces = detect(protector.artifacts.detector, image)
        if not faces:
            return None
        face = np.asarray(align(image, largest_face(faces).keypoints), np.float32)[..., order]
        pixels = ((face - entry["mean"]) / entry["std"]).transpose(2, 0, 1)[None]
        embedding = session.run(None, {name: np.ascontiguousarray(pixels, np.float32)})[0].ravel()
        return np.asarray(embedding / np.linalg.norm(embedding), np.float32)

    return embed


def again(image: Image.Image, **options: Any) -> Pixels:
    """Write a picture as JPEG and read it back."""
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return np.asarray(Image.open(file))


def published(image: Pixels) -> dict[str, Pixels]:
    """Return what a website might make of a saved photo."""
    picture = Image.fromarray(image)
    half = np.asarray(picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS))
    return {"as saved": image, "JPEG 75": again(picture, quality=75), "half size": half}


def interval(protected: NDArray[np.bool_]) -> str:
    """Return a rate in per cent with its 95 % interval, resampled over people."""
    random = np.random.default_rng(0)
    rates = [random.choice(protected, len(protected)).mean() for _ in range(1000)]
    low, high = np.percentile(rates, [2.5, 97.5])
    return f"{protected.mean():.1%} ({low:.0%} to {high:.0%})"


def measure(name: str, embed: Embed, probes: list[Pixels], galleries: list[Pixels], saved: list[Pixels]) -> str:
    """Return a row of the table: rates of clean and of protected probes."""

    gallery = [embed(image) for image in galleries]
    clean = [embed(image) for image in probes]
    known = [(i, a) for i, a in enumerate(clean) if a is not None]
    others = [float(a @ b) for i, a in known for j, b in enumerate(gallery) if b is not None and i != j]
    threshold = float(np.quantile(others, 1 - FAR))

    def below(found: list[NDArray[np.float32] | None]) -> NDArray[np.bool_]:
        pairs = zip(found, gallery, strict=True)
        return np.array([a is None or b is None or float(a @ b) < threshold for a, b in pairs])

    cells = [name, f"{threshold:.3f}", f"{below(clean).mean():.1%}"]
    looks = [published(image) for image in saved]
    hidden = 0
    for look in looks[0]:
        found = [embed(each[look]) for each in looks]
        hidden = max(hidden, sum(one is None for one in found))
        cells.append(interval(below(found)))
    return "| " + " | ".join([*cells, str(hidden)]) + " |"


def main() -> None:
    """Protect the probes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("list", type=Path)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--judges", type=Path)
    parser.add_argument("--strength", default="medium")
    parser.add_argument("--steps", type=int)
    options = parser.parse_args()
    protector = Protector(options.artifacts)
    settings = Settings(strength=options.strength, steps=options.steps)
    probes, galleries, saved, quality = [], [], [], []
    for line in track(options.list.read_text().splitlines(), "protecting"):
        probe, gallery = (np.asarray(Image.open(options.data / photo).convert("RGB")) for photo in line.split())
        png = io.BytesIO()
        Image.fromarray(probe).save(png, "PNG")
        protected = protector.protect(png.getvalue(), settings)
        probes.append(probe)
        galleries.append(gallery)
        saved.append(np.asarray(Image.open(io.BytesIO(protected.data)).convert("RGB")))
        quality.append(min(face.psnr for face in protected.faces))
    print(
        f"\n{len(probes)} people, strength {options.strength}, epsilon {protected.epsilon:g}, K = {protected.steps}, "
        f"PSNR of the face square {np.mean(quality):.1f} dB\n"
    )
    print("| recogniser | threshold | clean | as saved | JPEG 75 | half size | no face found |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(measure("ours (white box)", white_box(protector), probes, galleries, saved), flush=True)
    judges = tomllib.loads(options.judges.read_text()) if options.judges else {}
    for name, entry in judges.items():
        embed = judge(protector, options.judges.parent, entry)
        print(measure(name, embed, probes, galleries, saved), flush=True)


if __name__ == "__main__":
    main()
