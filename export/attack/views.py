"""What a step of an attack sees of a face square: resampling as matrices, and views that differ from step to step.

Views that differ are input diversity (Xie et al. 2019, DI-FGSM, arXiv:1803.06978): what moves the face in all of them
carries over to other recognizers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .noise import random_start

# How far a view of diversity 1 is at most zoomed and shifted, in parts of the square's edge; every other is mirrored.
# It is blurred over up to so many times as many pixels, for others often see a face smaller than it was.
ZOOM, SHIFT, BLUR = 0.12, 0.06, 2.0
# A step draws these from the seed: zoom, two shifts, whether to mirror, and the blur.
DRAWS = 5


def resampling_matrix(
    side: int, size: int, zoom: Tensor | None = None, shift: Tensor | None = None, blur: Tensor | float = 1.0
) -> Tensor:
    """Weights f32 [size, side] that resample a line of `side` pixels to `size`.

    A triangle filter with pixel centres at half integers, widened when it shrinks: what Pillow's BILINEAR and torch's
    antialiased bilinear compute. Being a matrix, it is the same in every runtime, and its gradient is its transpose.

    `zoom` is the part of the line that is seen, mirrored where it is negative, and `shift` how far its middle lies from
    the line's, as a part of it; beyond the ends the last pixel goes on. Without them all of the line is seen. `blur`,
    from 1 on, widens the filter.
    """
    pixels = torch.arange(side, dtype=torch.float32) + 0.5
    ratio = torch.full((), side, dtype=torch.float32) / size
    centres = (torch.arange(size, dtype=torch.float32) + 0.5) * ratio
    if zoom is not None and shift is not None:
        middle = ratio * size / 2
        seen = (centres - middle) * zoom + middle * (1 + 2 * shift)
        centres = torch.minimum(seen.clamp(min=0.5), 2 * middle - 0.5)
        ratio = ratio * zoom.abs()
    width = torch.maximum(ratio, torch.ones(())) * blur
    weights = (1 - (pixels[None] - centres[:, None]).abs() / width).relu()
    return weights / weights.sum(1, keepdim=True)


def shrink(levels: Tensor, size: int) -> Tensor:
    """Resample f32 [S, S, 3] to f32 [3, size, size]."""
    side, down = levels.shape[0], resampling_matrix(levels.shape[0], size)
    # The channels move to the front where the picture is small.
    rows = (down @ levels.reshape(side, side * 3)).reshape(size, side, 3)
    return rows.permute(2, 0, 1) @ down.T


def enlarge(change: Tensor, side: int) -> Tensor:
    """Resample f32 [3, G, G] to f32 [side, side, 3]."""
    grid, up = change.shape[1], resampling_matrix(change.shape[1], side)
    columns = (change @ up.T).permute(1, 2, 0).reshape(grid, side * 3)
    return (up @ columns).reshape(side, side, 3)


@dataclass(frozen=True)
class View:
    """How a step looks at the square: matrices f32 [size, G] that resample its lines downwards and across."""

    rows: Tensor
    columns: Tensor

    def of(self, face: Tensor) -> Tensor:
        """Resample f32 [3, G, G] to the recognizer's image f32 [1, 3, size, size]."""
        return (self.rows @ face @ self.columns.T)[None]

    def back(self, gradient: Tensor) -> Tensor:
        """Carry a gradient f32 [1, 3, size, size] back to the pixels of the square, f32 [3, G, G]."""
        return self.rows.T @ gradient[0] @ self.columns


def draw_view(grid: int, size: int, draws: Tensor, diversity: Tensor | float = 1.0, mirrored: bool = True) -> View:
    """Choose how a square of `grid` pixels each way is seen on `size`: at diversity 0 all of it.

    At 1 it is changed by `draws` f32 [DRAWS] in [-1, 1), and one in two is mirrored unless `mirrored` is false.
    """
    diversity = torch.as_tensor(diversity)
    zoom = 1 + ZOOM * diversity * draws[0]
    mirror = torch.where(draws[3] + 1 < diversity.clamp(max=1.0), -1.0, 1.0) if mirrored else torch.ones(())
    down, across = (SHIFT * diversity * draws[number] for number in (1, 2))
    blur = 1 + (BLUR - 1) * diversity * (draws[4] + 1) / 2
    return View(
        resampling_matrix(grid, size, zoom, down, blur),
        resampling_matrix(grid, size, zoom * mirror, across, blur),
    )


def all_draws(seed: Tensor, count: int = DRAWS) -> Tensor:
    """Draw f32 [N, count] in [-1, 1) for the views, N at least 100; step i takes the row i modulo N."""
    # Another seed than the random start's, or the first views would depend on the first pixels.
    noise: Tensor = random_start(seed + 0x5EED, 40).reshape(-1)
    rows = noise.shape[0] // count
    return noise[: rows * count].reshape(rows, count)


def normalize_mean_abs(gradient: Tensor) -> Tensor:
    """Scale a gradient so that its mean absolute value is one, or leave it zero."""
    return gradient / gradient.abs().mean().clamp(min=1e-30)
