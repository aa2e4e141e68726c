"""Projected gradient descent on a face in PyTorch: the module that is exported, and the reference for its graph.

Madry et al. 2018 (arXiv:1706.06083), on the pixels of the photo: each step resamples the changed face to the
recognizer's grid, takes the gradient there, carries it back through the same resampling, and moves every pixel by the
step size along its sign. epsilon and step size are in pixel levels (8 means 8/255).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from face_encryption.export.noise import random_start

# The perturbation fades over this part of the square's edge on each side, so that no border shows in the photo.
FEATHER = 0.06

Gradient = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def resampling_matrix(side: int, size: int) -> Tensor:
    """Weights f32 [size, side] that resample a line of `side` pixels to `size`.

    A triangle filter with pixel centres at half integers, widened when it shrinks: what Pillow's BILINEAR and torch's
    antialiased bilinear compute. Being a matrix, it is the same in every runtime, and its gradient is its transpose.
    """
    pixels = torch.arange(side, dtype=torch.float32) + 0.5
    ratio = torch.full((), side, dtype=torch.float32) / size
    centres = (torch.arange(size, dtype=torch.float32) + 0.5) * ratio
    weights = (1 - (pixels[None] - centres[:, None]).abs() / torch.maximum(ratio, torch.ones(()))).relu()
    return weights / weights.sum(1, keepdim=True)


def feather_mask(side: int, feather: float) -> Tensor:
    """Weights f32 [side, side] in (0, 1]: one inside, falling towards the edges over `feather` of the side."""
    pixels = torch.arange(side, dtype=torch.float32) + 0.5
    ramp = (torch.minimum(pixels, side - pixels) / (max(feather, 1e-6) * side)).clamp(max=1.0)
    return ramp[:, None] * ramp[None]


class Square:
    """A face square as the steps of an attack see it: what stays the same from step to step, computed once."""

    def __init__(self, face: Tensor, epsilon: Tensor, size: int, feather: float) -> None:
        """Take `face` u8 [S, S, 3] and prepare for a recognizer of input `size`; epsilon is in pixel levels."""
        side = face.shape[0]
        self.pixels = face.permute(2, 0, 1).float()
        self.rows = resampling_matrix(side, size)
        self.mask = feather_mask(side, feather)
        self.epsilon = epsilon
        self.lowest = torch.maximum(-epsilon, -self.pixels)
        self.highest = torch.minimum(epsilon, 255 - self.pixels)

    def project(self, perturbation: Tensor) -> Tensor:
        """Clamp f32 [3, S, S] to [-epsilon, epsilon] and to what keeps every pixel in [0, 255]."""
        return torch.minimum(torch.maximum(perturbation, self.lowest), self.highest)

    def image(self, perturbation: Tensor) -> Tensor:
        """Return the perturbed face as the recognizer takes it: f32 [1, 3, size, size] pixel levels."""
        return (self.rows @ (self.pixels + self.mask * perturbation) @ self.rows.T)[None]

    def protected(self, perturbation: Tensor) -> Tensor:
        """Add the feathered perturbation in whole levels: u8 [S, S, 3], never further than epsilon from the face."""
        # Rounding may reach past an epsilon that is no whole number.
        bound = torch.floor(self.epsilon)
        levels = torch.minimum(torch.maximum(torch.round(self.mask * perturbation), -bound), bound)
        return (self.pixels + levels).clamp(0, 255).to(torch.uint8).permute(1, 2, 0)


class Attack(nn.Module):
    """K steps of projected gradient descent on one square face."""

    def __init__(self, gradient: Gradient, size: int, steps: int, feather: float = FEATHER) -> None:
        """Take `gradient(image f32 [1, 3, size, size] in levels, target) -> (gradient, loss)`, and K = `steps`."""
        super().__init__()
        self.gradient, self.size, self.steps, self.feather = gradient, size, steps, feather

    def forward(
        self, face: Tensor, target: Tensor, direction: Tensor, epsilon: Tensor, step_size: Tensor, seed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Attack `face` u8 [S, S, 3]; the scalars are those of `begin` and `step`.

        Returns the protected face, u8 [S, S, 3], and f32 [K], the loss that each step met: element 0 is the random
        start's, element i that after i steps. The last step's own is the recognizer's to measure, on the saved pixels.
        """
        square = self.square(face, epsilon)
        perturbation = self.begin(square, seed)
        losses = []
        for _ in range(self.steps):
            perturbation, loss = self.step(square, perturbation, target, direction, step_size)
            losses.append(loss)
        return square.protected(perturbation), torch.stack(losses)

    def square(self, face: Tensor, epsilon: Tensor) -> Square:
        """Prepare a face u8 [S, S, 3] for the steps; epsilon is in pixel levels."""
        return Square(face, epsilon, self.size, self.feather)

    def begin(self, square: Square, seed: Tensor) -> Tensor:
        """Draw the random start f32 [3, S, S] in pixel levels, uniform in [-epsilon, epsilon] and valid pixels."""
        return square.project(random_start(seed, square.mask.shape[0]).permute(2, 0, 1) * square.epsilon)

    def step(
        self, square: Square, perturbation: Tensor, target: Tensor, direction: Tensor, step_size: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One iteration; returns the next perturbation f32 [3, S, S] and the loss before it.

        `target` is what the loss compares with, a label (i64 scalar) or an embedding (f32 [E]); `direction` is +1 to
        move towards it and -1 to move away from it; `step_size` is in pixel levels.
        """
        gradient, loss = self.gradient(square.image(perturbation), target)
        # The mask only scales the gradient, so its sign needs none.
        pixel_gradient = square.rows.T @ gradient[0] @ square.rows
        return square.project(perturbation - direction * step_size * torch.sign(pixel_gradient)), loss


class AttackStep(Attack):
    """One iteration as a graph of its own, so that a client can show progress, stop early and choose any K."""

    def forward(  # type: ignore[override]
        self,
        face: Tensor,
        perturbation: Tensor,
        iteration: Tensor,
        target: Tensor,
        direction: Tensor,
        epsilon: Tensor,
        step_size: Tensor,
        seed: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take and return the perturbation f32 [S, S, 3]; `iteration` 0 draws the random start in its place.

        Returns the next perturbation, the face that it would give, u8 [S, S, 3], and the loss before the step.
        """
        square = self.square(face, epsilon)
        before = torch.where(iteration == 0, self.begin(square, seed), perturbation.permute(2, 0, 1))
        after, loss = self.step(square, before, target, direction, step_size)
        return after.permute(1, 2, 0), square.protected(after), loss
