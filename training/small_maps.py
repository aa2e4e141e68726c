"""Convolutions over small feature maps on a CPU: oneDNN's are slow there, a few matrix products are not.

On 4x4 places and 512 channels, a batch of 64 and two cores: in float32 Winograd's way takes 48 ms in place of 88,
forwards and backwards (AVX-512), in bfloat16 one product for the weight gradient takes 6 ms in place of 20 (AMX). Each
is about a tenth of a training step. On larger maps the patches, nine times the map, cost more than they save.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from .winograd import Winograd


class Convolve(torch.autograd.Function):
    """3x3 convolution with a padding of 1, of images [B, C, N, N] and weights [D, C, 3, 3]."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, stride: int) -> Tensor:
        """Convolve."""
        ctx.save_for_backward(image, weight)
        ctx.stride = stride
        return F.conv2d(image, weight, None, stride, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients of images and weights."""
        image, weight = ctx.saved_tensors
        by_image = conv2d_input(image.shape, weight, gradient, ctx.stride, 1)  # type: ignore[no-untyped-call]
        # All patches that the filters met, [B * M * M, 9 * C], times the gradient at their places: where the channels
        # lie last in memory, neither is reordered, and the result has the layout of the weights.
        padded = F.pad(image.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        patches = padded.unfold(1, 3, ctx.stride).unfold(2, 3, ctx.stride).permute(0, 1, 2, 4, 5, 3)
        filters = gradient.permute(0, 2, 3, 1).flatten(0, 2).T @ patches.flatten(3).flatten(0, 2)
        return by_image, filters.view(len(weight), 3, 3, -1).permute(0, 3, 1, 2), None


class SmallMapConv2d(nn.Conv2d):
    """A convolution of 3x3, padding 1, without a bias, by matrix products."""

    def forward(self, image: Tensor) -> Tensor:
        """Convolve [B, C, N, N], with mixed precision in its type."""
        result: Tensor
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            result = Convolve.apply(image.to(dtype), self.weight.to(dtype), self.stride[0])
        elif image.shape[2:] == (4, 4) and self.stride[0] == 1:
            result = Winograd.apply(image, self.weight)
        else:
            result = super().forward(image)
        return result


def speed_up(stage: nn.Module) -> None:
    """Let all 3x3 convolutions of a ResNet's stage compute so; what they compute is the same."""
    for layer in stage.modules():
        if type(layer) is nn.Conv2d and layer.kernel_size == (3, 3):
            layer.__class__ = SmallMapConv2d
