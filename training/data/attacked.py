"""Attacked faces: photos and morphs after an attack on the teachers, for the teachers to describe anew.

A student that sees photos alone agrees with its teachers on photos, but its gradient is its own: what moves the student
moves no other recognizer. So it is also shown where the teachers' answers go when a face changes in the way that
matters most to them (substitute training, Papernot et al. 2017, arXiv:1602.02697). What such changes touch is what
recognizers have in common (Ilyas et al. 2019, arXiv:1905.02175).

And a recognizer that has learned already is shown what the teachers say where its own gradient leads: they moved less
than it did, and it learns not to go where they do not follow.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from torch import Tensor

from ..checkpoint import load_checkpoint, normalize
from ..distill.aligned import AlignedRecognizer
from ..distill.onnx_network import CPU
from ..distill.teacher import Teacher, batch_size, describe
from .cutting import cut_scale
from .faces import FaceSet, cache_folder, digest, read_cache, write_cache

# The attack: momentum and a random view in each of its steps, budgets in levels drawn evenly from a range.
STEPS, STEP_SHARE, EPSILONS = 3, 0.6, (3.0, 12.0)


class Student(Teacher):
    """A checkpoint's recognizer in a teacher's place: it sees the middle of each cut, wherever the keypoints are."""

    def __init__(self, checkpoint: Path, edge: int, bf16: bool, device: torch.device = CPU) -> None:
        """Read it onto a device, for cuts of `edge` pixels; `bf16` for mixed precision. Raises `CheckpointError`."""
        model, description = load_checkpoint(checkpoint)
        model = model.requires_grad_(False).to(device).to(memory_format=torch.channels_last)
        self.network = lambda image: model(normalize(image / 255, description))
        self.size, self.bf16, self.device = description.input_size, bf16, device
        scale = cut_scale(description.crop_margin) * edge / self.size
        begin = (edge - scale * self.size) / 2
        self.middle = torch.tensor([[scale, 0, begin], [0, scale, begin]], device=device)

    def maps(self, keypoints: npt.NDArray[np.float32]) -> Tensor:
        """Return the map f32 [B, 2, 3] from its input's pixels to those of cuts, the same for all of them."""
        return self.middle.expand(len(keypoints), 2, 3)


def load_attacked(
    sets: Sequence[FaceSet],
    count: int,
    recognizers: Sequence[AlignedRecognizer],
    cache: Path,
    seed: int,
    *,
    student: Path | None = None,
    share: float = 0.0,
    bf16: bool = False,
    device: torch.device = CPU,
) -> FaceSet:
    """Attack and cache `count` faces of the sets, each of which the teachers have seen, without names.

    A `share` of them, in [0, 1], is attacked through the recognizer of a checkpoint, the `student`. Raises
    `RecognizerError` for a teacher without a gradient, `CheckpointError`.
    """
    facts = [
        "attacked",
        count,
        seed,
        bf16,
        [faces.key for faces in sets],
        *([digest(student), share] if student else []),
    ]
    folder = cache_folder(cache, [*facts, *(recognizer.digest for recognizer in recognizers)])
    if not (folder / "names.json").exists():
        teachers = [Teacher(each, bf16, device) for each in recognizers]
        learning = Student(student, sets[0].faces.shape[1], bf16, device) if student else None
        write_cache(folder, _make(sets, count, teachers, learning, share, seed))
    return read_cache(folder)


def _make(
    sets: Sequence[FaceSet], count: int, teachers: Sequence[Teacher], student: Student | None, share: float, seed: int
) -> FaceSet:
    random, device = np.random.default_rng(seed), teachers[0].device
    size = batch_size(device)
    cuts = [each for faces in sets for each in faces.faces]
    keypoints = np.concatenate([faces.keypoints for faces in sets])
    embeddings = torch.from_numpy(np.concatenate([faces.teacher for faces in sets if faces.teacher is not None]))
    order = random.permutation(len(cuts))[:count]
    attacked = []
    for batch, start in enumerate(track(range(0, len(order), size), f"attacking {len(order)} faces")):
        numbers = order[start : start + size]
        points = keypoints[numbers]
        faces = torch.from_numpy(np.stack([cuts[i] for i in numbers])).to(device).permute(0, 3, 1, 2).float()
        # Half of them move away from what they are, half towards somebody else.
        away = torch.from_numpy(random.random(len(numbers)) < 0.5).to(device)
        others = random.integers(0, len(cuts), len(numbers))
        goal = torch.where(away[:, None], embeddings[numbers].to(device), embeddings[others].to(device))
        # One teacher alone, or all of them: their directions differ.
        which = int(random.integers(0, len(teachers) + 1))
        dimensions = [teacher.dimensions for teacher in teachers]
        goals = dict(zip(teachers, goal.split_with_sizes(dimensions, 1), strict=True))
        if which < len(teachers):
            goals = {teachers[which]: goals[teachers[which]]}
        if student and int((batch + 1) * share) > int(batch * share):
            with torch.no_grad():
                embedding = student.embed(faces, student.maps(points))
            goals = {student: torch.where(away[:, None], embedding, embedding.roll(1, 0))}
        generator = torch.Generator(device).manual_seed(int(random.integers(2**31)))
        pixels = attack(faces, points, goals, away, generator)
        attacked.append(pixels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
    cuts_attacked, points = np.concatenate(attacked), keypoints[order]
    return FaceSet(cuts_attacked, [""] * len(order), points, describe(teachers, cuts_attacked, points))


def attack(
    faces: Tensor,
    keypoints: npt.NDArray[np.float32],
    goals: dict[Teacher, Tensor],
    away: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Move cuts f32 [B, 3, C, C] by a few sign steps with momentum; returns them in whole levels, in [0, 255].

    `goals` holds for each teacher whose gradient counts an embedding f32 [B, D] of each face, whose length does not
    count. `away` bool [B] says which faces move away from it, the others move towards it. All are on one device, and so
    is the `generator`.
    """

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=faces.device)

    low, high = EPSILONS
    epsilon = (low + (high - low) * draw(len(faces))).view(-1, 1, 1, 1)
    direction = torch.where(away, -1.0, 1.0)
    delta = epsilon * (2 * draw(*faces.shape) - 1)
    momentum_buffer = torch.zeros_like(faces)
    maps = {teacher: teacher.maps(keypoints) for teacher in goals}
    for _ in range(STEPS):
        view = 2 * draw(len(faces), 4) - 1
        attacked = (faces + delta).clamp(0, 255).requires_grad_()
        for teacher, goal in goals.items():
            similarity = (teacher.embed(attacked, maps[teacher], view) * goal).sum(1)
            gradient = torch.autograd.grad((direction * similarity).sum(), attacked)[0]
            momentum_buffer += gradient / gradient.abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-30)
        step = STEP_SHARE * epsilon * momentum_buffer.sign()
        delta = torch.minimum(torch.maximum(delta + step, -epsilon), epsilon)
    return (faces + delta.round()).clamp(0, 255)
