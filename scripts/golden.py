"""Write `tests/golden/`: what every client must make of one photo with the default artifacts.

    python scripts/golden.py [ARTIFACTS]

`golden.json` has the numbers, and names the pictures beside it. Make them again when the default artifacts change.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from face_encryption.runtime.artifacts import Artifacts
from face_encryption.runtime.faces import cut_square, detect, paste_square, square_around
from face_encryption.runtime.onnx_runtime import ort

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
Pixels = NDArray[np.uint8]
Json = dict[str, Any]

# The astronaut's head, and in it a part for JPEG whose size is no multiple of a block's.
PHOTO, JPEG = (110, 10, 350, 250), (80, 40, 171, 101)
# In words of `docs/artifacts.md`, and as numbers: names of strength and effort may come to mean others.
CLOAK: Json = {"budget": 0.03, "clamp": 12, "seed": 7, "steps": 15}
LABEL: Json = {"direction": 1, "epsilon": 8, "step_size": 4, "momentum": 1, "diversity": 0, "seed": 7, "steps": 4}
DONE = (1, 5, 15)
# Boxes whose squares leave the photo, end between pixels, or are smaller than the smallest.
BOXES = ((-20.5, -8.0, 41.5, 60.0), (200.0, 170.5, 300.0, 231.0), (100.0, 90.0, 104.5, 93.0), (7.5, 8.5, 58.0, 49.0))
TOLERANCE: Json = {
    "box": 0.5,
    "score": 0.01,
    "embedding": 0.002,
    "reference": 0.03,
    "first_step": 0.5,
    "similarity": 0.05,
    "why": "Runtimes add up floats in other orders and fuse other nodes, so that boxes (pixels), scores and embeddings"
    " (each value) differ in their last digits. The cloak's reference and gradients are in bytes, which a runtime"
    " rounds once or twice, as it fuses nodes. A step goes along a gradient, and so these differences grow: after one"
    " step the mean difference of the pixels counts, in levels; after more, pixels differ, and what has to agree is the"
    " similarity to the face before by each recognizer. No pixel is further from the square than clamp or epsilon,"
    " rounded down. Squares, pasting and JPEG are whole numbers and agree in every byte.",
}


def digest(pixels: Pixels) -> str:
    """Return the sha256 of pixels, row by row, RGB."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def numbers(values: Any) -> Any:
    """Return an array as lists that JSON holds without loss."""
    return [numbers(each) for each in values] if np.ndim(values) else float(values)


def save(name: str, pixels: Pixels) -> Json:
    """Write a picture, and return what the JSON says of it."""
    Image.fromarray(pixels).save(GOLDEN / name, optimize=True)
    return {"file": name, "sha256": digest(pixels)}


def step_by_step(artifacts: Artifacts, names: list[str], feed: Json, steps: int) -> list[Json]:
    """Return what each step gives, by the names of the outputs; the graphs of these names do them in turn."""
    results = []
    for number in range(steps):
        result = run(artifacts, names[number % len(names)], {**feed, "iteration": np.array(number)})
        feed |= {name: result[f"next_{name}"] for name in ("perturbation", "momentum_buffer")}
        results.append(result)
    return results


def run(artifacts: Artifacts, name: str, feed: Json) -> Json:
    """Run a graph of the folder; returns its outputs by name."""
    graph = session(artifacts, name)
    return dict(zip([output.name for output in graph.get_outputs()], graph.run(None, feed), strict=True))


