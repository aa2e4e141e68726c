"""Random views of cached faces: rotation, flip, zoom, shift and light, one bilinear resampling a view."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from face_encryption.training.faces import CACHE_MARGIN


def cut_scale(margin: float) -> float:
    """Return the edge of the square with `margin` on each side, as a part of the cached cut's edge."""
    return (1 + 2 * margin) / (1 + 2 * CACHE_MARGIN)


def view(faces: Tensor, size: int, margin: float, generator: torch.Generator | None = None) -> Tensor:
    """Cut the middle of cached faces, at random when a generator is given, as float [B, 3, size, size] in [0, 1].

    `faces` is u8 [B, C, C, 3]. The random view is the original study's (rotation to 30 degrees, mirror image, zoom to
    10 %) plus a shift to 5 % of the edge and brightness and contrast to 20 %, since detectors and cameras differ.
    """
    pixels = faces.permute(0, 3, 1, 2).float() / 255
    batch = len(faces)
    scale = torch.full((batch,), cut_scale(margin))
    angle = torch.zeros(batch)
    shift = torch.zeros(batch, 2)
    mirror = torch.ones(batch)
    if generator is not None:

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator) * 2 - 1

        scale = scale * (1 + 0.1 * uniform(batch))
        # Most photos are nearly upright: a triangular distribution keeps 30 degrees as the limit, not as the rule.
        angle = math.radians(15) * (uniform(batch) + uniform(batch))
        shift = 0.05 * uniform(batch, 2)
        mirror = torch.sign(uniform(batch))
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [torch.stack([cos * mirror, -sin, shift[:, 0]], 1), torch.stack([sin * mirror, cos, shift[:, 1]], 1)], 1
    )
    grid = F.affine_grid(theta, [batch, 3, size, size], align_corners=False)
    pixels = F.grid_sample(pixels, grid, align_corners=False)
    if generator is not None:
        contrast = 1 + 0.2 * uniform(batch, 1, 1, 1)
        brightness = 0.2 * uniform(batch, 1, 1, 1)
        pixels = ((pixels - 0.5) * contrast + 0.5 + brightness).clamp(0, 1)
    return pixels
