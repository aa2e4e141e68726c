"""The resampling matrix against libraries that resample on their own."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image

from face_encryption.export.attack import feather_mask
from face_encryption.export.cases import picture
from face_encryption.export.views import resampling_matrix


@pytest.mark.parametrize("side", [2, 60, 111, 112, 113, 224, 500, 1600])
def test_equals_antialiased_bilinear(side: int) -> None:
    face = torch.from_numpy(picture(side)).permute(2, 0, 1).float()
    rows = resampling_matrix(side, 112)
    expected = F.interpolate(face[None], size=(112, 112), mode="bilinear", antialias=True)[0]
    assert torch.allclose(rows @ face @ rows.T, expected, atol=2e-3)


@pytest.mark.parametrize("side", [60, 250, 900])
def test_equals_pillow_within_its_rounding(side: int) -> None:
    face = picture(side)
    rows = resampling_matrix(side, 112)
    got = (rows @ torch.from_numpy(face).permute(2, 0, 1).float() @ rows.T).permute(1, 2, 0).numpy()
    assert np.abs(got - np.asarray(Image.fromarray(face).resize((112, 112), Image.Resampling.BILINEAR))).max() <= 1.01


def test_blur_takes_the_finest_detail_and_leaves_the_mean() -> None:
    line = torch.arange(100) % 2.0
    one, zero = torch.tensor(1.0), torch.tensor(0.0)
    spread = []
    for blur in (1.0, 1.5, 2.0):
        seen = resampling_matrix(100, 112, one, zero, blur) @ line
        assert seen.mean() == pytest.approx(0.5, abs=0.01)
        spread.append(float(seen.std()))
    assert spread[0] > 2 * spread[1]
    assert spread[1] > 2 * spread[2]


def test_feather_is_one_inside_and_fades_at_the_edge() -> None:
    mask = feather_mask(100, 0.1)
    assert mask[50, 50] == 1
    assert 0 < mask[0, 0] < mask[0, 50] == pytest.approx(0.05)
    assert torch.equal(mask, mask.T)
    assert torch.equal(mask, mask.flip(0))
