"""Morphs: pictures of nobody, part one face and part another, for teachers to describe.

A few thousand people are few to learn faces from; the teachers can say where any mixture of two of them belongs. So the
recognizer learns from as many new faces as one cares to make (Zhang et al. 2018, mixup, arXiv:1710.09412, with the
teachers' answer in place of a mixed label, as Beyer et al. 2022, arXiv:2106.05237, find best for distillation).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ..distill.aligned import TEMPLATE, TEMPLATE_SIZE, AlignedRecognizer, similarity_transform
from ..distill.onnx_network import CPU
from ..distill.teacher import Teacher, describe
from ..threads import in_parallel
from .faces import FaceSet, cache_folder, read_cache, write_cache

# The second face fades out over this many of the aligned face's pixels, so that hair and background stay the first's.
FADE = 16


def load_morphs(
    sets: Sequence[FaceSet],
    count: int,
    recognizers: Sequence[AlignedRecognizer],
    cache: Path,
    seed: int,
    *,
    bf16: bool = False,
    device: torch.device = CPU,
) -> FaceSet:
    """Make and cache `count` morphs of random pairs of faces, without names.

    Raises `RecognizerError` for a teacher with ops that PyTorch cannot take over.
    """
    facts = ["morphs", count, seed, bf16, [faces.key for faces in sets]]
    folder = cache_folder(cache, [*facts, *(recognizer.digest for recognizer in recognizers)])
    if not (folder / "names.json").exists():
        write_cache(folder, _make(sets, count, [Teacher(each, bf16, device) for each in recognizers], seed))
    return read_cache(folder)


def _make(sets: Sequence[FaceSet], count: int, teachers: Sequence[Teacher], seed: int) -> FaceSet:
    every = [(faces, number) for faces in sets for number in range(len(faces.names))]

    def make(number: int) -> tuple[npt.NDArray[Any], ...]:
        random = np.random.default_rng([seed, number])
        first, second = random.choice(len(every), 2, replace=False)
        (one, i), (other, j) = every[first], every[second]
        points = one.keypoints[i]
        return morph(one.faces[i], points, other.faces[j], other.keypoints[j], random), points

    made = in_parallel(make, range(count), f"making {count} morphs")
    cuts, keypoints = (np.stack(part) for part in zip(*made, strict=True))
    return FaceSet(cuts, [""] * count, keypoints, describe(teachers, cuts, keypoints))


def morph(
    first: npt.NDArray[np.uint8],
    first_keypoints: npt.NDArray[np.float32],
    second: npt.NDArray[np.uint8],
    second_keypoints: npt.NDArray[np.float32],
    random: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """Lay the second face over the first, eyes on eyes and mouth on mouth, more here and less there.

    Faces are cuts u8 [C, C, 3], keypoints f32 [6, 2] in their pixels. How much of the second shows is the same
    everywhere, or random in the cells of a grid of 2x2 or 3x3, and between them smooth. Returns u8 [C, C, 3].
    """

    def laid(image: Image.Image, points: npt.NDArray[Any]) -> Image.Image:
        warp = similarity_transform(first_keypoints[:4], points)
        return image.transform(first.shape[:2], Image.Transform.AFFINE, warp, Image.Resampling.BILINEAR)

    second_laid = laid(Image.fromarray(second), second_keypoints[:4])
    return np.asarray(Image.composite(second_laid, Image.fromarray(first), laid(_mask(random), TEMPLATE)))


def _mask(random: np.random.Generator) -> Image.Image:
    """How much of the second face shows, 0 to 255, for an aligned face: nothing of it at the edge."""
    cells = int(random.integers(1, 4))
    shares = random.random((cells, cells))
    if cells == 1:
        shares = 0.2 + 0.6 * shares
    elif random.random() < 0.5:
        shares = shares.round()
    small = Image.fromarray((255 * shares).astype(np.uint8))
    pixels = np.arange(TEMPLATE_SIZE) + 0.5
    fade = (np.minimum(pixels, TEMPLATE_SIZE - pixels) / FADE).clip(max=1)
    smooth = np.asarray(small.resize((TEMPLATE_SIZE, TEMPLATE_SIZE), Image.Resampling.BICUBIC), np.float32)
    return Image.fromarray((smooth * np.outer(fade, fade)).round().astype(np.uint8))
