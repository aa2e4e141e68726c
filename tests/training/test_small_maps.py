"""The matrix products of `training/small_maps.py` and `winograd.py` must be the convolutions that PyTorch computes."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from face_encryption.training.small_maps import Convolve, SmallMapConv2d, speed_up
from face_encryption.training.winograd import Winograd


def by_patches(image: Tensor, weight: Tensor, stride: int) -> Tensor:
    result: Tensor = Convolve.apply(image, weight, stride)
    return result


def by_winograd(image: Tensor, weight: Tensor, stride: int) -> Tensor:
    result: Tensor = Winograd.apply(image, weight)
    return result


def maps(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64).to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("convolve", "edge", "stride"),
    [(by_patches, edge, stride) for edge in (4, 5, 7) for stride in (1, 2)] + [(by_winograd, 4, 1)],
)
def test_results_and_gradients_are_those_of_a_convolution(
    convolve: Callable[[Tensor, Tensor, int], Tensor], edge: int, stride: int
) -> None:
    torch.manual_seed(0)
    image, weight = maps(3, 6, edge, edge).requires_grad_(), maps(8, 6, 3, 3).requires_grad_()
    found, wanted = convolve(image, weight, stride), F.conv2d(image, weight, None, stride, 1)
    along = torch.randn_like(wanted)
    gradients = [torch.autograd.grad(result, (image, weight), along) for result in (found, wanted)]
    for one, other in [(found, wanted), *zip(*gradients, strict=True)]:
        torch.testing.assert_close(one, other)
        assert one.stride() == other.stride()


@pytest.mark.parametrize("edge", [4, 5])
def test_a_stage_computes_what_it_did(edge: int) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(64, 32, 3, 1, 1, bias=False), nn.Conv2d(32, 4, 1))
    fast = copy.deepcopy(plain)
    speed_up(fast)
    assert [type(layer) for layer in fast] == [SmallMapConv2d, nn.Conv2d]
    assert fast.state_dict().keys() == plain.state_dict().keys()
    image = maps(3, 64, edge, edge).float()
    wanted = plain(image).detach()
    assert torch.allclose(fast(image), wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))


def test_mixed_precision_stays_mixed() -> None:
    fast = nn.Sequential(nn.Conv2d(4, 4, 3, 1, 1, bias=False))
    speed_up(fast)
    with torch.autocast("cpu", torch.bfloat16):
        embedding = fast(torch.randn(2, 4, 4, 4))
    assert embedding.dtype == torch.bfloat16
    embedding.sum().backward()
    weight = fast[0].weight
    assert isinstance(weight, nn.Parameter)
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32
