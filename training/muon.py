"""Muon: a weight matrix moves along its momentum with all singular values made equal.

K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). Directions that few faces ask for
move as far as those that all ask for, so that it takes fewer steps than AdamW. `torch.optim.Muon` takes no
convolutions, and multiplies in bfloat16, which many processors do slowly.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
# A polynomial of odd degree 5 that takes singular values from (0, 1] towards 1, applied five times (Jordan et al.).
COEFFICIENTS, TIMES = (3.4445, -4.7750, 2.0315), 5
# With it a step has the size of one of AdamW's, so that the same learning rates and weight decay hold for both
# (Liu et al. 2025, arXiv:2502.16982).
ADAMW_SIZE = 0.2


class Muon(torch.optim.Optimizer):
    """For weights f32 [D, C], or [D, C, N, N] of convolutions; `ratio` times its groups' `lr` is the learning rate."""

    def __init__(self, weights: Iterable[nn.Parameter], ratio: float, weight_decay: float) -> None:
        """Take the weights; nothing moves until the groups' `lr` is set."""
        super().__init__(weights, {"lr": 0.0, "ratio": ratio, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move all weights that have a gradient."""
        for group in self.param_groups:
            rate = group["lr"] * group["ratio"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
                ahead = weight.grad.lerp(momentum, MOMENTUM)  # Nesterov's
                weight.mul_(1 - rate * group["weight_decay"])
                weight.add_(_direction(ahead), alpha=-rate)


def _direction(update: Tensor) -> Tensor:
    # Filters with their channels last, as they lie in memory.
    last = update.movedim(1, -1)
    matrix = last.flatten(1)
    direction = orthogonal(matrix) * (ADAMW_SIZE * max(matrix.shape) ** 0.5)
    filters: Tensor = direction.view(last.shape).movedim(-1, 1)
    return filters


def orthogonal(matrix: Tensor) -> Tensor:
    """Return a matrix f32 [D, C] with its singular values made about 1 (0.7 to 1.2, but those that are almost 0)."""
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    gram = matrix @ matrix.T
    square = gram.trace().clamp(min=1e-14)  # the sum of all squared singular values
    return _factor(gram / square, TIMES) @ (matrix / square.sqrt())


def _factor(gram: Tensor, times: int) -> Tensor:
    """Return what makes a matrix orthogonal from the left, given its Gram matrix, the smaller one: the products are."""
    a, b, c = COEFFICIENTS
    once = a * torch.eye(len(gram), device=gram.device) + b * gram + c * gram @ gram
    return once if times == 1 else _factor(once @ gram @ once, times - 1) @ once
