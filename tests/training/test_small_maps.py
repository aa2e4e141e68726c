"""The matrix product of `training/small_maps.py` must be the weight gradient that PyTorch computes."""

import copy

import pytest
import torch
from torch import nn

from face_encryption.training.small_maps import SmallMapConv2d, speed_up


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("edge", [4, 5, 7])
def test_gradients_are_those_of_a_convolution(stride: int, edge: int) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(6, 8, 3, stride, 1, bias=False), nn.Conv2d(8, 4, 1)).double()
    plain = plain.to(memory_format=torch.channels_last)
    fast = copy.deepcopy(plain)
    speed_up(fast)
    assert [type(layer) for layer in fast] == [SmallMapConv2d, nn.Conv2d]
    assert fast.state_dict().keys() == plain.state_dict().keys()
    image = torch.randn(3, 6, edge, edge, dtype=torch.float64).to(memory_format=torch.channels_last)
    found = []
    for network in (plain, fast):
        given = image.clone().requires_grad_()
        network(given).square().sum().backward()
        found.append([given.grad, *(weight.grad for weight in network.parameters())])
    for one, other in zip(*found, strict=True):
        assert one is not None
        assert other is not None
        torch.testing.assert_close(one, other)
        assert one.stride() == other.stride()


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
