"""Recipes: what is read, and what is refused."""

from pathlib import Path

import pytest

from face_encryption.training.recipe import RecipeError, load_recipe

SMALL = """
input_size = 97
crop_margin = 0.1
batch = 8
epochs = 3
learning_rate = 2e-4
identity = 1.0
"""


def test_known_recipes_are_read() -> None:
    assert load_recipe("distilled").distilled
    assert load_recipe("gpu").distilled
    assert load_recipe("again").average == 0.5
    study = load_recipe("study")
    assert (study.input_size, study.rotation, study.zoom, study.epochs) == (224, 30, 0.1, 25)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("batch = 8", "batch = 1"), "batch is below 2"),
        (("batch = 8", "bach = 8"), "bach"),
        (("epochs = 3", "epochs = 0"), "epochs is 0"),
        (("crop_margin = 0.1", "crop_margin = 'wide'"), "crop_margin is 'wide'"),
        (("identity = 1.0", ""), "a recipe needs a loss"),
        (("input_size = 97", "input_size = 32"), "input_size is 32"),
        (("batch = 8", "[batch"), "Expected"),
        (("learning_rate = 2e-4", ""), "learning_rate"),
        (("batch = 8", "batch = 8\nself_attacked = 1.5"), "self_attacked is 1.5; it must be at most 1"),
    ],
)
def test_bad_recipes(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(SMALL.replace(*change))
    with pytest.raises(RecipeError, match=message):
        load_recipe(str(tmp_path / "r.toml"))
