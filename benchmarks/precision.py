"""What stored weights of fewer bits cost: size, accuracy, protection and time of several folders of artifacts.

    face-encryption export --precision fp32 --arithmetic fp32 --out fp32
    face-encryption export --precision int8 --arithmetic int8 --out int8
    python benchmarks/precision.py DATA TEST_LIST PAIRS fp32 int8 [--steps 4 12] [--sample 60]

DATA is a folder per identity, TEST_LIST names test photos below it, PAIRS has lines of "probe gallery", two photos of a
person nobody learned from. The first folder judges all: nobody else would run our recognizer in int8. It
finds the faces again in the bytes of the saved PNG. Times are of one face and one thread, by turns with the first
folder's; run it alone on the machine.
"""

import argparse
import io
import statistics
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from face_encryption.runtime import Protector, Settings
from face_encryption.runtime.faces import cut_square
from face_encryption.training.data.cutting import read_photo
from face_encryption.training.data.layouts import Photo, read_list, read_pairs
from face_encryption.training.evaluation.probes import Embed, Picture, detect_main_face, embed_surrogate
from face_encryption.training.threads import in_parallel

FAR = 0.01
SIDE = 250  # of the face that is timed


def accuracy(protector: Protector, faces: list[Picture], names: list[str]) -> float:
    """Top-1 accuracy in [0, 1]; a photo in which no face is found counts as wrong."""
    margin = protector.artifacts.manifest.recognizer.crop_margin

    def work(picture: Picture) -> str:
        return protector.recognize(cut_square(picture.pixels, picture.face.box, margin)[0]).name if picture.face else ""

    answers = in_parallel(work, faces, "recognizing")
    return sum(answer == name for answer, name in zip(answers, names, strict=True)) / len(names)


def embeddings(embed: Embed, faces: list[Picture]) -> npt.NDArray[np.float32]:
    """Embed faces, f32 [N, 512]; not-a-number, which is similar to nobody, where there is none."""
    nobody = np.full(512, np.nan, np.float32)
    return np.stack(in_parallel(lambda s: embed(s.pixels, s.face) if s.face else nobody, faces, "embedding"))


def verification(embed: Embed, pairs: list[tuple[Picture, Picture]]) -> tuple[float, float]:
    """Return the similarity that 1 % of the pairs of different people reach, and the share of pairs of one person."""
    probes, galleries = (embeddings(embed, [pair[side] for pair in pairs]) for side in (0, 1))
    similarities = probes @ galleries.T
    threshold = float(np.nanquantile(similarities[~np.eye(len(pairs), dtype=bool)], 1 - FAR))
    return threshold, float((np.diag(similarities) >= threshold).mean())


def protection(
    protector: Protector, judge: Protector, pairs: list[tuple[Picture, Picture]], threshold: float, steps: int
) -> float:
    """Return the share of probes that the judge no longer matches with their gallery after the cloak."""

    def work(pair: tuple[Picture, Picture]) -> Picture:
        png = io.BytesIO()
        Image.fromarray(pair[0].pixels).save(png, "PNG", compress_level=1)
        saved = protector.protect(png.getvalue(), Settings(steps=steps)).data
        return detect_main_face(judge, np.asarray(Image.open(io.BytesIO(saved)).convert("RGB")))

    protected = embeddings(embed_surrogate(judge), in_parallel(work, pairs, f"protecting in {steps} steps"))
    gallery = embeddings(embed_surrogate(judge), [pair[1] for pair in pairs])
    return float((~(np.einsum("ij,ij->i", protected, gallery) >= threshold)).mean())


def times(protectors: list[Protector], steps: int, repeats: int) -> list[float]:
    """Return the median over the repeats of each cloak's time, as a part of the first one's in the same turn."""
    face = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    feed = {
        "face": face,
        "keypoints": np.zeros((6, 2), np.float32),
        "reference": np.full(512, 512**-0.5, np.float32),
        "budget": np.array(0.04, np.float32),
        "clamp": np.array(16, np.float32),
        "seed": np.array(0),
        "steps": np.array(steps),
    }
    graphs = [protector.artifacts.attack("feature") for protector in protectors]
    turns: list[list[float]] = []
    for _ in range(repeats + 1):
        turn = []
        for graph in graphs:
            start = time.perf_counter()
            graph.run(["protected"], feed)
            turn.append(time.perf_counter() - start)
        turns.append([each / turn[0] for each in turn])
    return [statistics.median(each) for each in zip(*turns[1:], strict=True)]  # the first turn loads the graphs


def main() -> None:
    """Measure and print a markdown table, a row a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("test_list", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 12])
    parser.add_argument("--sample", type=int, default=60, help="people to protect, the first of PAIRS (60)")
    parser.add_argument("--repeats", type=int, default=10, help="turns of the timing, 0 for none (10)")
    options = parser.parse_args()

    protectors = [Protector(folder, 1) for folder in options.folders]
    judge = protectors[0]

    def find(photos: list[Photo]) -> list[Picture]:
        return in_parallel(
            lambda photo: detect_main_face(judge, read_photo(options.data / photo.path)), photos, "detecting"
        )

    test = read_list(options.test_list, options.data)
    people = read_pairs(options.pairs, options.data)
    faces = find(test)
    pairs = list(zip(*(find([pair[side] for pair in people]) for side in (0, 1)), strict=True))
    pairs = [pair for pair in pairs if pair[0].face and pair[1].face]
    threshold, _ = verification(embed_surrogate(judge), pairs)

    ratios = [times(protectors, steps, options.repeats) for steps in options.steps] if options.repeats else []
    heads = ["folder", "MB", f"accuracy, {len(test)} photos", f"TAR at FAR 1 %, {len(pairs)} people"]
    heads += [f"protected, K = {steps}, {min(options.sample, len(pairs))} people" for steps in options.steps]
    heads += [f"time, K = {steps}" for steps in options.steps if ratios]
    rows = [heads, ["---"] * len(heads)]
    for number, (folder, protector) in enumerate(zip(options.folders, protectors, strict=True)):
        size = sum(file.stat().st_size for file in folder.iterdir() if not file.name.endswith("-step.onnx"))
        row = [folder.name, f"{size / 1e6:.2f}", f"{accuracy(protector, faces, [photo.name for photo in test]):.4f}"]
        row.append(f"{verification(embed_surrogate(protector), pairs)[1]:.3f}")
        for steps in options.steps:
            row.append(f"{protection(protector, judge, pairs[: options.sample], threshold, steps):.1%}")
        rows.append([*row, *(f"{each[number]:.2f}" for each in ratios)])
    print("\n".join("| " + " | ".join(row) + " |" for row in rows))


if __name__ == "__main__":
    main()
