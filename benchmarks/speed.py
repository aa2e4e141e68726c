"""What an attack costs: beside the arithmetic that it consists of, and beside foolbox in PyTorch.

    python benchmarks/speed.py [--artifacts DIR] [--side 120] [--steps 1 --steps 4 --steps 10] [--repeats 15]

K steps are K forward and K backward passes of the same multiply-adds, so in floats 2K forward passes are the limit; the
ratio to it is what to trust, milliseconds are this machine's. All are measured in one process, in turns. foolbox runs
projected gradient descent on the shipped weights and an image of the network's own size, on one thread, and needs no
weight gradients; the graphs in addition resample a face square of `--side` pixels, in each step.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import foolbox
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track
from skimage import data
from torch import Tensor, nn

from face_encryption.export.attack.surrogate import Surrogate
from face_encryption.export.cli import CHECKPOINT
from face_encryption.runtime import Protector, Settings
from face_encryption.runtime.artifacts import Artifacts
from face_encryption.runtime.attack import run_cloak
from face_encryption.runtime.faces import cut_square, detect
from face_encryption.runtime.onnx_runtime import ort
from face_encryption.training.checkpoint import load_checkpoint

EPSILON, STEP_SIZE = 8, 2
BUDGET, CLAMP = 0.04, 16
# Eyes, nose, mouth and ears of a face that looks at the camera, as parts of the square's edge.
KEYPOINTS = np.array([[0.35, 0.4], [0.65, 0.4], [0.5, 0.57], [0.5, 0.74], [0.2, 0.45], [0.8, 0.45]], np.float32)
Run = Callable[[], object]


def measure(runs: dict[str, Run], repeats: int) -> dict[str, NDArray[np.float64]]:
    """Return milliseconds of each run, f64 [repeats], taken in turns after a first round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in track(range(repeats + 1), "measuring"):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            if number:
                times[name].append(1000 * (time.perf_counter() - begin))
    return {name: np.array(each) for name, each in times.items()}


def graphs(folder: Path, face: NDArray[np.uint8], steps: list[int], threads: int) -> Iterator[tuple[str, Run]]:
    """Yield the recognizer's forward pass and the attacks."""
    artifacts = Artifacts(folder, threads)
    # The runtime saves the recognizer the blocked layout; the limit is the fastest forward pass that there is.
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    forward = ort.InferenceSession(str(folder / "recognizer.onnx"), options, providers=["CPUExecutionProvider"])
    yield "forward", lambda: forward.run(["embedding"], {"face": face})
    keypoints = len(face) * KEYPOINTS
    (reference,) = artifacts.cloak_reference.run(["reference"], {"face": face, "keypoints": keypoints})
    cloak = partial(run_cloak, artifacts.cloak_begin, artifacts.cloak_steps, artifacts.cloak_end)
    label = partial(artifacts.label_attack.run, ["protected"])
    numbers = {"direction": -1, "epsilon": EPSILON, "step_size": STEP_SIZE, "momentum": 0, "diversity": 0}
    cloak_feed = {"keypoints": keypoints, "reference": reference} | floats({"budget": BUDGET, "clamp": CLAMP})
    label_feed = {"label": np.array(0)} | floats(numbers)
    for count in steps:
        given = {"face": face, "seed": np.array(0), "steps": np.array(count)}
        yield f"cloak-{count}", partial(cloak, cloak_feed | given)
        yield f"label-{count}", partial(label, label_feed | given)


def floats(numbers: Mapping[str, float]) -> dict[str, Any]:
    """Return numbers as graphs take them, f32 scalars."""
    return {name: np.array(value, np.float32) for name, value in numbers.items()}


class Logits(nn.Module):
    """The shipped recognizer as attack libraries take it: pixels in [0, 1] -> logits."""

    def __init__(self) -> None:
        """Load it; no weight needs a gradient."""
        super().__init__()
        self.surrogate = Surrogate(*load_checkpoint(CHECKPOINT)).eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "Logits":
        """Stay as it is: a library switches its model to training and back, and one face has no batch statistics."""
        return super().train(False)

    def forward(self, image: Tensor) -> Tensor:
        """Classify f32 [B, 3, N, N]."""
        logits: Tensor = self.surrogate(255 * image)[1]
        return logits


def library(face: NDArray[np.uint8], steps: list[int]) -> Iterator[tuple[str, Run]]:
    """Yield foolbox's PGD."""
    model = Logits()
    size = model.surrogate.size
    small = np.asarray(Image.fromarray(face).resize((size, size), Image.Resampling.BILINEAR), np.float32) / 255
    image, label = torch.from_numpy(small).permute(2, 0, 1)[None].contiguous(), torch.tensor([0])
    step, most = STEP_SIZE / 255, EPSILON / 255
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    for count in steps:
        attack = foolbox.attacks.LinfProjectedGradientDescentAttack(abs_stepsize=step, steps=count)
        goal = foolbox.criteria.Misclassification(label)
        yield f"foolbox-{count}", partial(attack.run, wrapped, image, goal, epsilon=most)


def loading(folder: Path) -> Iterator[tuple[str, Run]]:
    """Yield what it takes to load graphs."""
    yield "load detector", lambda: Artifacts(folder, 1).detector.load()
    yield "load recognizer", lambda: Artifacts(folder, 1).recognizer.load()
    yield "load all that a cloak takes", lambda: Protector(folder, 1).check(Settings())


def main() -> None:
    """Measure all, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--side", type=int, default=120, help="of the face square, in pixels (120)")
    parser.add_argument("--steps", type=int, action="append", help="numbers of steps (1, 4 and 10)")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    artifacts, one, steps = Artifacts(options.artifacts), Artifacts(options.artifacts, 1), options.steps or [1, 4, 10]

    photo = np.asarray(data.astronaut())
    cut, _ = cut_square(photo, detect(artifacts.detector, photo)[0].box, 0.1)
    face = np.asarray(Image.fromarray(cut).resize((options.side, options.side), Image.Resampling.BILINEAR))
    tables = [(threads, dict(graphs(options.artifacts, face, steps, threads))) for threads in (1, 2)]
    tables[0][1].update(library(face, steps))
    tables[0][1]["detector"] = lambda: detect(one.detector, photo)
    tables[0][1].update(loading(options.artifacts))
    lines = []
    for threads, runs in tables:
        times = measure(runs, options.repeats)
        forward = np.median(times["forward"])
        for name, each in times.items():
            low, median, high = np.quantile(each, [0.1, 0.5, 0.9])
            count = name.rpartition("-")[2]
            limited = count.isdigit() and not name.startswith("load")
            ratio = f"{median / (2 * int(count) * forward):.2f}" if limited else ""
            lines.append(f"| {name} | {threads} | {median:.1f} | {low:.1f} to {high:.1f} | {ratio} |")
    print("\n| what | threads | median, ms | 10th to 90th percentile | times 2K forward passes |")
    print("| --- | --- | --- | --- | --- |")
    print("\n".join(lines))
    sizes = {path.name: path.stat().st_size / 1e6 for path in sorted(options.artifacts.iterdir())}
    print("\nFiles, MB: " + ", ".join(f"{name} {size:.2f}" for name, size in sizes.items()))
    print(f"Face square of {options.side} pixels; together {sum(sizes.values()):.1f} MB")


if __name__ == "__main__":
    main()
