"""Smooth random warps of what a step sees: what moves a bent face away moves away the same face in another pose.

A displacement field of a few control points, bicubic in between, bends an image by bilinear sampling, an op that
runtimes have. That op's gradient they lack, so a gradient is bent back along the inverse field: nearly the same.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

# Control points each way, and how far each is displaced at most, in parts of the image's edge.
POINTS, REACH = 4, 0.06
DRAWS = 2 * POINTS * POINTS


def bicubic_weights(size: int) -> Tensor:
    """Weights f32 [size, POINTS] that interpolate between control points, from end to end of a line."""
    points = torch.eye(POINTS)[None, :, :, None]
    return F.interpolate(points, (size, 1), mode="bicubic", align_corners=True)[0, :, :, 0].T


@dataclass(frozen=True)
class Warp:
    """Where an image f32 [1, C, size, size] is sampled, and its gradient, f32 [1, size, size, 2] in [-1, 1]: x, y."""

    forth: Tensor
    back: Tensor

    def of(self, image: Tensor) -> Tensor:
        """Bend an image; beyond the ends the last pixel goes on."""
        return F.grid_sample(image, self.forth, padding_mode="border", align_corners=False)

    def undo(self, gradient: Tensor) -> Tensor:
        """Bend the gradient of a bent image back."""
        return F.grid_sample(gradient, self.back, padding_mode="zeros", align_corners=False)


def draw_warp(weights: Tensor, draws: Tensor) -> Warp:
    """Choose a warp by `draws` f32 [DRAWS] in [-1, 1), of images of the size that the `bicubic_weights` are for."""
    size = weights.shape[0]
    # From -1 to 1 the edge is 2 long.
    control = 2 * REACH * draws.reshape(2, POINTS, POINTS)
    field = weights @ control @ weights.T
    line = (torch.arange(size, dtype=torch.float32) + 0.5) * (2 / size) - 1
    still = torch.stack([line[None].expand(size, size), line[:, None].expand(size, size)])
    # What lands on a pixel came from about where the field at that pixel points from.
    inverse = F.grid_sample(field[None], _grid(still - field), padding_mode="border", align_corners=False)[0]
    return Warp(_grid(still + field), _grid(still - inverse))


def _grid(points: Tensor) -> Tensor:
    return points.permute(1, 2, 0)[None]
