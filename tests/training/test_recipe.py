"""Recipes: what they accept, and how they refuse."""

import re
from collections import Counter
from dataclasses import fields
from typing import get_type_hints

import pytest

from potstill.errors import RecipeError
from potstill.training.recipe.file import (
    VERBS,
    kinds_of,
    make_recipe,
    read_recipe,
    read_values,
    verb_of,
)
from potstill.training.recipe.keys import keys_of
from potstill.training.recipe.lm import LMDistilRecipe, LMRecipe
from potstill.training.recipe.qa import DistilRecipe, Recipe
from potstill.training.recipe.shipped import described, find_recipe, read_text, shipped_recipes
from potstill.training.recipe.table import Between, Table, marks_of

LEAST = {"base": "b", "train": "t", "out": "o"}
KINDS = {verb: kinds_of(verb) for verb in VERBS}


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
        ({"zzz": 1}, "unknown recipe key 'zzz'; known: task, out"),
        ({"epochs": "two"}, "epochs must be of type float, not 'two'"),
        ({"seed": 1.5}, "seed must be of type int"),
        ({"seed": True}, "seed must be of type int"),
        ({"epochs": 0}, "epochs must be between"),
        ({"epochs": float("nan")}, "epochs must be between"),
        ({"warmup": 2.0}, "warmup must be between 0 and 1, not 2.0"),
        ({"dropout": 1.0}, "dropout must be between"),
        ({"precision": "fp8"}, "precision must be one of auto, fp32, bf16, not 'fp8'"),
        ({"device": "tpu"}, "device must be one of"),
        ({"negatives_from": "air"}, "negatives_from must be one or more of paragraphs, articles"),
        ({"negatives_from": ()}, "negatives_from must be one or more of"),
        ({"task": "chess"}, "task must be one of"),
        ({"train": ""}, "train is empty"),
    ],
)
def test_wrong_values_are_named(values, message):
    with pytest.raises(RecipeError, match=message):
        make_recipe({**LEAST, **values})


def test_wrong_overrides_are_named(tmp_path):
    path = write(tmp_path, "")
    with pytest.raises(RecipeError, match="'epochs' is not an override: write key=value"):
        read_recipe(path, ["epochs"])
    with pytest.raises(RecipeError, match="epochs must be of type float, not 'many'"):
        read_recipe(path, ["epochs=many"])
    with pytest.raises(RecipeError, match="unknown recipe key 'epoch'"):
        read_recipe(path, ["epoch=1"])


