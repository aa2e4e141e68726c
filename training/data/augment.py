"""Views of cached faces, one bilinear resampling each: the plain one, and random ones to train on."""

import io
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from torch import Tensor

from ..recipe import Recipe
from .cutting import cut_scale


def plain_view(faces: Tensor, size: int, margin: float) -> Tensor:
    """Cut the middle of cached faces u8 [B, C, C, 3] as float [B, 3, size, size] in [0, 1]."""
    scale = torch.full((len(faces),), cut_scale(margin), device=faces.device)
    none = torch.zeros_like(scale)
    return _resample(faces.permute(0, 3, 1, 2), size, cut_scale(margin), _affine(scale, none, none + 1, none[:, None]))


def random_view(faces: Tensor, size: int, recipe: Recipe, draw: Callable[..., Tensor]) -> Tensor:
    """Cut cached faces as `plain_view` does, each changed at random within the recipe's limits.

    Turned, mirrored, zoomed and shifted, since detectors differ; lighter and darker, since cameras do. `draw(*shape)`
    returns random numbers f32 [B, *shape] in [0, 1), on the CPU, so that they are the same on every device.
    """

    def uniform(*shape: int) -> Tensor:
        return draw(*shape).to(faces.device) * 2 - 1

    scale = cut_scale(recipe.crop_margin) * (1 + recipe.zoom * uniform())
    # Most photos are nearly upright: a triangular distribution keeps the limit a limit, not the rule.
    angle = math.radians(recipe.rotation) * (uniform() + uniform()) / 2
    affine = _affine(scale, angle, torch.sign(uniform()), recipe.shift * uniform(2))
    pixels = _resample(faces.permute(0, 3, 1, 2), size, cut_scale(recipe.crop_margin), affine)
    contrast = 1 + recipe.light * uniform(1, 1, 1)
    return ((pixels - 0.5) * contrast + 0.5 + recipe.light * uniform(1, 1, 1)).clamp(0, 1)


def degrade(faces: Tensor, share: float, draw: Callable[..., Tensor]) -> Tensor:
    """Blur or compress a random `share` of faces u8 [B, C, C, 3] on the CPU, as cameras and websites do.

    They become up to 3x smaller and then as large as before, or a JPEG of quality 30 to 95. `draw` is as for
    `random_view`.
    """
    faces = faces.clone()
    draws = draw(3)
    for number in (draws[:, 0] < share).nonzero()[:, 0].tolist():
        amount = float(draws[number, 1])
        if draws[number, 2] < 0.5:
            file = io.BytesIO()
            Image.fromarray(faces[number].numpy()).save(file, "JPEG", quality=round(30 + 65 * amount))
            faces[number] = torch.from_numpy(np.array(Image.open(file)))
        else:
            pixels = faces[number : number + 1].permute(0, 3, 1, 2)
            edge = pixels.shape[-1]
            small = _resize(pixels.float(), round(edge * (1 + 2 * amount) / 3))
            faces[number] = _resize(small, edge)[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)
    return faces


def _resize(pixels: Tensor, edge: int) -> Tensor:
    return F.interpolate(pixels, (edge, edge), mode="bilinear", antialias=True, align_corners=False)


def _affine(scale: Tensor, angle: Tensor, mirror: Tensor, shift: Tensor) -> Tensor:
    """Maps f32 [B, 2, 3] from the view to the cut, both in [-1, 1]."""
    cos, sin, shift = torch.cos(angle) * scale, torch.sin(angle) * scale, shift.expand(-1, 2)
    rows = [torch.stack([cos * mirror, -sin, shift[:, 0]], 1), torch.stack([sin * mirror, cos, shift[:, 1]], 1)]
    return torch.stack(rows, 1)


def _resample(faces: Tensor, size: int, scale: float, affine: Tensor) -> Tensor:
    pixels = faces.float() / 255
    # Sampling by points would alias where the view is much coarser than the cut.
    if (edge := round(size / scale)) * 1.25 < pixels.shape[-1]:
        pixels = _resize(pixels, edge)
    grid = F.affine_grid(affine, [len(faces), 3, size, size], align_corners=False)
    return F.grid_sample(pixels, grid, align_corners=False)
