"""Projected gradient descent on a face in PyTorch: the module that is exported, and the reference for its graph.

Madry et al. 2018 (arXiv:1706.06083), on the pixels of the photo: each step resamples the changed face to the
recognizer's grid, takes the gradient there, carries it back through the same resampling, and moves every pixel by the
step size along its sign. epsilon and step size are in pixel levels (8 means 8/255).

Two additions make what one recognizer teaches count for others: momentum, which sums the gradients of all steps (Dong
et al. 2018, MI-FGSM, arXiv:1710.06081), and diversity, which shows each step another view of the face (Xie et al. 2019,
DI-FGSM, arXiv:1803.06978). With both at 0 it is plain PGD.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from face_encryption.export.noise import random_start

# The steps work on a grid of at most so many pixels each way, and what they find is carried to the photo's pixels: the
# recognizer sees no finer detail, and each step on the pixels of a close-up would take longer than its gradient.
GRID = 336
# The perturbation fades over this part of the square's edge on each side, so that no border shows in the photo.
FEATHER = 0.06
# Over how many pixels contrast is measured, which deviation counts as busy, and what even a flat place is granted, both
# in levels; 5.4 is where SSIM's own constant (0.03 * 255)^2 / 2 lies.
WINDOW, BUSY, FLAT = 7, 14.0, 5.4
# How far a view of diversity 1 is at most zoomed and shifted, in parts of the square's edge; every other is mirrored.
# It is blurred over up to so many times as many pixels, for strangers often see a face smaller than it was.
ZOOM, SHIFT, BLUR = 0.12, 0.06, 2.0
# A step draws these from the seed: zoom, two shifts, whether to mirror, and the blur.
DRAWS = 5

# Of a loss by an image f32 [1, 3, size, size] in levels: `gradient(image, target) -> (gradient, loss)`.
Gradient = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def resampling_matrix(
    side: int, size: int, zoom: Tensor | None = None, shift: Tensor | None = None, blur: Tensor | float = 1.0
) -> Tensor:
    """Weights f32 [size, side] that resample a line of `side` pixels to `size`.

    A triangle filter with pixel centres at half integers, widened when it shrinks: what Pillow's BILINEAR and torch's
    antialiased bilinear compute. Being a matrix, it is the same in every runtime, and its gradient is its transpose.

    `zoom` is the part of the line that is seen, mirrored where it is negative, and `shift` how far its middle lies from
    the line's, as a part of it; beyond the ends the last pixel goes on. Without them all of the line is seen. `blur`,
    from 1 on, widens the filter.
    """
    pixels = torch.arange(side, dtype=torch.float32) + 0.5
    ratio = torch.full((), side, dtype=torch.float32) / size
    centres = (torch.arange(size, dtype=torch.float32) + 0.5) * ratio
    if zoom is not None and shift is not None:
        middle = ratio * size / 2
        seen = (centres - middle) * zoom + middle * (1 + 2 * shift)
        centres = torch.minimum(seen.clamp(min=0.5), 2 * middle - 0.5)
        ratio = ratio * zoom.abs()
    width = torch.maximum(ratio, torch.ones(())) * blur
    weights = (1 - (pixels[None] - centres[:, None]).abs() / width).relu()
    return weights / weights.sum(1, keepdim=True)


def feather_mask(side: int, feather: float) -> Tensor:
    """Weights f32 [side, side] in (0, 1]: one inside, falling towards the edges over `feather` of the side."""
    pixels = torch.arange(side, dtype=torch.float32) + 0.5
    ramp = (torch.minimum(pixels, side - pixels) / (max(feather, 1e-6) * side)).clamp(max=1.0)
    return ramp[:, None] * ramp[None]


def contrast_mask(pixels: Tensor, perceptual: Tensor) -> Tensor:
    """Weights f32 [S, S] in (0, 1] for f32 [3, S, S] levels: less where a change shows, as on smooth skin.

    SSIM (Wang et al. 2004) forgives noise in proportion to the deviation of what is there, so the weights follow that
    deviation, up to `BUSY` levels. `perceptual` is 0 for the same weight everywhere and 1 for this one.
    """
    grey = pixels.mean(0)[None, None]
    mean, square = (F.avg_pool2d(part, WINDOW, 1, WINDOW // 2, count_include_pad=False) for part in (grey, grey * grey))
    variance = (square - mean * mean).clamp(min=0)[0, 0]
    weights = ((FLAT**2 + variance) / (FLAT**2 + BUSY**2)).clamp(max=1).sqrt()
    return 1 + perceptual * (weights - 1)


def of_unit_size(gradient: Tensor) -> Tensor:
    """Scale a gradient so that its mean absolute value is one, or leave it zero."""
    return gradient / gradient.abs().mean().clamp(min=1e-30)


class Square:
    """A face square as the steps of an attack see it: what stays the same from step to step, computed once.

    The steps work on `pixels` f32 [3, G, G]; `levels` f32 [S, S, 3] are those of the photo.
    """

    def __init__(
        self, face: Tensor, epsilon: Tensor, perceptual: Tensor, feather: float, grid: int | None = None
    ) -> None:
        """Take `face` u8 [S, S, 3]; epsilon is in pixel levels, `perceptual` as in `contrast_mask`.

        `grid` is G, the edge of the grid that the steps work on, by default the smaller of S and `GRID`. Where G is S,
        the resampling changes nothing.
        """
        side = face.shape[0]
        grid = grid or min(side, GRID)
        self.levels, down = face.float(), resampling_matrix(side, grid)
        # The channels move where the picture is small.
        rows = (down @ self.levels.reshape(side, side * 3)).reshape(grid, side, 3)
        self.pixels = rows.permute(2, 0, 1) @ down.T
        self.mask = feather_mask(grid, feather) * contrast_mask(self.pixels, perceptual)
        self.epsilon = epsilon
        self.lowest = torch.maximum(-epsilon, -self.pixels)
        self.highest = torch.minimum(epsilon, 255 - self.pixels)

    def project(self, perturbation: Tensor) -> Tensor:
        """Clamp f32 [3, G, G] to [-epsilon, epsilon] and to what keeps every pixel in [0, 255]."""
        return torch.minimum(torch.maximum(perturbation, self.lowest), self.highest)

    def view(self, size: int, draws: Tensor, diversity: Tensor, frame: "Frame | None" = None) -> "View":
        """Choose what a recognizer of input `size` sees of the square: its frame, or all of it.

        At diversity 0 just that, at 1 changed by `draws` f32 [DRAWS] in [-1, 1).
        """
        side = self.mask.shape[0]
        zoom = 1 + ZOOM * diversity * draws[0]
        mirror = torch.where(draws[3] + 1 < diversity.clamp(max=1.0), -1.0, 1.0)
        down, across = SHIFT * diversity * draws[1], SHIFT * diversity * draws[2]
        if frame:
            zoom, down, across = zoom * frame.zoom, down + frame.down, across + frame.across
        blur = 1 + (BLUR - 1) * diversity * (draws[4] + 1) / 2
        return View(
            resampling_matrix(side, size, zoom, down, blur),
            resampling_matrix(side, size, zoom * mirror, across, blur),
        )

    def face(self, perturbation: Tensor) -> Tensor:
        """Return the perturbed face, f32 [3, G, G] in pixel levels, before rounding."""
        return self.pixels + self.mask * perturbation

    def protected(self, perturbation: Tensor) -> Tensor:
        """Add the feathered perturbation in whole levels: u8 [S, S, 3], never further than epsilon from the face."""
        # Rounding may reach past an epsilon that is no whole number; resampling, a weighted mean, never past its input.
        bound = torch.floor(self.epsilon)
        change = torch.minimum(torch.maximum(self.mask * perturbation, -bound), bound)
        grid, side = change.shape[1], self.levels.shape[0]
        up = resampling_matrix(grid, side)
        columns = (change @ up.T).permute(1, 2, 0).reshape(grid, side * 3)
        return (self.levels + torch.round(up @ columns).reshape(side, side, 3)).clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Frame:
    """A part of the square: its edge, and how far its middle lies from the square's, as parts of the square's edge."""

    zoom: Tensor
    down: Tensor
    across: Tensor


@dataclass(frozen=True)
class View:
    """How a step looks at the square: matrices f32 [size, G] that resample its lines downwards and across."""

    rows: Tensor
    columns: Tensor

    def of(self, face: Tensor) -> Tensor:
        """Resample f32 [3, G, G] to the recognizer's image f32 [1, 3, size, size]."""
        return (self.rows @ face @ self.columns.T)[None]

    def back(self, gradient: Tensor) -> Tensor:
        """Carry a gradient f32 [1, 3, size, size] back to the pixels of the square, f32 [3, G, G]."""
        return self.rows.T @ gradient[0] @ self.columns


