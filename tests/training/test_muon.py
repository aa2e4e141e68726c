"""Muon against torch's own, and what a run with it keeps."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from face_encryption.training import train as module
from face_encryption.training.config import Config
from face_encryption.training.model import Recognizer
from face_encryption.training.muon import Muon, orthogonal
from face_encryption.training.recipe import Recipe


def layers(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 36, 5))
    return net.to(memory_format=torch.channels_last)


def muon(net: nn.Module, ratio: float = 2.0) -> Muon:
    made = Muon([weight for weight in net.parameters() if weight.ndim > 1], ratio, weight_decay=0.1)
    for group in made.param_groups:
        group["lr"] = 0.01
    return made


def learn(net: nn.Module, step: Callable[[], object], seeds: range) -> list[Tensor]:
    for seed in seeds:
        image = torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        net.zero_grad()
        net(image).square().sum().backward()
        step()
    return [weight.detach() for weight in net.parameters()]


@pytest.mark.parametrize("shape", [(40, 300), (300, 40), (64, 64)])
def test_singular_values_become_about_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(3)) * 1e-4
    values = torch.linalg.svdvals(orthogonal(matrix))
    assert values.max() < 1.25
    assert (values > 0.65).float().mean() > 0.9
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    assert torch.diagonal(left.T @ orthogonal(matrix) @ right.T).sum() == pytest.approx(values.sum().item(), rel=1e-3)


def test_without_a_gradient_nothing_moves() -> None:
    assert torch.equal(orthogonal(torch.zeros(3, 5)), torch.zeros(3, 5))
    net = layers()
    before = [weight.clone() for weight in net.parameters()]
    muon(net).step()
    assert all(torch.equal(one, other) for one, other in zip(before, net.parameters(), strict=True))


def test_it_moves_weights_as_torchs_muon_does() -> None:
    ours, theirs = layers(), layers()
    got = learn(ours, muon(ours, 3.0).step, range(2))
    # torch's takes matrices alone: the linear layer, and the convolution as the matrix that it is in memory.
    convolution, *_, linear = [weight for weight in theirs.parameters() if weight.ndim > 1]
    bank = convolution.detach().permute(0, 2, 3, 1).flatten(1)
    assert bank.data_ptr() == convolution.data_ptr()
    bank.requires_grad_(True)
    other = torch.optim.Muon([bank, linear], lr=0.03, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")

    def step() -> None:
        assert convolution.grad is not None
        bank.grad = convolution.grad.permute(0, 2, 3, 1).flatten(1)
        other.step()  # type: ignore[no-untyped-call]

    expected = learn(theirs, step, range(2))
    for begun, one, other_one in zip(layers().parameters(), got, expected, strict=True):
        moved = (other_one - begun).norm()
        assert (moved > 0) == (begun.ndim > 1)
        assert (one - other_one).norm() <= 0.05 * moved  # torch's multiplies in bfloat16


def test_a_saved_state_goes_on_where_it_was() -> None:
    whole, begun, again = layers(), layers(), layers(seed=1)
    expected = learn(whole, muon(whole).step, range(4))
    first, second = muon(begun), muon(again)
    learn(begun, first.step, range(2))
    file = io.BytesIO()
    torch.save((begun.state_dict(), first.state_dict()), file)
    weights, state = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    again.load_state_dict(weights)
    second.load_state_dict(state)
    got = learn(again, second.step, range(2, 4))
    assert all(torch.equal(one, other) for one, other in zip(got, expected, strict=True))


def test_a_recipe_chooses_it(data: Path, detector: Path, tmp_path: Path) -> None:
    recipe = Recipe(97, 0.1, 2, 1e-4, identity=1.0, batch=8, muon=2.0)
    chosen = Config(data, recipe=recipe, detector=detector, out=tmp_path / "r.safetensors", cache=tmp_path / "cache")
    module.train(chosen)
    adamw, moved = torch.load(chosen.out.with_suffix(".resume.pt"), weights_only=True)["optimizers"]
    # ResNet-18's 20 convolutions, that on its last map, and the last layer.
    assert [sorted(state) for state in moved["state"].values()] == [["momentum"]] * 22
    assert all(sorted(state) == ["exp_avg", "exp_avg_sq", "step"] for state in adamw["state"].values())
    learned = [weight for weight in Recognizer(2).parameters() if weight.requires_grad]
    assert len(adamw["state"]) == len(learned) - 22
