"""How coarse the gradient of a sign step may be: the cloak with maps rounded to few bits, forward and backward.

    python benchmarks/coarse_gradient.py DATA PAIRS [--sample 100]

Simulated in PyTorch: what enters each convolution (forward) and the gradient that enters its transpose (backward) is
rounded to a signed number of so many bits, with one scale a map, at which one value in ten thousand is clipped. So it
says what fewer bits would cost where a processor has them; what bytes cost and gain is `precision.py`'s to measure.
Steps, views and rounding are the exported attack's, and the float recognizer judges. A row is a choice of bits: the
share of people whose cloaked face falls below the threshold at a false accept rate of 1 %, the mean similarity to
their other photo, and how many signs of a gradient agree with the float gradient's.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from face_encryption.export.attack import Attack
from face_encryption.export.graphs import FEATURE, FaceRecognizer, Surrogate, fold
from face_encryption.export.pipeline import MODELS, defaults
from face_encryption.runtime.faces import cut_square
from face_encryption.training.data import DataError, Photo, read_pairs
from face_encryption.training.faces import find_face, open_detector, read_photo
from face_encryption.training.model import load_checkpoint

BITS = [(None, None), (8, 8), (None, 8), (None, 6), (None, 5), (None, 4), (None, 3), (None, 2), (6, 6), (5, 5), (4, 4)]
CLIPPED = 1e-4
EPSILON, STEP_SIZE = 8, 4
STEPS = (4, 8)
NAMES = ("forward", "backward")


class Coarse(torch.autograd.Function):
    """The identity, with its value rounded to `forward` bits, its gradient to `backward`; None: not at all."""

    @staticmethod
    def forward(context: Any, value: Tensor, forward: int | None, backward: int | None) -> Tensor:
        """Round a map of any shape."""
        context.bits = backward
        return rounded(value, forward)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Round the gradient that comes back."""
        return rounded(gradient, context.bits), None, None


def rounded(value: Tensor, bits: int | None) -> Tensor:
    """Round to whole multiples of a scale that fit a signed number of `bits`, two at least."""
    if bits is None:
        return value.clone()
    most = 2 ** (bits - 1) - 1
    size = value.abs().flatten()
    scale = size.topk(int(len(size) * CLIPPED) + 1).values[-1].clamp(min=1e-30) / most
    coarse: Tensor = (value / scale).round().clamp(-most, most) * scale
    return coarse


def coarsen(model: nn.Module, bits: dict[str, int | None]) -> None:
    """Make every convolution of a model see coarse maps and coarse gradients; `bits` is read anew at each use."""

    def enter(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (Coarse.apply(inputs[0], bits["forward"], None),)

    def leave(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Any:
        return Coarse.apply(output, None, bits["backward"])

    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(enter)
            module.register_forward_hook(leave)


def cuts(data: Path, pairs: list[tuple[Photo, Photo]], detector: Path, margin: float) -> list[tuple[Tensor, Tensor]]:
    """Cut the faces u8 [S, S, 3] of pairs of photos; left out are pairs in one of whose photos no face is found."""
    session, found = open_detector(detector), []
    for pair in track(pairs, "detecting"):
        try:
            images = [read_photo(data / photo.path) for photo in pair]
            boxes = [find_face(session, image, alone=False).box for image in images]
        except DataError:
            continue
        faces = [cut_square(image, box, margin)[0] for image, box in zip(images, boxes, strict=True)]
        found.append((torch.from_numpy(faces[0]), torch.from_numpy(faces[1])))
    return found


def agreement(surrogate: Surrogate, exact: Surrogate, face: Tensor, reference: Tensor) -> float:
    """Return the share of signs of the image's gradient that are the float gradient's, for a face with some noise."""
    noise = torch.randint(-8, 9, face.shape, generator=torch.Generator().manual_seed(0))
    image = exact.image((face + noise).clamp(0, 255).to(torch.uint8))
    signs = [each.gradient(FEATURE)(image, reference)[0].sign() for each in (surrogate, exact)]
    return float((signs[0] == signs[1]).float().mean())


def main() -> None:
    """Measure and print a markdown table, a row a choice of bits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=MODELS / "recognizer.safetensors")
    parser.add_argument("--detector", type=Path, default=Path("artifacts/detector.onnx"))
    parser.add_argument("--sample", type=int, default=100, help="people, the first of PAIRS (100)")
    options = parser.parse_args()

    model, description = load_checkpoint(options.checkpoint)
    surrogate, exact = fold(model, description), fold(model, description)
    bits: dict[str, int | None] = dict.fromkeys(NAMES)
    coarsen(surrogate, bits)
    pairs = read_pairs(options.pairs, options.data)[: options.sample]
    people = cuts(options.data, pairs, options.detector, description.crop_margin)
    judge = FaceRecognizer(exact)
    with torch.no_grad():
        own, gallery = (torch.stack([judge(pair[side])[0] for pair in people]) for side in (0, 1))
    others = (own @ gallery.T)[~torch.eye(len(people), dtype=torch.bool)]
    threshold = float(np.quantile(others.numpy(), 0.99))

    style = [torch.tensor(float(defaults(FEATURE, "fp32")[name])) for name in ("momentum", "diversity", "perceptual")]
    heads = [name for steps in STEPS for name in (f"protected, K = {steps}", "similarity")]
    print("| " + " | ".join([*NAMES, *heads, "signs as in float"]) + " |")
    print("| " + " | ".join(["---"] * (len(heads) + 3)) + " |")
    for choice in BITS:
        bits.update(zip(NAMES, choice, strict=True))
        row = [str(each or "float") for each in choice]
        attack = Attack(surrogate.gradient(FEATURE), surrogate.size)
        for steps in STEPS:
            scalars = [torch.tensor(float(each)) for each in (-1, EPSILON, STEP_SIZE)]
            similarities = []
            for (face, _), reference, other in zip(people, own, gallery, strict=True):
                with torch.no_grad():
                    protected = attack.repeated(steps, face, reference, *scalars, *style, torch.tensor(0))[0]
                    similarities.append(float(judge(protected)[0] @ other))
            row += [f"{np.mean(np.array(similarities) < threshold):.1%}", f"{np.mean(similarities):.3f}"]
        same = [agreement(surrogate, exact, pair[0], reference) for pair, reference in zip(people, own, strict=True)]
        print("| " + " | ".join([*row, f"{np.mean(same):.1%}"]) + " |", flush=True)


if __name__ == "__main__":
    main()
