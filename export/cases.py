"""The faces that exported graphs are compared on: pictures of nobody, with all that an attack on them takes."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from face_encryption.export.cloak import CloakReference, Source
from face_encryption.export.surrogate import FaceRecognizer

Array = npt.NDArray[Any]
# The edge of a face, the direction of the attack, the face and the inputs of the graph that come after it.
Case = tuple[int, float, Tensor, dict[str, Tensor]]

EPSILON, STEP_SIZE, SEED = 8.0, 2.0, 7
BUDGET, CLAMP = 0.06, 20.0
SIDES = (97, 250)  # a face that is enlarged to the recognizer's size and one that is shrunk or nearly kept


def picture(side: int, seed: int = 0) -> Array:
    """Draw a smooth random picture with some noise, u8 [side, side, 3]: no photo of anybody is needed."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side * 2 * np.pi
    waves = np.zeros((side, side, 3))
    for frequency in (1, 2, 3, 5, 8):
        angle, phase = random.uniform(0, 2 * np.pi, (2, 3))
        waves += np.sin(frequency * (x[..., None] * np.cos(angle) + y[..., None] * np.sin(angle)) + phase) / frequency
    return np.clip(128 + 50 * waves + random.normal(0, 4, waves.shape), 0, 255).astype(np.uint8)


def upright_keypoints(side: int) -> Tensor:
    """Return where a detector would find those of an upright face that fills a square, f32 [6, 2] in its pixels."""
    keypoints = torch.zeros(6, 2)
    keypoints[:4] = torch.tensor([[0.33, 0.31], [0.67, 0.3], [0.5, 0.5], [0.5, 0.67]]) * side
    return keypoints


def label_cases(recognizer: FaceRecognizer, sides: Sequence[int] = SIDES) -> Iterator[Case]:
    """Yield faces to move towards a label and away from one."""
    for side, direction in zip(sides, (1.0, -1.0), strict=True):
        face = torch.from_numpy(picture(side))
        with torch.no_grad():
            # A label far from the face would be reached halfway, where its probability is one of rounding.
            nearest = recognizer(face)[1].topk(2).indices
        yield (
            side,
            direction,
            face,
            {
                "label": nearest[0] if direction < 0 else nearest[1],
                "direction": torch.tensor(direction),
                "epsilon": torch.tensor(EPSILON),
                "step_size": torch.tensor(STEP_SIZE),
                # Plain PGD one way, momentum and other views the other way.
                "momentum": torch.tensor(float(direction < 0)),
                "diversity": torch.tensor(float(direction < 0)),
                "seed": torch.tensor(SEED),
            },
        )


def cloak_cases(
    sources: Sequence[Source], sides: Sequence[int] = SIDES
) -> Iterator[tuple[int, Tensor, dict[str, Tensor]]]:
    """Yield faces with what a cloak takes of them, up to the seed."""
    for side in sides:
        face, keypoints = torch.from_numpy(picture(side)), upright_keypoints(side)
        with torch.no_grad():
            # Not the face's own: beside it the gradient is a difference of nearly equal numbers.
            reference = CloakReference(sources)(face.flip(0), keypoints)
        yield (
            side,
            face,
            {
                "keypoints": keypoints,
                "reference": reference,
                "budget": torch.tensor(BUDGET),
                "clamp": torch.tensor(CLAMP),
                "seed": torch.tensor(SEED),
            },
        )
