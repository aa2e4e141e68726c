"""What a step's view becomes before a recognizer sees it: aligned as that was trained, and bent a little.

A displacement field of a few control points, bicubic in between, bends an image by bilinear sampling, an op that
runtimes have: what moves a bent face away moves away the same face in another pose. That op's gradient they lack, so a
gradient is bent back along the inverse field: nearly the same.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

# Control points each way, and how far each is displaced at most, in parts of the image's edge.
POINTS, REACH = 4, 0.045
DRAWS = 2 * POINTS * POINTS


@dataclass(frozen=True)
class Similarity:
    """A turn with a scale, then a shift, of points f32 [2, ...] (x, y) from -1 to 1: image -> square.

    `turn` and `shift` are f32 [2]; in the plane a turn with a scale is a multiplication by a complex number.
    """

    turn: Tensor
    shift: Tensor

    def of(self, points: Tensor) -> Tensor:
        """Return where points of the image lie in the square."""
        return _multiply(points, self.turn, self.shift)

    def undo(self, points: Tensor) -> Tensor:
        """Return where points of the square lie in the image."""
        back = self.turn * torch.tensor([1.0, -1.0]) / self.turn.square().sum()
        return _multiply(points, back, -_multiply(self.shift, back))


def fit_similarity(template: Tensor, points: Tensor) -> Similarity:
    """Return the similarity that takes `template` f32 [N, 2] nearest to `points` f32 [N, 2], least squares."""
    spread, found = template - template.mean(0), points - points.mean(0)
    conjugate = (spread * torch.tensor([1.0, -1.0])).T
    turn = _multiply(found.T, conjugate).sum(1) / spread.square().sum()
    return Similarity(turn, points.mean(0) - _multiply(template.mean(0), turn))


@dataclass(frozen=True)
class Warp:
    """Where to sample f32 [1, C, G, G] for an image f32 [1, C, size, size], and its gradient for the way back.

    `forth` f32 [2, size, size] and `back` f32 [2, G, G] are x and y from -1 to 1. Beyond the ends of a view the last
    pixel goes on, or it is black: aligned recognizers, which see more of forehead and chin, bear that better.
    """

    forth: Tensor
    back: Tensor
    black: bool

    def of(self, view: Tensor) -> Tensor:
        """Sample a view."""
        return _sample(view, self.forth if self.black else _inside(self.forth, view.shape[-1]))

    def undo(self, gradient: Tensor) -> Tensor:
        """Carry an image's gradient back to the view."""
        return _sample(gradient, self.back)


def bicubic_weights(size: int) -> Tensor:
    """Weights f32 [size, POINTS] that interpolate between control points, from end to end of a line."""
    points = torch.eye(POINTS)[None, :, :, None]
    return F.interpolate(points, (size, 1), mode="bicubic", align_corners=True)[0, :, :, 0].T


def draw_warp(weights: Tensor, draws: Tensor, grid: int, frame: Similarity | None) -> Warp:
    """Choose what an image shows of a view of `grid` pixels each way: its frame, or all of it, bent.

    `draws` f32 [DRAWS] in [-1, 1) decide how; `weights` are the `bicubic_weights` of the image's size. Without draws,
    where they are zero, nothing is bent.
    """
    size = weights.shape[0]
    # From -1 to 1 the edge is 2 long.
    control = 2 * REACH * draws.reshape(2, POINTS, POINTS)
    field = weights @ control @ weights.T

    def displacement(points: Tensor) -> Tensor:
        return _sample(field[None], _inside(points, size))[0]

    image, view = _pixels(size), _pixels(grid)
    bent = image + field
    still = frame.undo(view) if frame else view
    first = displacement(still) if frame else field
    # What lands on a pixel came from about where the field at that pixel points from.
    back = still - displacement(still - first)
    return Warp(frame.of(bent) if frame else bent, back, frame is not None)


def _pixels(size: int) -> Tensor:
    """Return the middles of pixels, f32 [2, size, size], x and y from -1 to 1."""
    line = (torch.arange(size, dtype=torch.float32) + 0.5) * (2 / size) - 1
    return torch.stack([line[None].expand(size, size), line[:, None].expand(size, size)])


def _sample(image: Tensor, points: Tensor) -> Tensor:
    """Sample f32 [1, C, h, w] at points f32 [2, H, W], linearly; beyond its ends lies zero."""
    return F.grid_sample(image, points.permute(1, 2, 0)[None], padding_mode="zeros", align_corners=False)


def _inside(points: Tensor, size: int) -> Tensor:
    """Keep points on the pixels of an edge of `size`: so the last ones go on; a runtime's own way of that is slower."""
    return points.clamp(1 / size - 1, 1 - 1 / size)


def _multiply(points: Tensor, factor: Tensor, shift: Tensor | None = None) -> Tensor:
    """Multiply complex numbers, f32 [2, ...], and add one; x and y each in one piece, for runtimes to be fast."""
    real = points[0] * factor[0] - points[1] * factor[1]
    imaginary = points[0] * factor[1] + points[1] * factor[0]
    return torch.stack([real, imaginary] if shift is None else [real + shift[0], imaginary + shift[1]])
