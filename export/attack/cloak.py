"""The cloak: a change of one face that the eye pays little for, away from what recognizers see in it.

Each step asks the recognizers for a gradient through another view of the face, bent a little, and goes along it in
proportion to what that gains for what it costs in structural similarity; a budget bounds the cost of all steps
together, a clamp the change of each level. Momentum sums the gradients (Dong et al. 2018, MI-FGSM, arXiv:1710.06081).
Of several recognizers (surrogates; Liu et al. 2017, arXiv:1611.02770) each step asks one, which sees the face
aligned as it was trained: what another architecture adds, at the price of one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .face_mask import UPRIGHT, face_mask, have_shape
from .noise import random_start
from .views import DRAWS, all_draws, draw_view, enlarge, normalize_mean_abs, shrink
from .visible_budget import cost_of_change, mix_colours, scale_to_budget, smoothing_matrix
from .warp import DRAWS as WARP_DRAWS
from .warp import Similarity, bicubic_weights, draw_warp, fit_similarity

KEYPOINTS = 4  # of the detector's six: the eyes, the nose tip and the middle of the mouth
# The steps work on a grid of so many pixels each way, whatever the size of the face.
GRID = 112
# From these levels on a pixel of the grid is black or white.
BLACK, WHITE = 1e-2, 255 - 1e-2
# What remains of the earlier steps' gradients, and the random start in levels.
MOMENTUM, START = 0.7, 2.0
# Of the views of recognizers that see the face aligned: they never see it much shifted or zoomed.
ALIGNED_DIVERSITY = 0.5
# A step goes this part of the budget's radius times K to this power, at most all of it, for K steps in all; the first
# step so many times as far, the last so many times, and those between them in even stages.
STRIDE, SLOWING = 1.7, -0.63
FIRST_STRIDE, LAST_STRIDE = 2.0, 0.2
# How often the others are asked for each time that ours, the last, is: what they find carries further.
OTHERS_FIRST = 2


def turns_of(sources: int) -> list[int]:
    """Return the numbers of the sources in the order of the steps of a round, ours last."""
    return [*range(sources - 1)] * OTHERS_FIRST + [sources - 1]


@dataclass(frozen=True)
class Source:
    """A recognizer as a source of gradients.

    `gradient` takes an image f32 [1, 3, size, size] in levels and a reference f32 [dimensions], and returns the
    gradient of one minus their similarity, that loss, and the embedding f32 [dimensions]. `template` f32 [4, 2] says
    where the recognizer wants eyes, nose and mouth, as parts of its image's edge; None for one that sees the whole
    square.
    """

    gradient: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    size: int
    dimensions: int
    template: Tensor | None = None

    def frame(self, keypoints: Tensor) -> Similarity | None:
        """Return where the recognizer's image lies in a square with `keypoints` f32 [6, 2], parts of its edge."""
        if self.template is None:
            return None
        points = torch.where(have_shape(keypoints), keypoints, UPRIGHT)[:KEYPOINTS]
        return fit_similarity(2 * self.template - 1, 2 * points - 1)


class FaceGrid:
    """A face on the grid of the steps: what follows from its pixels there, and from where it lies in its square."""

    def __init__(self, pixels: Tensor, keypoints: Tensor, side: Tensor, clamp: Tensor) -> None:
        """Take `pixels` f32 [3, G, G]; `keypoints` f32 [6, 2] and `side`, i64, in the photo's; the clamp in levels."""
        self.pixels = pixels
        self.keypoints = keypoints / side
        self.mask = face_mask(self.keypoints, GRID)
        self.cost = cost_of_change(pixels)
        self.colours = mix_colours(pixels)
        self.smoothing = smoothing_matrix(side, GRID)
        self.lowest = torch.maximum(-clamp, -pixels)
        self.highest = torch.minimum(clamp, 255 - pixels)

    def start(self, seed: Tensor) -> Tensor:
        """Draw the random start f32 [3, G, G] in levels, uniform in +-`START` inside the mask; grey if the face is."""
        noise = random_start(seed, GRID).permute(2, 0, 1) * START
        return self.limit(self.mask * self.mixed(noise))

    def mixed(self, change: Tensor) -> Tensor:
        """Make the colour of f32 [3, G, G] dearer."""
        return (self.colours @ change.reshape(3, -1)).reshape(change.shape)

    def direction(self, momentum_buffer: Tensor) -> Tensor:
        """Return where f32 [3, G, G] gains most for its cost, smooth and inside the mask."""
        best = self.mixed(momentum_buffer / self.cost)
        return self.mask * (self.smoothing @ best @ self.smoothing.T)

    def open(self, perturbation: Tensor, direction: Tensor) -> Tensor:
        """Return f32 [3, G, G] without what leads beyond black and white, so that no part of the budget is lost."""
        changed = self.pixels + perturbation
        return torch.where(changed < WHITE, direction.relu(), 0.0) - torch.where(
            changed > BLACK, (-direction).relu(), 0.0
        )

    def limit(self, perturbation: Tensor) -> Tensor:
        """Clamp f32 [3, G, G] to the clamp and to valid pixels."""
        return torch.minimum(torch.maximum(perturbation, self.lowest), self.highest)


