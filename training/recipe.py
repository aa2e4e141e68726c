"""How a recognizer is trained, as a TOML file: `recipes/` holds those that are known by name."""

import tomllib
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from .model import SMALLEST_INPUT

RECIPES = Path(str(files("face_encryption.training"))) / "recipes"


class RecipeError(ValueError):
    """A recipe that cannot be read, or that asks for what does not exist."""


@dataclass(frozen=True)
class Phase:
    """Some epochs of one kind. The losses with a weight above 0 count; without a teacher's, only labelled faces do.

    `cosine` weighs 1 - similarity to the teacher's embedding, `relational` the agreement with the teacher on which
    faces are similar (see `distill.py`), `identity` the cross-entropy of the identities. `input_size` is in pixels.

    `margin`, 0 to below 1, makes identities harder: so much is first taken off the cosine to the right one (CosFace,
    Wang et al. 2018, arXiv:1801.09414, which takes 0.35). ArcFace's margin is an angle, whose gradient grows without
    limit where an embedding meets its identity, and which needs another rule beyond 180 degrees; this needs neither.
    """

    epochs: int
    input_size: int
    learning_rate: float
    cosine: float = 0.0
    relational: float = 0.0
    identity: float = 0.0
    margin: float = 0.0

    @property
    def taught(self) -> bool:
        """Whether a teacher is needed."""
        return bool(self.cosine or self.relational)


@dataclass(frozen=True)
class Recipe:
    """All that decides a training run beside its data and seed.

    `input_size` (pixels) and `crop_margin` (parts of the longer box edge, on each side) are what the finished
    recognizer takes. `rotation` (degrees), `zoom`, `shift` (parts of the square's edge) and `light` (parts of the full
    range) limit the random views; `degrade` is the share of views that are blurred or compressed. `morphs` is how many
    morphs are made (see `morph.py`), and `attacked` how many of the photos and morphs are attacked (see `attacked.py`);
    an epoch of a taught phase draws as many of either as there are photos, if it can. `self_attacked`, 0 to 1, is the
    share of the attacked ones that are attacked through the checkpoint that a run starts from instead of the teachers.
    `average`, 0 to below 1, is the part of that checkpoint's weights in the result: the mean of two of which one
    descends from the other recognises better than either, and as a surrogate carries further (model soups, Wortsman et
    al. 2022, arXiv:2203.05482). `muon` above 0 has Muon move the layers' weights (see `muon.py`), at so many times the
    learning rate of the rest; otherwise AdamW moves everything.
    """

    phases: tuple[Phase, ...]
    input_size: int
    crop_margin: float
    rotation: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    light: float = 0.0
    degrade: float = 0.0
    morphs: int = 0
    attacked: int = 0
    self_attacked: float = 0.0
    batch: int = 64
    weight_decay: float = 0.05
    muon: float = 0.0
    average: float = 0.0

    @property
    def taught(self) -> bool:
        """Whether any phase needs a teacher."""
        return any(phase.taught for phase in self.phases)

    def summary(self) -> dict[str, Any]:
        """Return the recipe as JSON types."""
        return asdict(self)


def load_recipe(name: str) -> Recipe:
    """Read a recipe by its name ("distilled", "gpu", "again", "study") or the path of a TOML file of the same form.

    Raises `RecipeError` for a missing or broken file, an unknown or missing key, and numbers out of range.
    """
    path = RECIPES / f"{name}.toml"
    path = path if path.is_file() else Path(name)
    try:
        raw = tomllib.loads(path.read_text())
        recipe = Recipe(tuple(Phase(**phase) for phase in raw.pop("phase", [])), **raw)
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
        raise RecipeError(f"{name}: neither a recipe ({known}) nor a readable file ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        raise RecipeError(f"{path}: {str(error).replace('__init__() ', '')}") from None
    if message := _mistake(recipe):
        raise RecipeError(f"{path}: {message}")
    return recipe


def _mistake(recipe: Recipe) -> str | None:
    for part in (recipe, *recipe.phases):
        for name, value in vars(part).items():
            if name != "phases" and (not isinstance(value, int | float) or value < 0):
                return f"{name} is {value!r}; it must be a number from 0 on"
    if not recipe.phases:
        return "there is no [[phase]]"
    if recipe.batch < 2:
        return "batch is below 2"
    if recipe.average >= 1:
        return f"average is {recipe.average!r}; it must be below 1"
    if recipe.self_attacked > 1:
        return f"self_attacked is {recipe.self_attacked!r}; it must be at most 1"
    for phase in recipe.phases:
        if not (isinstance(phase.epochs, int) and phase.epochs > 0):
            return f"epochs is {phase.epochs!r}; it must be a whole number above 0"
        if not phase.taught and not phase.identity:
            return "a phase needs a loss: cosine, relational or identity"
        if phase.margin >= 1:
            return f"margin is {phase.margin!r}; it must be below 1"
        if phase.margin and not phase.identity:
            return "margin belongs to the identity loss, which this phase has not"
    for size in (recipe.input_size, *(phase.input_size for phase in recipe.phases)):
        if not (isinstance(size, int) and SMALLEST_INPUT <= size <= 512):
            return f"input_size is {size!r}; it is a whole number from {SMALLEST_INPUT} to 512"
    return None
