"""What decides a run, and the sets of faces that it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .data.attacked import load_attacked
from .data.cutting import cut_size
from .data.faces import FaceSet, load_faces
from .data.layouts import DataError, Photo, list_data, read_list, split_validation
from .data.morph import load_morphs
from .distill.aligned import read_recognizers
from .distill.onnx_network import CPU
from .recipe import Recipe


@dataclass
class Config:
    """A run's recipe, data and places.

    `pairs` lists photos of people ("probe gallery" a line) who are kept out of training and on whom the thresholds are
    set. A recipe that distills needs a `teacher`, and learns from all other photos below `data` that are in no list,
    without their identities. `init` is a checkpoint to start from, `imagenet` torchvision's ResNet-18 weights or
    `DOWNLOAD` (see `load_backbone`). With `tensorboard` its event files go into a folder beside `out`, of the same name
    without a suffix. The checkpoint calls the data `data_name`, or as their folder is called.
    """

    data: Path
    recipe: Recipe
    train_list: Path | None = None
    test_list: Path | None = None
    pairs: Path | None = None
    detector: Path = Path("artifacts/detector.onnx")
    teacher: Path | None = None
    init: Path | None = None
    imagenet: Path | None = None
    data_name: str | None = None
    out: Path = Path("runs/recognizer.safetensors")
    cache: Path = Path("cache")
    seed: int = 0
    bf16: bool = False
    tensorboard: bool = False

    def summary(self) -> dict[str, Any]:
        """Return all that decides the result, the recipe among it, as JSON types; files by their names."""
        values = vars(self) | vars(self.recipe)
        for key in ("out", "cache", "recipe", "tensorboard", "data_name"):
            del values[key]
        return {key: value.name if isinstance(value, Path) else value for key, value in values.items()}


@dataclass
class Data:
    """The sets of faces of a run: `validation` chooses the checkpoint, `test` is read once, at the end.

    `held_out` are of identities that nobody learns from; `extra`, `morphs` and `attacked` are for the teachers alone.
    """

    train: FaceSet
    validation: FaceSet | None
    test: FaceSet | None
    held_out: FaceSet | None
    extra: FaceSet | None
    morphs: FaceSet | None
    attacked: FaceSet | None


@dataclass
class _Lists:
    train: list[Photo]
    validation: list[Photo]
    test: list[Photo]
    extra: list[Photo]
    held_out: list[Photo]


def load_data(config: Config, device: torch.device = CPU) -> Data:
    """Cut and cache all faces that a run needs; the teachers see them on `device`.

    Raises `DataError`, `RecognizerError` or `CheckpointError`.
    """
    lists, recipe = _list_photos(config), config.recipe
    size = cut_size(recipe.input_size, recipe.crop_margin)
    teachers = list(read_recognizers(config.teacher).values()) if config.teacher and recipe.distilled else []

    def load(photos: Sequence[Photo], *, learn: bool = False) -> FaceSet:
        # A photo that leaves open whom it shows would teach a wrong name; one to be tested on counts in any case.
        folders, seen_by = (config.detector, config.cache), teachers if learn else []
        return load_faces(config.data, photos, *folders, size, seen_by, alone=learn, bf16=config.bf16, device=device)

    train = load(lists.train, learn=True)
    extra = load(lists.extra, learn=True) if lists.extra else None
    sets = [train, *([extra] if extra else [])]
    options = (teachers, config.cache, config.seed)
    morphs = attacked = None
    if recipe.distilled and recipe.morphs:
        morphs = load_morphs(sets, recipe.morphs, *options, bf16=config.bf16, device=device)
        sets.append(morphs)
    if recipe.distilled and recipe.attacked:
        student = config.init if recipe.self_attacked else None
        attacked = load_attacked(
            sets,
            recipe.attacked,
            *options,
            student=student,
            share=recipe.self_attacked,
            bf16=config.bf16,
            device=device,
        )
    validation, test, held_out = (
        load(photos) if photos else None for photos in (lists.validation, lists.test, lists.held_out)
    )
    return Data(train, validation, test, held_out, extra, morphs, attacked)


def _list_photos(config: Config) -> _Lists:
    """Return a run's photos, after all that can be said of them before a face is cut. Raises `DataError`."""
    recipe = config.recipe
    if (recipe.average or recipe.self_attacked) and not config.init:
        raise DataError("this recipe makes use of the weights that it begins with: name a checkpoint with --init")
    if recipe.distilled and not config.teacher:
        raise DataError("this recipe learns from a teacher: name one with --teacher, or choose --recipe study")
    photos = list_data(config.data, config.train_list, config.test_list)
    held_out = read_list(config.pairs, config.data) if config.pairs else []
    names = {photo.name for photo in [*photos.train, *photos.test]}
    held_out_names = {photo.name for photo in held_out}
    if both := sorted(names & held_out_names):
        raise DataError(f"{config.pairs}: shows {both[0]}, who is trained on; the pairs must be of other people")
    if len({photo.name for photo in held_out or photos.test}) < 2:
        where = config.pairs or "the test photos (every fourth of a person, or --test-list)"
        raise DataError(
            f"{where}: thresholds need photos of two people at least; add photos, or give others by --pairs"
        )
    listed = names | held_out_names
    extra = [photo for photo in photos.everything if photo.name not in listed] if recipe.distilled else []
    return _Lists(*split_validation(photos.train), photos.test, extra, held_out)