class CloakBegin(nn.Module):
    """What the steps need of a face's pixels, whatever its size."""

    def forward(self, face: Tensor) -> Tensor:
        """Resample `face` u8 [S, S, 3] to the steps' grid: f32 [3, G, G] in levels."""
        return shrink(face.float(), GRID)


class CloakStep(nn.Module):
    """One step, or a round of them, away from what sources see in a face, or in several photos of the person."""

    def __init__(self, sources: Sequence[Source], turns: Sequence[int] = (0,)) -> None:
        """Take all sources, and the numbers of those that the steps ask."""
        super().__init__()
        self.sources, self.turns = sources, turns
        self.weights = {source.size: bicubic_weights(source.size) for source in sources}

    def forward(
        self,
        pixels: Tensor,
        side: Tensor,
        keypoints: Tensor,
        reference: Tensor,
        budget: Tensor,
        clamp: Tensor,
        seed: Tensor,
        steps: Tensor,
        perturbation: Tensor,
        momentum_buffer: Tensor,
        iteration: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take the step, or the round, of number `iteration`, out of `steps` steps (i64 scalars).

        `pixels` f32 [3, G, G] are what `CloakBegin` made of a square of `side` pixels each way, an i64 scalar, and
        `keypoints` f32 [6, 2] the detector's, in pixels of the square. `reference` f32 [D] holds the embeddings of the
        face by all sources, one behind the other, or their mean over photos of the person. `budget` bounds the mean
        cost, about 1 - SSIM of the square, and `clamp` the change of each level.

        Takes and returns perturbation and momentum buffer, f32 [3, G, G]; iteration 0 begins anew from `seed` in their
        place. Returns besides the loss that the step met, one minus the similarity for its source; of a round the
        losses, f32 [turns].
        """
        grid, draws = FaceGrid(pixels, keypoints, side, clamp), all_draws(seed, DRAWS + WARP_DRAWS)
        perturbation = torch.where(iteration == 0, grid.start(seed), perturbation)
        buffer = torch.where(iteration == 0, 0.0, momentum_buffer)
        losses = []
        for position, turn in enumerate(self.turns):
            number = iteration * len(self.turns) + position
            gradient, loss = self.gradient(turn, grid, perturbation, reference, draws[number % draws.shape[0]])
            buffer = MOMENTUM * buffer + normalize_mean_abs(gradient)
            perturbation = self.advance(grid, perturbation, buffer, budget, stride(number, steps))
            losses.append(loss)
        return perturbation, buffer, losses[0] if len(losses) == 1 else torch.stack(losses)

    def gradient(
        self, turn: int, grid: FaceGrid, perturbation: Tensor, reference: Tensor, draws: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the gradient of the source whose turn it is, f32 [3, G, G], and its loss."""
        source = self.sources[turn]
        begin = sum(each.dimensions for each in self.sources[:turn])
        part = F.normalize(reference[begin : begin + source.dimensions], dim=0)
        # Aligned recognizers never see a face mirrored, and where they look for its parts is not mirrored either.
        aligned = source.template is not None
        view = draw_view(GRID, GRID, draws[:DRAWS], ALIGNED_DIVERSITY if aligned else 1.0, mirrored=not aligned)
        warp = draw_warp(self.weights[source.size], draws[DRAWS:], GRID, source.frame(grid.keypoints))
        gradient, loss, _ = source.gradient(warp.of(view.of(grid.pixels + perturbation)), part)
        return view.back(warp.undo(gradient)), loss

    def advance(
        self, grid: FaceGrid, perturbation: Tensor, momentum_buffer: Tensor, budget: Tensor, stride: Tensor
    ) -> Tensor:
        """Go a step up the loss, `stride` of the budget's radius, and back to the budget and the clamp."""
        direction = grid.open(perturbation, grid.direction(momentum_buffer))
        step = scale_to_budget(direction, grid.cost, budget, enlarge=True)
        # The clamp comes last: scaled down after it, no peak would reach it again, and peaks protect best.
        return grid.limit(scale_to_budget(perturbation + stride * step, grid.cost, budget, enlarge=False))


def stride(number: Tensor, steps: Tensor) -> Tensor:
    """Return how far step `number` of `steps` goes, as part of the budget's radius: far first, then less and less.

    Long steps find where to go, short ones take back what a single view of the face asked for.
    """
    done = (number.float() / (steps - 1).clamp(min=1)).clamp(max=1.0)  # a round may end after the last step planned
    length = FIRST_STRIDE + (LAST_STRIDE - FIRST_STRIDE) * done
    return (length * STRIDE * steps.float().pow(SLOWING)).clamp(max=1.0)


class CloakEnd(nn.Module):
    """What the steps found, carried to the photo's pixels."""

    def forward(self, face: Tensor, perturbation: Tensor, clamp: Tensor) -> Tensor:
        """Add `perturbation` f32 [3, G, G] to `face` u8 [S, S, 3] in whole levels, none beyond `clamp`."""
        # Rounding may reach past a clamp that is no whole number; resampling, a weighted mean, never past its input.
        bound = torch.floor(clamp)
        change = enlarge(torch.minimum(torch.maximum(perturbation, -bound), bound), face.shape[0])
        return (face.float() + torch.round(change)).clamp(0, 255).to(torch.uint8)


class Cloak(nn.Module):
    """A step, or a round, between begin and end: from the photo's pixels to the photo's pixels."""

    def __init__(self, sources: Sequence[Source], turns: Sequence[int] = (0,)) -> None:
        """Take what `CloakStep` takes."""
        super().__init__()
        self.begin, self.step, self.end = CloakBegin(), CloakStep(sources, turns), CloakEnd()

    def forward(
        self,
        face: Tensor,
        keypoints: Tensor,
        reference: Tensor,
        budget: Tensor,
        clamp: Tensor,
        seed: Tensor,
        steps: Tensor,
        perturbation: Tensor,
        momentum_buffer: Tensor,
        iteration: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Take and return what `CloakStep` does, but for `face` u8 [S, S, 3] in, and protected out, before the loss."""
        given = (keypoints, reference, budget, clamp, seed, steps, perturbation, momentum_buffer, iteration)
        perturbation, buffer, loss = self.step(self.begin(face), side_of(face), *given)
        return perturbation, buffer, self.end(face, perturbation, clamp), loss


def side_of(face: Tensor) -> Tensor:
    """Return the side of `face` u8 [S, S, 3], i64."""
    return torch.full((), face.shape[0], dtype=torch.int64)


def cloak_in_turn(sources: Sequence[Source], steps: int, face: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
    """Do `steps` steps by the sources in the order of `turns_of`; `given` is what `Cloak` takes, up to the seed.

    Returns the protected face, u8 [S, S, 3], and f32 [steps], the loss that each step met: element 0 is the random
    start's for the first source. What the last step reached is the recognizers' to measure, on the saved pixels.
    """
    pixels, side, clamp = CloakBegin()(face), side_of(face), given[3]
    perturbation = buffer = torch.zeros(3, GRID, GRID)
    losses, turns = [], turns_of(len(sources))
    for number in range(steps):
        state = (torch.tensor(steps), perturbation, buffer, torch.tensor(number))
        step = CloakStep(sources, [turns[number % len(turns)]])
        perturbation, buffer, loss = step(pixels, side, *given, *state)
        losses.append(loss)
    return CloakEnd()(face, perturbation, clamp), torch.stack(losses)


class CloakReference(nn.Module):
    """What the sources see in a face that nothing was done to."""

    def __init__(self, sources: Sequence[Source]) -> None:
        """Take the sources."""
        super().__init__()
        self.sources = sources
        self.weights = {source.size: bicubic_weights(source.size) for source in sources}

    def forward(self, face: Tensor, keypoints: Tensor) -> Tensor:
        """Embed `face` u8 [S, S, 3] with `keypoints` as in `Cloak`; returns the sources' embeddings, f32 [D]."""
        pixels, points, embeddings = shrink(face.float(), GRID), keypoints / face.shape[0], []
        for source in self.sources:
            warp = draw_warp(self.weights[source.size], torch.zeros(WARP_DRAWS), GRID, source.frame(points))
            embeddings.append(source.gradient(warp.of(pixels[None]), torch.zeros(source.dimensions))[2])
        return torch.cat(embeddings)
