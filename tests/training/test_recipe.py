"""Recipes: what they accept, and how they refuse."""

import pytest

from potstill.errors import RecipeError
from potstill.training.recipe import MAY_CHANGE, Recipe, make_recipe, read_recipe

LEAST = {"base": "b", "train": "t", "out": "o"}


def write(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_overrides_win_and_are_typed(tmp_path):
    path = write(tmp_path, 'base = "b"\ntrain = "t"\nout = "o"\nepochs = 3\n')
    recipe = read_recipe(path, ["epochs=1", "dropout=0.1", "fix_offsets=true", "out=C=D"])
    assert recipe.epochs == 1.0
    assert recipe.dropout == 0.1
    assert recipe.fix_offsets is True
    assert recipe.out == "C=D"


def test_what_is_missing_can_come_from_the_command_line(tmp_path):
    path = write(tmp_path, 'train = "t"\nout = "o"\n')
    assert read_recipe(path, ["base=x"]).base == "x"
    with pytest.raises(RecipeError, match="lacks base"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rat": 1.0}, "unknown recipe key 'learning_rat': did you mean 'learning_rate'"),
        ({"zzz": 1}, "unknown recipe key 'zzz'; known: base, train"),
        ({"epochs": "two"}, "epochs must be of type float, not 'two'"),
        ({"seed": 1.5}, "seed must be of type int"),
        ({"seed": True}, "seed must be of type int"),
        ({"epochs": 0}, "epochs must be between"),
        ({"epochs": float("nan")}, "epochs must be between"),
        ({"warmup": 2.0}, "warmup must be between 0 and 1, not 2.0"),
        ({"dropout": 1.0}, "dropout must be between"),
        ({"precision": "fp8"}, "precision must be one of auto, fp32, bf16, not 'fp8'"),
        ({"device": "tpu"}, "device must be one of"),
        ({"task": "chess"}, "task must be one of"),
        ({"train": ""}, "train is empty"),
    ],
)
def test_wrong_values_are_named(values, message):
    with pytest.raises(RecipeError, match=message):
        make_recipe({**LEAST, **values})


def test_wrong_overrides_are_named(tmp_path):
    path = write(tmp_path, "")
    with pytest.raises(RecipeError, match="'epochs' is no override: write key=value"):
        read_recipe(path, ["epochs"])
    with pytest.raises(RecipeError, match="epochs must be of type float, not 'many'"):
        read_recipe(path, ["epochs=many"])
    with pytest.raises(RecipeError, match="unknown recipe key 'epoch'"):
        read_recipe(path, ["epoch=1"])


def test_files_that_are_no_recipe(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path)
    with pytest.raises(RecipeError, match="is no TOML"):
        read_recipe(write(tmp_path, "epochs = = 2"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is no TOML"):
        read_recipe(tmp_path / "binary.toml")


def test_the_shipped_recipes_are_recipes():
    from pathlib import Path

    found = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
    assert found
    for path in found:
        read_recipe(path)


def test_keys_that_may_change_exist():
    assert set(Recipe.__slots__) >= MAY_CHANGE
