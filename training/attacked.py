"""Attacked faces: photos and morphs after an attack on the teachers, for the teachers to describe anew.

A student that sees photos alone agrees with its teachers on photos, but its gradient is its own: what moves the student
moves no other recognizer. So it is also shown where the teachers' answers go when a face changes in the way that
matters most to them (substitute training, Papernot et al. 2017, arXiv:1602.02697). What such changes touch is what
recognizers have in common (Ilyas et al. 2019, arXiv:1905.02175).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from torch import Tensor

from face_encryption.training.aligned import AlignedRecognizer
from face_encryption.training.faces import FaceSet, cache_folder, read_cache, write_cache
from face_encryption.training.teacher import Teacher, describe

# The attack: momentum and a random view in each of its steps, budgets in levels drawn evenly from a range.
STEPS, STEP_SHARE, EPSILONS = 3, 0.6, (3.0, 12.0)
BATCH = 64


def load_attacked(
    sets: Sequence[FaceSet],
    count: int,
    recognizers: Sequence[AlignedRecognizer],
    cache: Path,
    seed: int,
    *,
    bf16: bool = False,
) -> FaceSet:
    """Attack and cache `count` faces of the sets, each of which the teachers have seen, without names.

    Raises `RecognizerError` for a teacher without a gradient.
    """
    facts = ["attacked", count, seed, bf16, [faces.key for faces in sets]]
    folder = cache_folder(cache, [*facts, *(recognizer.digest for recognizer in recognizers)])
    if not (folder / "names.json").exists():
        write_cache(folder, _make(sets, count, [Teacher(each, bf16) for each in recognizers], seed))
    return read_cache(folder)


def _make(sets: Sequence[FaceSet], count: int, teachers: Sequence[Teacher], seed: int) -> FaceSet:
    random = np.random.default_rng(seed)
    cuts = [each for faces in sets for each in faces.faces]
    keypoints = np.concatenate([faces.keypoints for faces in sets])
    seen = torch.from_numpy(np.concatenate([faces.teacher for faces in sets if faces.teacher is not None]))
    order = random.permutation(len(cuts))[:count]
    attacked = []
    for number in track(range(0, len(order), BATCH), f"attacking {len(order)} faces"):
        picked = order[number : number + BATCH]
        faces = torch.from_numpy(np.stack([cuts[i] for i in picked])).permute(0, 3, 1, 2).float()
        # Half of them move away from what they are, half towards somebody else.
        away = torch.from_numpy(random.random(len(picked)) < 0.5)
        goal = torch.where(away[:, None], seen[picked], seen[random.integers(0, len(cuts), len(picked))])
        # One teacher alone, or all of them: their directions differ.
        chosen = int(random.integers(0, len(teachers) + 1))
        attackers = teachers if chosen == len(teachers) else [teachers[chosen]]
        generator = torch.Generator().manual_seed(int(random.integers(2**31)))
        changed = attack(faces, keypoints[picked], teachers, attackers, goal, away, generator)
        attacked.append(changed.to(torch.uint8).permute(0, 2, 3, 1).numpy())
    made, points = np.concatenate(attacked), keypoints[order]
    return FaceSet(made, [""] * len(order), points, describe(teachers, made, points))


def attack(
    faces: Tensor,
    keypoints: npt.NDArray[np.float32],
    teachers: Sequence[Teacher],
    attackers: Sequence[Teacher],
    goal: Tensor,
    away: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Move cuts f32 [B, 3, C, C] by a few sign steps with momentum; returns them in whole levels, in [0, 255].

    `goal` f32 [B, D] is what all `teachers` together say, as `describe` returns it; `away` bool [B] says which faces
    move away from it, the others move towards it. `attackers` are the teachers whose gradients count.
    """
    low, high = EPSILONS
    epsilon = (low + (high - low) * torch.rand(len(faces), generator=generator)).view(-1, 1, 1, 1)
    direction = torch.where(away, -1.0, 1.0)
    change = epsilon * (2 * torch.rand(faces.shape, generator=generator) - 1)
    velocity = torch.zeros_like(faces)
    maps = {teacher: teacher.maps(keypoints) for teacher in attackers}
    parts = goal.split_with_sizes([teacher.dimensions for teacher in teachers], 1)
    for _ in range(STEPS):
        view = 2 * torch.rand(len(faces), 4, generator=generator) - 1
        seen = (faces + change).clamp(0, 255).requires_grad_()
        for teacher, part in zip(teachers, parts, strict=True):
            if teacher in maps:
                similarity = (teacher.embed(seen, maps[teacher], view) * part).sum(1)
                gradient = torch.autograd.grad((direction * similarity).sum(), seen)[0]
                velocity = velocity + gradient / gradient.abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-30)
        step = STEP_SHARE * epsilon * velocity.sign()
        change = torch.minimum(torch.maximum(change + step, -epsilon), epsilon)
    return (faces + change.round()).clamp(0, 255)
