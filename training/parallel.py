"""Batch normalization over the faces of all processes, so that several learn what one learns."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import group
from torch.distributed._functional_collectives import all_reduce


def share_statistics(model: nn.Module) -> None:
    """Let a model's batch normalizations, while it trains, take the mean and variance of all processes' faces.

    Those of one process's few faces are other ones, and so is what is learned. PyTorch's `SyncBatchNorm` is for GPUs
    alone; this runs wherever the processes can add up numbers.
    """
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.forward = partial(_normalize, layer, layer.forward)  # type: ignore[method-assign]


def _normalize(layer: Any, alone: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    if not layer.training:
        return alone(features)
    axes, shape = [0, *range(2, features.ndim)], (-1, *[1] * (features.ndim - 2))
    values = features.float()
    count = values.new_tensor([values.numel() / values.shape[1]])
    sums = _over_all(torch.cat([values.sum(axes), count]))
    mean, total = sums[:-1] / sums[-1], sums[-1].detach()
    # A second exchange, since a mean of squares less a squared mean cancels.
    centred = values - mean.view(shape)
    variance = _over_all(centred.square().sum(axes)) / total
    with torch.no_grad():
        layer.running_mean.lerp_(mean, layer.momentum)
        layer.running_var.lerp_(variance * total / (total - 1), layer.momentum)
        layer.num_batches_tracked += 1
    scale = layer.weight * torch.rsqrt(variance + layer.eps)
    normalized: Tensor = centred * scale.view(shape) + layer.bias.view(shape)
    return normalized.to(features.dtype)


def _over_all(values: Tensor) -> Tensor:
    assert group.WORLD is not None
    summed: Tensor = all_reduce(values, "sum", group.WORLD)
    return summed