def test_files_that_are_no_recipe(tmp_path):
    with pytest.raises(RecipeError, match="neither a recipe's name nor a file"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path)
    with pytest.raises(RecipeError, match="is not TOML"):
        read_recipe(write(tmp_path, "epochs = = 2"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is not TOML"):
        read_recipe(tmp_path / "binary.toml")


@pytest.mark.parametrize("name", shipped_recipes())
def test_the_shipped_recipes_are_recipes(name):
    text = read_text(find_recipe(name))
    # Each says in its first lines how it is used, and what it is for.
    verb = re.search(rf"potstill (finetune|distil) {name} ", text)[1]
    assert verb_of(read_values(name)) == verb
    assert described(find_recipe(name)).endswith(".")
    read_recipe(name, ["base=b", "out=o"], verb=verb)


def test_a_recipe_is_named_or_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squad-minilm").write_text('base = "b"\ntrain = "t"\nout = "mine"\n')
    assert read_recipe("squad-minilm").out == "runs/squad-minilm"
    assert read_recipe("./squad-minilm").out == "mine"
    with pytest.raises(RecipeError, match="'recipes/squad-minlm.toml' is neither.*'squad-minilm'"):
        read_recipe("recipes/squad-minlm.toml")
    with pytest.raises(RecipeError, match="'elsewhere' is neither.*`potstill recipes` lists"):
        read_recipe("elsewhere")


def test_a_recipe_for_the_other_verb_says_so():
    with pytest.raises(RecipeError, match="'teacher', so it is one for `potstill distil`"):
        read_recipe("squad-distil-3l")
    # A misspelt key does not make it one of the other verb.
    with pytest.raises(RecipeError, match="did you mean 'epochs'"):
        read_recipe("squad-minilm", ["epoch=1"])


@pytest.mark.parametrize(("verb", "task"), [(v, t) for v in KINDS for t in KINDS[v]])
def test_every_key_says_what_it_means(verb, task):
    kind = KINDS[verb][task]
    keys = {key.name: key for key in keys_of(kind)}
    assert keys.keys() == {field.name for field in fields(kind)} - {"task"}
    assert not [key.name for key in keys.values() if not key.meaning]
    assert keys["learning_rate"].default == "0.00015"
    assert keys["warmup"].takes == "number, 0 to 1"
    assert keys["precision"].takes == '"auto" or "fp32" or "bf16"'
    assert keys["out"].default == ""


@pytest.mark.parametrize("kind", [kind for kinds in KINDS.values() for kind in kinds.values()])
def test_every_number_has_limits(kind):
    hints = get_type_hints(kind)
    numbers = [field.name for field in fields(kind) if hints[field.name] in (int, float)]
    marks = marks_of(kind)
    assert numbers
    assert not [n for n in numbers if not any(isinstance(m, Between) for m in marks[n])]


def test_a_key_stands_in_one_table():
    """A kind of run may give another's key a default of its own; the task is one everywhere."""
    tables = {t for kinds in KINDS.values() for k in kinds.values() for t in k.__mro__}
    tables = {table for table in tables if issubclass(table, Table)}
    homes = Counter(key for table in tables for key in vars(table).get("__annotations__", ()))
    shared = {key for key, n in homes.items() if n > 1}
    # Of a window, a row of labels and a row of a corpus; of teachers by answers and by tokens.
    assert shared <= {"task", "seq_len", "holdout", "cache", "labels"} | {
        "teacher",
        "alpha_ce",
        "temperature",
    }


def test_the_verb_and_the_task_choose_the_kind_of_recipe(tmp_path):
    path = write(tmp_path, 'base = "b"\ntrain = "t"\nout = "o"\n')
    assert type(read_recipe(path)) is Recipe
    assert type(read_recipe(path, verb="distil")) is DistilRecipe
    corpus = {"task": "masked-lm", "base": "b", "corpus": "c", "out": "o"}
    assert type(make_recipe(corpus)) is LMRecipe
    assert type(make_recipe(corpus, verb="distil")) is LMDistilRecipe
    with pytest.raises(RecipeError, match="unknown recipe key 'alpha_kd'"):
        read_recipe(path, ["alpha_kd=1"])


def test_a_list_can_be_given_on_the_command_line(tmp_path):
    path = write(tmp_path, 'base = "b"\ntrain = "t"\nout = "o"\nlayers = [0, 2]\n')
    given = ['teacher=["default", "small"]', "teacher_weights=[1, 3]"]
    recipe = read_recipe(path, given, verb="distil")
    assert recipe.teachers == ("default", "small")
    assert recipe.mixture == (0.25, 0.75)
    assert recipe.layers == (0, 2)
    assert recipe.to_dict()["teacher"] == ["default", "small"]
    with pytest.raises(RecipeError, match="teacher must be of type str or list"):
        read_recipe(path, ["teacher=[x"], verb="distil")
    assert read_recipe(path, ["teacher=small", "layers=last"], verb="distil").layers == "last"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0}, "temperature must be between"),
        ({"temperature": -1.0}, "temperature must be between"),
        ({"alpha_ce": 0, "alpha_kd": 0}, "alpha_ce and alpha_kd sum to 0"),
        ({"alpha_kd": -1.0}, "alpha_kd must be between 0"),
        ({"teacher": ""}, "teacher is empty"),
        ({"teacher": []}, "teacher is empty"),
        ({"teacher": ["a", 3]}, "teacher must be a list of str, which 3 is not"),
        ({"teacher": 3}, "teacher must be of type str or list, not 3"),
        ({"teacher_weights": [1.0, 2.0]}, "teacher_weights has 2 values for 1 teachers"),
        ({"teacher_weights": [0.0]}, "teacher_weights must be 0 or more and not all 0"),
        ({"transfer_first": 0.5}, "transfer_first needs something to transfer"),
        (
            {"alpha_hidden": 1.0, "transfer_first": 0.5, "transfer_until": 0.2},
            "transfer_first 0.5 is more than transfer_until 0.2",
        ),
        ({"mask_positions": False, "teacher_stride": 64}, "compares rows position by position"),
    ],
)
def test_wrong_values_of_a_distillation_are_named(values, message):
    with pytest.raises(RecipeError, match=message):
        make_recipe({**LEAST, **values}, verb="distil")
