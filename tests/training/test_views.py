"""What the recognizer is shown in training: aligned faces for the teacher, and random views."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from threading import get_ident

import numpy as np
import pytest
import torch
from torch import Tensor

from face_encryption.training.data.augment import degrade, plain_view, random_view
from face_encryption.training.data.morph import morph
from face_encryption.training.distill.aligned import TEMPLATE, align, similarity_transforms
from face_encryption.training.distill.losses import cosine_loss, fit_targets, relational_loss, turn_targets
from face_encryption.training.recipe import load_recipe
from face_encryption.training.threads import ahead


def draws(count: int, seed: int) -> Callable[..., Tensor]:
    return partial(torch.rand, count, generator=torch.Generator().manual_seed(seed))


def test_alignment_puts_the_keypoints_on_the_template() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    turned = (TEMPLATE - 56) @ np.array([[0.9, 0.3], [-0.3, 0.9]]) + 110
    for x, y in turned:
        image[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3] = 255
    aligned = np.asarray(align(image, np.vstack([turned, turned[:2]]).astype(np.float32)))
    for x, y in TEMPLATE:
        assert aligned[round(y), round(x)].max() > 150


def test_the_plain_view_is_the_middle_of_the_cut() -> None:
    faces = torch.randint(0, 256, (5, 64, 64, 3), dtype=torch.uint8)
    plain = plain_view(faces, 48, 0.25)
    # At this size the middle of the cut maps pixel to pixel.
    assert torch.allclose(plain, faces[:, 8:56, 8:56].permute(0, 3, 1, 2) / 255, atol=1e-5)
    coarse = plain_view(faces, 24, 0.25)
    blocks = torch.nn.functional.interpolate(plain, (24, 24), mode="bilinear", antialias=True)
    assert torch.allclose(coarse[:, :, 4:-4, 4:-4], blocks[:, :, 4:-4, 4:-4], atol=0.02)


def test_random_views_repeat_with_the_seed_and_keep_their_range() -> None:
    faces = torch.randint(0, 256, (5, 64, 64, 3), dtype=torch.uint8)
    recipe = replace(load_recipe("distilled"), crop_margin=0.25)
    first, second, third = (random_view(faces, 48, recipe, draws(5, seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert first.min() >= 0
    assert first.max() <= 1


def test_views_are_computed_where_the_faces_are() -> None:
    # Tensors without values stand for those of another device; one of the CPU among them would be refused.
    faces = torch.empty((5, 64, 64, 3), dtype=torch.uint8, device="meta")
    views = plain_view(faces, 48, 0.25), random_view(faces, 48, load_recipe("distilled"), draws(5, 1))
    assert [(view.device.type, view.shape) for view in views] == [("meta", (5, 3, 48, 48))] * 2


def test_batches_are_made_ahead_in_order() -> None:
    running: set[int] = set()

    def work(item: int) -> int:
        running.add(get_ident())
        if item == 40:
            raise ValueError("forty")
        return item * item

    assert list(ahead(work, range(40), 0)) == list(ahead(work, range(40), 3)) == [item * item for item in range(40)]
    assert len(running) > 1
    with pytest.raises(ValueError, match="forty"):
        list(ahead(work, range(99), 3))


def test_similarity_transforms_find_turn_scale_and_shift() -> None:
    turn, shift = np.array([[0.9, -0.3], [0.3, 0.9]]), np.array([11.0, -5.0])
    sources = np.stack([TEMPLATE @ turn.T + shift, TEMPLATE])
    found = similarity_transforms(TEMPLATE, sources)
    assert np.allclose(found, [np.column_stack([turn, shift]), np.eye(2, 3)])
    # Of points that no such map hits, least squares: what is left has no part that one could take.
    away = sources[:1] + np.random.default_rng(0).normal(0, 3, (1, 4, 2))
    rest = TEMPLATE @ similarity_transforms(TEMPLATE, away)[0, :, :2].T + similarity_transforms(TEMPLATE, away)[0, :, 2]
    assert np.allclose(similarity_transforms(TEMPLATE, (away - rest))[0], 0, atol=1e-9)


def test_a_share_of_the_faces_is_degraded_and_none_is_changed_in_place() -> None:
    faces = torch.randint(0, 256, (40, 32, 32, 3), dtype=torch.uint8)
    before = faces.clone()
    changed = degrade(faces, 0.5, draws(40, 0))
    assert torch.equal(faces, before)
    share = (changed != faces).flatten(1).any(1).float().mean()
    assert 0.3 < share < 0.7
    assert torch.equal(degrade(faces, 0.0, draws(40, 0)), faces)


def test_the_teachers_losses_are_least_where_the_recognizer_agrees() -> None:
    bank = torch.nn.functional.normalize(torch.randn(20, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    agreeing = torch.nn.functional.pad(bank[:4], (0, 3))
    other = torch.nn.functional.pad(bank[4:8], (0, 3))
    assert cosine_loss(agreeing, bank[:4]).abs() < 1e-6
    assert relational_loss(agreeing, bank[:4], bank).abs() < 1e-6
    assert cosine_loss(other, bank[:4]) > 0.1
    assert relational_loss(other, bank[:4], bank) > 0.1


def test_targets_of_too_many_dimensions_keep_their_similarities() -> None:
    generator = torch.Generator().manual_seed(0)
    seen = torch.nn.functional.normalize(torch.randn(40, 6, generator=generator) @ torch.randn(6, 20), dim=1)
    fitted = fit_targets(seen, 8)
    assert fitted.shape == (40, 8)
    assert torch.allclose(fitted @ fitted.T, seen @ seen.T, atol=1e-4)
    assert fit_targets(seen, 20) is seen


def test_a_morph_is_between_its_faces_and_keeps_the_firsts_background() -> None:
    first, second = np.full((150, 150, 3), 40, np.uint8), np.full((150, 150, 3), 200, np.uint8)
    keypoints = np.vstack([TEMPLATE * 0.6 + 40, TEMPLATE[:2]]).astype(np.float32)
    elsewhere = keypoints * 1.1 - 10
    shares = []
    for seed in range(12):
        made = morph(first, keypoints, second, elsewhere, np.random.default_rng(seed))
        assert (made[:20] == 40).all()  # far above the eyes
        assert made.min() >= 40
        assert made.max() <= 200
        shares.append((made[70:100, 60:90].mean() - 40) / 160)
        assert np.array_equal(made, morph(first, keypoints, second, elsewhere, np.random.default_rng(seed)))
    assert min(shares) < 0.4 < 0.6 < max(shares)


def test_turned_targets_keep_their_similarities_and_lie_near_what_was_learned() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.nn.functional.normalize(torch.randn(30, 6, generator=generator), dim=1)
    turn = torch.linalg.qr(torch.randn(9, 9, generator=generator)).Q[:6]
    turned = turn_targets(targets, (targets @ turn)[:20])
    assert torch.allclose(turned @ turned.T, targets @ targets.T, atol=1e-5)
    assert torch.allclose(turned, targets @ turn, atol=1e-4)
