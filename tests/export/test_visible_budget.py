"""The parts of the cloak's step, each against something that does not know it: SSIM, autograd, geometry."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.metrics import structural_similarity
from torch import Tensor

from face_encryption.export.attack.cloak import FaceGrid
from face_encryption.export.attack.face_mask import ACROSS, ALONG, face_mask
from face_encryption.export.attack.visible_budget import (
    cost_of_change,
    mix_colours,
    scale_to_budget,
    smoothing_matrix,
)
from face_encryption.export.attack.warp import DRAWS, Similarity, bicubic_weights, draw_warp

UPRIGHT = torch.tensor([[0.33, 0.3], [0.67, 0.3], [0.5, 0.49], [0.5, 0.67], [0.14, 0.4], [0.86, 0.4]])


def levels(picture: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1).float()


@pytest.mark.parametrize("corner", [(0, 0), (60, 180), (300, 100)])
def test_cost_is_what_ssim_loses(astronaut: NDArray[np.uint8], corner: tuple[int, int]) -> None:
    """Of a small change of zero mean: one that alternates from pixel to pixel."""
    part = astronaut[corner[0] :, corner[1] :][:112, :112]
    sign = np.indices((112, 112)).sum(0)[..., None] % 2 * 2.0 - 1
    changed = part + 2 * sign
    lost = 1 - structural_similarity(part.astype(float), changed, win_size=7, channel_axis=2, data_range=255)
    change = torch.from_numpy(2 * sign).permute(2, 0, 1).float().expand(3, -1, -1)
    assert float((cost_of_change(levels(part)) * change**2).mean()) == pytest.approx(lost, rel=0.15)


def test_change_is_dearer_on_a_plain_wall_than_on_skin_and_in_hair(astronaut: NDArray[np.uint8]) -> None:
    cost = cost_of_change(levels(astronaut))
    wall, cheek, hair = (
        float(cost[:, y - 8 : y + 8, x - 8 : x + 8].mean()) for y, x in ((120, 320), (150, 195), (30, 220))
    )
    assert wall > 2 * cheek > 6 * hair


def test_budget_bounds_the_cost() -> None:
    random = torch.Generator().manual_seed(0)
    change, cost = torch.randn(3, 8, 8, generator=random), torch.rand(3, 8, 8, generator=random)
    budget = torch.tensor(0.05)
    for scaled in (scale_to_budget(change, cost, budget, enlarge=False), scale_to_budget(change, cost, budget, True)):
        assert float((cost * scaled**2).mean()) == pytest.approx(0.05, rel=1e-4)
    small = 1e-3 * change
    assert torch.equal(scale_to_budget(small, cost, budget, enlarge=False), small)
    assert not scale_to_budget(torch.zeros(3, 8, 8), cost, budget, enlarge=True).any()


def test_colour_is_dearer_than_grey_and_grey_stays_grey() -> None:
    colourful = torch.tensor([0.0, 100.0, 200.0]).view(3, 1, 1).expand(3, 4, 4)
    matrix = mix_colours(colourful)
    assert torch.allclose(matrix @ torch.ones(3), torch.ones(3), atol=1e-6)
    opposite = torch.tensor([1.0, -1.0, 0.0])
    assert torch.allclose(matrix @ opposite, opposite / (matrix[0, 0] - matrix[0, 1]).reciprocal(), atol=1e-6)
    assert (matrix @ opposite).norm() < 0.3 * opposite.norm()
    # A level or two of difference, as lossy formats leave, is grey still.
    almost = torch.tensor([100.0, 101.0, 102.0]).view(3, 1, 1).expand(3, 4, 4)
    change = mix_colours(almost) @ torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(change[0], change[1])
    assert torch.equal(change[0], change[2])


def test_smoothing_keeps_what_the_photo_can_show() -> None:
    large, small = smoothing_matrix(torch.tensor(900), 112), smoothing_matrix(torch.tensor(40), 112)
    for matrix in (large, small):
        assert torch.allclose(matrix.sum(1), torch.ones(112), atol=1e-5)
    assert torch.allclose(large[50, 48:53], torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16, atol=1e-6)
    assert float(small[56].max()) < 0.5 * float(large[56].max())


def turned(keypoints: Tensor, degrees: float) -> Tensor:
    angle = math.radians(degrees)
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return (keypoints - 0.5) @ turn + 0.5


@pytest.mark.parametrize("degrees", [0, 20, -45, 90, 180])
def test_mask_is_an_ellipse_that_turns_with_the_face(degrees: float) -> None:
    mask, angle = face_mask(turned(UPRIGHT, degrees), 200), math.radians(degrees)
    y, x = (np.mgrid[0:200, 0:200] + 0.5) / 200 - 0.5
    along, across = y * math.cos(angle) - x * math.sin(angle), x * math.cos(angle) + y * math.sin(angle)
    inside = (across / (ACROSS - 1 / 200)) ** 2 + (along / (ALONG - 1 / 200)) ** 2 < 1
    assert not mask.numpy()[~inside].any()
    assert mask.numpy()[inside].min() > 0
    assert mask[100, 100] == 1
    border = np.ones((200, 200), bool)
    border[1:-1, 1:-1] = False
    assert not mask.numpy()[border].any()
    assert 0.5 < mask.mean() < 0.65


def test_mask_without_keypoints_is_upright() -> None:
    assert torch.equal(face_mask(torch.full((6, 2), 0.5), 64), face_mask(UPRIGHT, 64))


@pytest.mark.parametrize("frame", [None, Similarity(torch.tensor([0.9, 0.2]), torch.tensor([0.05, -0.1]))])
def test_a_gradient_bent_back_is_nearly_autograds(frame: Similarity | None) -> None:
    random = torch.Generator().manual_seed(1)
    warp = draw_warp(bicubic_weights(112), torch.rand(DRAWS, generator=random) * 2 - 1, 112, frame)
    smooth = torch.nn.functional.avg_pool2d(torch.randn(1, 3, 112, 112, generator=random), 5, 1, 2)
    image = torch.zeros(1, 3, 112, 112, requires_grad=True)
    (exact,) = torch.autograd.grad(warp.of(image), image, smooth)
    # At the ends of the image all gradients of what lies beyond them add up: nothing may change there.
    exact, smooth, undone = (each[..., 8:-8, 8:-8] for each in (exact, smooth, warp.undo(smooth)))
    cosine = torch.nn.functional.cosine_similarity
    bent, still = cosine(undone.flatten(), exact.flatten(), 0), cosine(smooth.flatten(), exact.flatten(), 0)
    assert bent > 0.85
    assert bent > still + 0.3


def test_a_change_below_black_or_above_white_is_not_spent() -> None:
    pixels = torch.zeros(3, 112, 112)
    pixels[:, :56] = 255
    clamp = torch.tensor(16.0)
    grid = FaceGrid.of(pixels, UPRIGHT, torch.tensor(120))
    assert not grid.limit(torch.full((3, 112, 112), 9.0), clamp)[:, :56].any()
    assert not grid.limit(torch.full((3, 112, 112), -9.0), clamp)[:, 56:].any()
