"""The attack on a label in PyTorch: projected gradient descent with sign steps, the reference for its graph.

Madry et al. 2018 (arXiv:1706.06083), on the pixels of the photo: each step resamples the changed face to the
recognizer's grid, takes the gradient there, carries it back through the same resampling, and moves every pixel by the
step size along its sign. epsilon and step size are in pixel levels (8 means 8/255).

Two additions make what one recognizer teaches count for others: momentum, which sums the gradients of all steps (Dong
et al. 2018, MI-FGSM, arXiv:1710.06081), and diversity, views that differ (see `views.py`). With both at 0 it is plain
PGD.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .noise import random_start
from .views import all_draws, draw_view, enlarge, normalize_mean_abs, shrink

# The steps work on a grid of at most so many pixels each way, and what they find is carried to the photo's pixels: the
# recognizer sees no finer detail, and each step on the pixels of a close-up would take longer than its gradient.
GRID = 336
# The perturbation fades over this part of the square's edge on each side, so that no border shows in the photo.
FEATHER = 0.06

# Of a loss by an image f32 [1, 3, size, size] in levels: `gradient(image, target) -> (gradient, loss)`.
Gradient = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def feather_mask(side: int, feather: float) -> Tensor:
    """Weights f32 [side, side] in (0, 1]: one inside, falling towards the edges over `feather` of the side."""
    pixels = torch.arange(side, dtype=torch.float32) + 0.5
    ramp = (torch.minimum(pixels, side - pixels) / (max(feather, 1e-6) * side)).clamp(max=1.0)
    return ramp[:, None] * ramp[None]


class Square:
    """A face square as the steps of an attack see it: what stays the same from step to step, computed once.

    The steps work on `pixels` f32 [3, G, G]; `levels` f32 [S, S, 3] are those of the photo.
    """

    def __init__(self, face: Tensor, epsilon: Tensor, feather: float, grid: int | None = None) -> None:
        """Take `face` u8 [S, S, 3]; epsilon is in pixel levels.

        `grid` is G, the edge of the grid that the steps work on, by default the smaller of S and `GRID`. Where G is S,
        the resampling changes nothing.
        """
        side = face.shape[0]
        self.grid = grid or min(side, GRID)
        self.levels = face.float()
        self.pixels = shrink(self.levels, self.grid)
        self.mask = feather_mask(self.grid, feather)
        self.epsilon = epsilon
        self.lowest = torch.maximum(-epsilon, -self.pixels)
        self.highest = torch.minimum(epsilon, 255 - self.pixels)

    def project(self, perturbation: Tensor) -> Tensor:
        """Clamp f32 [3, G, G] to [-epsilon, epsilon] and to what keeps every pixel in [0, 255]."""
        return torch.minimum(torch.maximum(perturbation, self.lowest), self.highest)

    def face(self, perturbation: Tensor) -> Tensor:
        """Return the perturbed face, f32 [3, G, G] in pixel levels, before rounding."""
        return self.pixels + self.mask * perturbation

    def protected(self, perturbation: Tensor) -> Tensor:
        """Add the feathered perturbation in whole levels: u8 [S, S, 3], never further than epsilon from the face."""
        # Rounding may reach past an epsilon that is no whole number; resampling, a weighted mean, never past its input.
        bound = torch.floor(self.epsilon)
        change = torch.minimum(torch.maximum(self.mask * perturbation, -bound), bound)
        return (self.levels + torch.round(enlarge(change, self.levels.shape[0]))).clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class StepParams:
    """What each step does: the scalars of the graphs' inputs.

    `targeted` is +1 to move towards the label and -1 to move away from it; `step_size` is in pixel levels; `momentum`
    is what remains of the earlier steps' gradients, 0 for nothing and 1 for all; `diversity` is how much the views
    differ, 0 for not at all.
    """

    targeted: Tensor
    step_size: Tensor
    momentum: Tensor
    diversity: Tensor


class Attack(nn.Module):
    """One step of projected gradient descent on one square face: the graph that a loop repeats."""

    def __init__(self, gradient: Gradient, size: int, feather: float = FEATHER) -> None:
        """Take the gradient of a recognizer of input `size`."""
        super().__init__()
        self.gradient, self.size, self.feather = gradient, size, feather

    def forward(
        self,
        face: Tensor,
        label: Tensor,
        direction: Tensor,
        epsilon: Tensor,
        step_size: Tensor,
        momentum: Tensor,
        diversity: Tensor,
        seed: Tensor,
        perturbation: Tensor,
        momentum_buffer: Tensor,
        iteration: Tensor,
        grid: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Attack `face` u8 [S, S, 3] by a `label` i64; the scalars are those of `StepParams`, epsilon is in levels.

        Takes and returns perturbation and momentum buffer, f32 [3, G, G]; `iteration` 0 begins anew from `seed` in
        their place. `grid`, any tensor of the length G, stands for the edge of the steps' grid during an export.

        Returns the next of both, the face that they give, u8 [S, S, 3], and the loss that the step met.
        """
        square = Square(face, epsilon, self.feather, None if grid is None else grid.shape[0])
        params = StepParams(direction, step_size, momentum, diversity)
        first, draws = iteration == 0, all_draws(seed)
        before = torch.where(first, self.begin(square, seed), perturbation)
        buffer = torch.where(first, 0.0, momentum_buffer)
        after, buffer, loss = self.step(square, before, buffer, label, params, draws[iteration % draws.shape[0]])
        return after, buffer, square.protected(after), loss

    def repeated(self, steps: int, *given: Tensor) -> tuple[Tensor, Tensor]:
        """Do `steps` steps from the random start; `given` is what `forward` takes, up to the seed.

        Returns the protected face, u8 [S, S, 3], and f32 [steps], the loss that each step met: element 0 is the random
        start's, element i that after i steps. The last step's own is the recognizer's to measure, on the saved pixels.
        """
        perturbation = buffer = torch.zeros(3, 1, 1)
        losses = []
        for number in range(steps):
            perturbation, buffer, protected, loss = self(*given, perturbation, buffer, torch.tensor(number))
            losses.append(loss)
        return protected, torch.stack(losses)

    def begin(self, square: Square, seed: Tensor) -> Tensor:
        """Draw the random start f32 [3, G, G] in pixel levels, uniform in [-epsilon, epsilon] and valid pixels."""
        return square.project(random_start(seed, square.grid).permute(2, 0, 1) * square.epsilon)

    def step(
        self,
        square: Square,
        perturbation: Tensor,
        momentum_buffer: Tensor,
        label: Tensor,
        params: StepParams,
        draws: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One iteration; returns the next perturbation and momentum buffer, f32 [3, G, G], and the loss before it.

        `momentum_buffer` sums the gradients so far; `draws` f32 [DRAWS] decide the view.
        """
        view = draw_view(square.grid, self.size, draws, params.diversity)
        gradient, loss = self.gradient(view.of(square.face(perturbation)), label)
        # The mask only scales the gradient, so its sign needs none.
        buffer = params.momentum * momentum_buffer + normalize_mean_abs(view.back(gradient))
        step = params.targeted * params.step_size * torch.sign(buffer)
        return square.project(perturbation - step), buffer, loss
