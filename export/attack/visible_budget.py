"""What a change costs the eye, and a step that gets the most for it.

1 - SSIM (Wang et al. 2004) of a picture and the same with a small change d of zero mean is, to second order, the mean
of c * d^2, with c small where the picture is busy and large where it is smooth. A step that divides the gradient by c
moves brows, lids and lips, and leaves skin and plain walls alone. Changes are in pixel levels.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .views import resampling_matrix

# SSIM's window in pixels of the steps' grid, and its constant (0.03 * 255)^2.
WINDOW, CONSTANT = 7, 58.5
# Colour is so much dearer than grey: lips would turn green and irises purple.
COLOUR = 8.0
# A face whose channels differ by no more levels than this is grey (lossy formats leave a level or two), and stays grey.
GREY = 2.5
# A step's direction is smoothed by a triangle of this width, in pixels of the grid or the photo, whichever are larger,
# so many times: what is finer attacks nobody and is seen.
SMOOTHING, TIMES = 2.0, 2
# Grey and two opponent colours as the rows of an orthonormal basis.
_OPPONENT = torch.tensor([[1.0, 1.0, 1.0], [-1.0, -1.0, 2.0], [1.0, -1.0, 0.0]])
OPPONENT = _OPPONENT / _OPPONENT.norm(dim=1, keepdim=True)


def cost_of_change(pixels: Tensor) -> Tensor:
    """Return what a squared change of a level costs at each pixel, f32 [3, G, G], for f32 [3, G, G] levels."""

    def average(values: Tensor) -> Tensor:
        return F.avg_pool2d(values[None], WINDOW, 1, WINDOW // 2, count_include_pad=False)[0]

    mean = average(pixels)
    variance = (average(pixels * pixels) - mean * mean).clamp(min=0)
    return average(1 / (2 * variance + CONSTANT))


def mix_colours(pixels: Tensor) -> Tensor:
    """Return the matrix f32 [3, 3] that makes a change's colour dearer, or removes it where f32 [3, G, G] is grey."""
    spread = (pixels.amax(0) - pixels.amin(0)).max()
    colour = torch.where(spread <= GREY, 0.0, 1 / COLOUR)
    weights = torch.stack([torch.ones(()), colour, colour])
    matrix: Tensor = OPPONENT.T @ (weights[:, None] * OPPONENT)
    return matrix


def smoothing_matrix(side: Tensor, grid: int) -> Tensor:
    """Return f32 [G, G] that smooths a line of a grid that covers `side` pixels (i64): it keeps what these can show."""
    coarseness = torch.maximum(grid / side.float(), torch.ones(()))
    once = resampling_matrix(grid, grid, blur=SMOOTHING * coarseness)
    matrix = once
    for _ in range(TIMES - 1):
        matrix = once @ matrix
    return matrix


def scale_to_budget(change: Tensor, cost: Tensor, budget: Tensor, enlarge: bool) -> Tensor:
    """Scale f32 [3, G, G] so that the mean of cost * change^2 is the budget, or only down to it if not `enlarge`."""
    factor = (budget / (cost * change * change).mean().clamp(min=1e-30)).sqrt()
    scaled: Tensor = change * (factor if enlarge else factor.clamp(max=1.0))
    return scaled