def session(artifacts: Artifacts, name: str) -> ort.InferenceSession:
    """Open a graph of the folder on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(artifacts.folder / artifacts.manifest.graphs[name].file, options)


def inputs(settings: Json) -> Json:
    """Return the settings of an attack as its graphs take them."""
    whole = ("label", "seed", "steps")
    return {name: np.array(value, np.int64 if name in whole else np.float32) for name, value in settings.items()}


def cloak(artifacts: Artifacts, square: Pixels, keypoints: NDArray[np.float32]) -> tuple[Json, Pixels]:
    """Cloak the square; returns what the JSON says of it, and the last protected square."""
    surrogates = artifacts.manifest.surrogates
    ends = np.cumsum([each.embedding for each in surrogates])[:-1]

    def embed(face: Pixels) -> Any:
        return artifacts.cloak_reference.run(["reference"], {"face": face, "keypoints": keypoints})[0]

    before = embed(square)
    names = [f"attack-feature-step-{turn}" for turn in artifacts.manifest.cloak.turns]
    settings = inputs(CLOAK)
    face = {"face": square, "keypoints": keypoints, **{name: settings.pop(name) for name in ("clamp", "seed")}}
    given = {"reference": before, "clamp": face["clamp"], **settings, **run(artifacts, "attack-feature-begin", face)}
    results = step_by_step(artifacts, names, given, CLOAK["steps"])
    stages = []
    for done in DONE:
        change = {"perturbation": results[done - 1]["next_perturbation"], "clamp": given["clamp"]}
        protected = run(artifacts, "attack-feature-end", {"face": square, **change})["protected"]
        parts = zip(np.split(before, ends), np.split(embed(protected), ends), strict=True)
        similarities = [float(one @ other) for one, other in parts]
        stages.append({"done": done, **save(f"cloak-{done}.png", protected), "similarities": similarities})
    losses = [float(each["loss"]) for each in results]
    facts = {"keypoints": numbers(keypoints), "reference": numbers(before), **CLOAK, "losses": losses, "after": stages}
    return facts, protected


def label(artifacts: Artifacts, square: Pixels, probabilities: NDArray[np.float32]) -> Json:
    """Move the square towards the label that is next to its own."""
    settings = {"label": int(probabilities.argsort()[-2]), **LABEL}
    given = {"face": square, **inputs({name: value for name, value in settings.items() if name != "steps"})}
    zeros = np.zeros((3, *[min(len(square), 336)] * 2), np.float32)
    given |= {"perturbation": zeros, "momentum_buffer": zeros}
    results = step_by_step(artifacts, ["attack-label-step"], given, LABEL["steps"])
    protected, losses = results[-1]["protected"], [float(each["loss"]) for each in results]
    (after,) = artifacts.recognizer.run(["probabilities"], {"face": protected})
    probability = float(after[settings["label"]])
    return {**settings, "losses": losses, **save(f"label-{LABEL['steps']}.png", protected), "probability": probability}


def jpegs(photo: Pixels) -> Json:
    """Write a part of the photo as JPEG with these tables in each way that a client may write it."""
    tables = [[min(255, 3 + (row + column) * scale) for row in range(8) for column in range(8)] for scale in (1, 2)]
    x0, y0, x1, y1 = JPEG
    picture, files = Image.fromarray(photo[y0:y1, x0:x1]), []
    for name, optimized, progressive in (
        ("standard", False, False),
        ("optimized", True, False),
        ("progressive", True, True),
    ):
        file = f"jpeg-{name}.jpg"
        picture.save(GOLDEN / file, "JPEG", subsampling=0, qtables=tables, optimize=optimized, progressive=progressive)
        files.append({"file": file, "optimized": optimized, "progressive": progressive})
    return {"part": [x0, y0, x1, y1], "tables": tables, "subsampling": "4:4:4", "files": files}


def main() -> None:
    """Write all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", nargs="?", default="artifacts")
    artifacts = Artifacts(parser.parse_args().artifacts, threads=1)
    manifest = artifacts.manifest
    GOLDEN.mkdir(exist_ok=True)
    x0, y0, x1, y1 = PHOTO
    photo = np.ascontiguousarray(data.astronaut()[y0:y1, x0:x1])
    score = manifest.detector.score
    faces = detect(artifacts.detector, photo, score)
    face, margin = faces[0], manifest.recognizer.crop_margin
    square, corner = cut_square(photo, face.box, margin)
    embedding, probabilities = artifacts.recognizer.run(["embedding", "probabilities"], {"face": square})
    cloaked, protected = cloak(artifacts, square, (face.keypoints - corner).astype(np.float32))
    pasted = photo.copy()
    paste_square(pasted, protected, corner)
    golden = {
        "made_by": "python scripts/golden.py",
        "artifacts": {
            "checkpoint_sha256": manifest.checkpoint_sha256,
            "surrogates": [each.name for each in manifest.surrogates],
            "arithmetic": manifest.content["recognizer"]["arithmetic"],
        },
        "runtime": f"onnxruntime {ort.__version__}, CPU",
        "tolerance": TOLERANCE,
        "photo": save("photo.png", photo),
        "detector": {
            "score": score,
            "faces": [{"box": each.box, "score": each.score, "keypoints": numbers(each.keypoints)} for each in faces],
        },
        "square": {"crop_margin": margin, "corner": corner, "side": len(square), "sha256": digest(square)},
        "squares": [
            {
                "box": box,
                "corner": square_around(box, margin)[0],
                "side": square_around(box, margin)[1],
                "sha256": digest(cut_square(photo, box, margin)[0]),
            }
            for box in BOXES
        ],
        "recognizer": {"embedding": numbers(embedding), "class": int(probabilities.argmax())},
        "cloak": cloaked,
        "label": label(artifacts, square, probabilities),
        "pasted": {"sha256": digest(pasted)},
        "jpeg": jpegs(photo),
    }
    (GOLDEN / "golden.json").write_text(
        json.dumps(golden, indent=None, separators=(",", ":")).replace('},"', '},\n"') + "\n"
    )
    size = sum(file.stat().st_size for file in GOLDEN.iterdir())
    print(f"wrote {GOLDEN}: {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
