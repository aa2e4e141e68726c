"""The original study's two results from the exported graphs: the targeted table and the non-targeted accuracy.

    python benchmarks/label_attack.py DATA LIST [--artifacts DIR] [--sample N] [--only targeted|non-targeted]

DATA is a folder per identity, LIST names test photos below it. Every attacked photo is written as PNG and read back
before it is scored. This is a white-box measurement: the recognizer that is attacked is the one that judges. It says
that the attack works, not that a photo is protected from other recognizers.
"""

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from face_encryption.runtime.artifacts import Artifacts
from face_encryption.runtime.faces import Box, cut_square, detect, main_face, paste_square

# Probability of the target class in the study, by step size (= epsilon) in normalized units and number of steps.
STUDY = {
    6: (0.02, 0.965, 0.997, 0.999),
    12: (0.001, 0.839, 0.983, 0.990),
    17: (0.001, 0.637, 0.805, 0.993),
    23: (0.0, 0.328, 0.779, 0.976),
}


@dataclass
class Probe:
    """A test photo, u8 [H, W, 3], the box of its main face and the number of its identity."""

    image: NDArray[np.uint8]
    box: Box
    label: int


class Bench:
    """Attacks and scores probes with the graphs of one folder."""

    def __init__(self, folder: Path) -> None:
        """Open the folder."""
        self.artifacts = Artifacts(folder)
        self.classes = self.artifacts.manifest.recognizer.classes
        self.margin = self.artifacts.manifest.recognizer.crop_margin

    def probes(self, data: Path, photos: list[str]) -> Iterator[Probe]:
        """Read photos and find the main face of each; one without a face is left out."""
        for photo in photos:
            image = np.asarray(Image.open(data / photo).convert("RGB"))
            faces = detect(self.artifacts.detector, image)
            if faces:
                yield Probe(image, main_face(faces, image.shape).box, self.classes.index(photo.split("/")[0]))

    def probabilities(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
        """Return the class probabilities of a face after its photo has been written as PNG and read back."""
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG", compress_level=1)
        saved = np.asarray(Image.open(file))
        face, _ = cut_square(saved, box, self.margin)
        (result,) = self.artifacts.recognizer.run(["probabilities"], {"face": face})
        return np.asarray(result)

    def attack(
        self, probe: Probe, steps: int, label: int, direction: int, epsilon: float, step_size: float, momentum: float
    ) -> Probe:
        """Attack a probe's face and paste it into its photo."""
        face, corner = cut_square(probe.image, probe.box, self.margin)
        feed = {
            "face": face,
            "label": np.array(label),
            "direction": np.array(direction, np.float32),
            "epsilon": np.array(epsilon, np.float32),
            "step_size": np.array(step_size, np.float32),
            "momentum": np.array(momentum, np.float32),
            "diversity": np.array(0, np.float32),
            "seed": np.array(0),
            "steps": np.array(steps),
        }
        (protected,) = self.artifacts.label_attack.run(["protected"], feed)
        image = probe.image.copy()
        paste_square(image, protected, corner)
        return Probe(image, probe.box, probe.label)


def targeted_table(bench: Bench, probes: list[Probe], momentum: float) -> None:
    """Print the mean probability of a random target class, beside the study's."""
    random = np.random.default_rng(0)
    count = len(bench.classes)
    targets = [int(probe.label + random.integers(1, count)) % count for probe in probes]
    print(
        f"\nTargeted: mean probability of a random other class over {len(probes)} test photos (study's in brackets)\n"
    )
    print("| step size = epsilon, levels | K = 1 | K = 2 | K = 3 | K = 4 |\n| --- | --- | --- | --- | --- |")
    for epsilon, study in STUDY.items():
        cells = []
        for steps, known in enumerate(study, 1):
            reached = []
            for probe, target in zip(probes, track(targets, f"epsilon {epsilon}, K = {steps}"), strict=True):
                attacked = bench.attack(probe, steps, target, 1, epsilon, epsilon, momentum)
                reached.append(bench.probabilities(attacked.image, attacked.box)[target])
            cells.append(f"{np.mean(reached):.4f} ({known:g})")
        print(f"| {epsilon} | " + " | ".join(cells) + " |", flush=True)


def non_targeted(bench: Bench, probes: list[Probe], momentum: float) -> None:
    """Print the accuracy before and after moving every probe away from its true label."""
    epsilon, step_size, steps = 4, 2, 4
    before, after = [], []
    for probe in track(probes, f"epsilon {epsilon}, K = {steps}"):
        before.append(bench.probabilities(probe.image, probe.box).argmax() == probe.label)
        attacked = bench.attack(probe, steps, probe.label, -1, epsilon, step_size, momentum)
        after.append(bench.probabilities(attacked.image, attacked.box).argmax() == probe.label)
    print(
        f"\nNon-targeted, epsilon {epsilon}, step size {step_size}, K = {steps}, {len(probes)} test photos: "
        f"accuracy {np.mean(before):.4f} before, {np.mean(after):.4f} after"
    )


def main() -> None:
    """Run both measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("list", type=Path)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--sample", type=int, default=100, help="photos for the targeted table, evenly spaced (100)")
    parser.add_argument("--momentum", type=float, default=1.0, help="of the attack; 0 is the study's plain PGD (1)")
    parser.add_argument("--only", choices=["targeted", "non-targeted"])
    options = parser.parse_args()
    bench = Bench(options.artifacts)
    photos = options.list.read_text().split()
    if options.only != "non-targeted":
        evenly = [photos[i * len(photos) // options.sample] for i in range(min(options.sample, len(photos)))]
        targeted_table(bench, list(bench.probes(options.data, evenly)), options.momentum)
    if options.only != "targeted":
        non_targeted(bench, list(bench.probes(options.data, photos)), options.momentum)


if __name__ == "__main__":
    main()
