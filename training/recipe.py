"""How a recognizer is trained, as a TOML file: `recipes/` holds those that are known by name."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from .model import SMALLEST_INPUT

RECIPES = Path(str(files("face_encryption.training"))) / "recipes"


class RecipeError(ValueError):
    """A recipe that cannot be read, or that asks for what does not exist."""


@dataclass(frozen=True)
class Recipe:
    """All that decides a training run beside its data and seed.

    Attributes:
        input_size: edge of the recognizer's input in pixels.
        crop_margin: what the square cut adds on each side, in parts of the longer edge of the face's box.
        epochs, batch: how often each photo is seen, and how many faces a step sees.
        learning_rate: its peak; it rises over the first steps and falls to zero.
        cosine, relational, identity: weights of the losses: 1 - similarity to the teachers' embedding, agreement with
            the teachers on which faces are similar (see `distill/losses.py`), and cross-entropy of the identities.
        rotation: limit of the random views in degrees.
        zoom, shift: the same, in parts of the square's edge.
        light: the same for brightness and contrast, in parts of the full range.
        degrade: share of the views that are blurred or compressed.
        morphs: how many morphs are made (see `data/morph.py`).
        attacked: how many of the photos and morphs are attacked (see `data/attacked.py`). An epoch of distillation
            draws as many morphs and attacked faces each as there are photos, if it can.
        self_attacked: share of them, 0 to 1, attacked through the checkpoint that a run starts from, not the teachers.
        weight_decay: of the optimizers.
        muon: above 0, Muon moves the layers' weights (see `muon.py`) at so many times the learning rate of the rest;
            otherwise AdamW moves everything.
        average: 0 to below 1, the part of the initial checkpoint's weights in the result. The mean of two of which one
            descends from the other recognizes better than either, and as a surrogate carries further (model soups,
            Wortsman et al. 2022, arXiv:2203.05482).
    """

    input_size: int
    crop_margin: float
    epochs: int
    learning_rate: float
    cosine: float = 0.0
    relational: float = 0.0
    identity: float = 0.0
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
    def distilled(self) -> bool:
        """Whether a teacher is needed."""
        return bool(self.cosine or self.relational)


def load_recipe(name: str) -> Recipe:
    """Read a recipe by its name ("distilled", "gpu", "again", "study") or the path of a TOML file of the same form.

    Raises `RecipeError` for a missing or broken file, an unknown or missing key, and numbers out of range.
    """
    path = RECIPES / f"{name}.toml"
    path = path if path.is_file() else Path(name)
    try:
        recipe = Recipe(**tomllib.loads(path.read_text()))
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
        raise RecipeError(f"{name}: neither a recipe ({known}) nor a readable file ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        raise RecipeError(f"{path}: {str(error).replace('Recipe.__init__() ', '')}") from None
    if message := _mistake(recipe):
        raise RecipeError(f"{path}: {message}")
    return recipe


def _mistake(recipe: Recipe) -> str | None:
    for name, value in vars(recipe).items():
        if not isinstance(value, int | float) or value < 0:
            return f"{name} is {value!r}; it must be a number from 0 on"
    if recipe.batch < 2:
        return "batch is below 2"
    if recipe.average >= 1:
        return f"average is {recipe.average!r}; it must be below 1"
    if recipe.self_attacked > 1:
        return f"self_attacked is {recipe.self_attacked!r}; it must be at most 1"
    if not (isinstance(recipe.epochs, int) and recipe.epochs > 0):
        return f"epochs is {recipe.epochs!r}; it must be a whole number above 0"
    if not recipe.distilled and not recipe.identity:
        return "a recipe needs a loss: cosine, relational or identity"
    if not (isinstance(recipe.input_size, int) and SMALLEST_INPUT <= recipe.input_size <= 512):
        return f"input_size is {recipe.input_size!r}; it is a whole number from {SMALLEST_INPUT} to 512"
    return None
