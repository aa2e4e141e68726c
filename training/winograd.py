"""3x3 convolution of maps of 4x4 places by Winograd's way: 36 products where the plain way takes 144.

F(4x4, 3x3) of A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks" (2016, arXiv:1509.09308). A map
of 4x4 is one tile of it, so that tiles need neither be cut nor put together.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

# On a line, four neighbours see six places. Six products, of sums of these places with sums of a filter's three taps,
# add up to the four. The outermost places of the six are padding here.
PLACES = torch.tensor([[0, -5, 0, 1], [-4, -4, 1, 1], [4, -4, -1, 1], [-2, -1, 2, 1], [2, -1, -2, 1], [4, 0, -5, 0]])
TAPS = torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]).double() / 24
SUMS = torch.tensor([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


class Winograd(torch.autograd.Function):
    """Takes images f [B, C, 4, 4] and weights f [D, C, 3, 3], padding 1; returns [B, D, 4, 4], channels last.

    In float32 results are within some millionths of the plain ones, enough to train with; bfloat16 is too coarse.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor) -> Tensor:
        """Convolve."""
        taps, (filters, channels) = _rows(weight), weight.shape[:2]
        places = (_both_ways(PLACES, image) @ _rows(image)).view(36, len(image), channels)
        products = image.new_empty(36, len(image), filters)
        for part, mixed in _mixed(taps, filters):
            torch.bmm(places[part], mixed.mT, out=products[part])
        ctx.save_for_backward(places, taps)
        return _maps(_both_ways(SUMS, image) @ products.flatten(1), len(image))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of images and weights: each product is the other way round what it was."""
        places, taps = ctx.saved_tensors
        count, filters = gradient.shape[:2]
        products = (_both_ways(SUMS, gradient).T @ _rows(gradient)).view(36, count, filters)
        by_places, by_line = torch.empty_like(places), taps.new_empty(6, 3, taps.shape[1])
        back = TAPS.to(taps).T
        for line, (part, mixed) in enumerate(_mixed(taps, filters)):
            torch.bmm(products[part], mixed, out=by_places[part])
            torch.mm(back, torch.bmm(products[part].mT, places[part]).flatten(1), out=by_line[line])
        by_taps = (back @ by_line.flatten(1)).view(9, -1)
        return _maps(_both_ways(PLACES, gradient).T @ by_places.flatten(1), count), _maps(by_taps, filters)


def _both_ways(matrix: Tensor, like: Tensor) -> Tensor:
    """Return the matrix that does in both directions of a map what the given one does in one."""
    return torch.kron(matrix, matrix).to(like)


def _mixed(taps: Tensor, filters: int) -> Iterator[tuple[slice, Tensor]]:
    """Yield six times which of the 36 products to form, and sums of taps [9, D * C] for them, [6, D, C].

    All such sums of 512 filters of 512 channels at once are 38 MB, for which the system clears new memory every time.
    """
    transform = _both_ways(TAPS, taps)
    for start in range(0, 36, 6):
        part = slice(start, start + 6)
        yield part, (transform[part] @ taps).view(6, filters, -1)


def _rows(maps: Tensor) -> Tensor:
    """Lay out [D, C, N, N] as [N * N, D * C]."""
    return maps.permute(2, 3, 0, 1).flatten(2).flatten(0, 1)


def _maps(rows: Tensor, count: int) -> Tensor:
    """Lay out [N * N, D * C], where D is the `count`, as [D, C, N, N] with the channels last in memory."""
    edge = math.isqrt(len(rows))
    maps = rows.view(edge, edge, count, -1).permute(2, 3, 0, 1)
    return maps.contiguous(memory_format=torch.channels_last)