@dataclass(frozen=True)
class Move:
    """What each step does: the scalars of the graphs' inputs.

    `direction` is +1 to move towards the target and -1 to move away from it; `step_size` is in pixel levels;
    `momentum` is what remains of the earlier steps' gradients, 0 for nothing and 1 for all; `diversity` is how much the
    views differ, 0 for not at all.
    """

    direction: Tensor
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
        target: Tensor,
        direction: Tensor,
        epsilon: Tensor,
        step_size: Tensor,
        momentum: Tensor,
        diversity: Tensor,
        perceptual: Tensor,
        seed: Tensor,
        perturbation: Tensor,
        velocity: Tensor,
        iteration: Tensor,
        grid: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Attack `face` u8 [S, S, 3]; the scalars are those of `Move`, of `begin` and of `step`.

        Takes and returns perturbation and velocity, f32 [3, G, G]; `iteration` 0 begins anew in their place. `grid`,
        any tensor of the length G, stands for the edge of the steps' grid while a graph is exported.

        Returns the next of both, the face that they give, u8 [S, S, 3], and the loss that the step met.
        """
        square = self.square(face, epsilon, perceptual, grid)
        move = Move(direction, step_size, momentum, diversity)
        before, moving, draws = self.resume(square, perturbation, velocity, iteration, seed)
        after, moved, loss = self.step(square, before, moving, target, move, draws)
        return after, moved, square.protected(after), loss

    def repeated(self, steps: int, *given: Tensor) -> tuple[Tensor, Tensor]:
        """Do `steps` steps from the random start; `given` is what `forward` takes, up to the seed.

        Returns the protected face, u8 [S, S, 3], and f32 [steps], the loss that each step met: element 0 is the random
        start's, element i that after i steps. The last step's own is the recognizer's to measure, on the saved pixels.
        """
        perturbation = velocity = torch.zeros(3, 1, 1)
        losses = []
        for number in range(steps):
            perturbation, velocity, protected, loss = self(*given, perturbation, velocity, torch.tensor(number))
            losses.append(loss)
        return protected, torch.stack(losses)

    def square(self, face: Tensor, epsilon: Tensor, perceptual: Tensor, grid: Tensor | None = None) -> Square:
        """Prepare a face u8 [S, S, 3] for the steps; epsilon is in pixel levels, `perceptual` as in `contrast_mask`."""
        return Square(face, epsilon, perceptual, self.feather, None if grid is None else grid.shape[0])

    def begin(self, square: Square, seed: Tensor) -> Tensor:
        """Draw the random start f32 [3, G, G] in pixel levels, uniform in [-epsilon, epsilon] and valid pixels."""
        return square.project(random_start(seed, square.mask.shape[0]).permute(2, 0, 1) * square.epsilon)

    def resume(
        self, square: Square, perturbation: Tensor, velocity: Tensor, iteration: Tensor, seed: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `step` takes: perturbation and velocity, begun at `iteration` 0, and draws."""
        first, draws = iteration == 0, self.draws(seed)
        before = torch.where(first, self.begin(square, seed), perturbation)
        return before, torch.where(first, 0.0, velocity), draws[iteration % draws.shape[0]]

    def draws(self, seed: Tensor) -> Tensor:
        """Draw f32 [N, DRAWS] in [-1, 1) for the views; step i takes the row i modulo N."""
        # Another seed than the random start's, or the first views would depend on the first pixels.
        noise: Tensor = random_start(seed + 0x5EED, 40)
        return noise.reshape(-1, DRAWS)

    def step(
        self, square: Square, perturbation: Tensor, velocity: Tensor, target: Tensor, move: Move, draws: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One iteration; returns the next perturbation and velocity, f32 [3, G, G], and the loss before it.

        `velocity` sums the gradients so far; `target` is what the loss compares with, a label (i64 scalar) or an
        embedding (f32 [E]); `draws` f32 [DRAWS] decide the view.
        """
        view = square.view(self.size, draws, move.diversity)
        gradient, loss = self.gradient(view.of(square.face(perturbation)), target)
        perturbation, velocity = self.advance(square, perturbation, velocity, view.back(gradient), move)
        return perturbation, velocity, loss

    def advance(
        self, square: Square, perturbation: Tensor, velocity: Tensor, gradient: Tensor, move: Move
    ) -> tuple[Tensor, Tensor]:
        """Take a gradient f32 [3, G, G] into the velocity, and go one step along its sign; returns both."""
        # The mask only scales the gradient, so its sign needs none.
        velocity = move.momentum * velocity + of_unit_size(gradient)
        return square.project(perturbation - move.direction * move.step_size * torch.sign(velocity)), velocity
