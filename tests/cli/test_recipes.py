"""``potstill recipes``: from the list to a run by name, in an environment without torch."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from potstill.cli import main
from potstill.training.recipe.shipped import shipped_recipes


def run(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["recipes", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_list_names_every_recipe_once_and_fits_a_terminal() -> None:
    lines = run().splitlines()
    named = [found[1] for line in lines if (found := re.match(r"  ([a-z0-9-]+)  +\S", line))]
    assert sorted(named) == sorted(shipped_recipes())
    assert max(map(len, lines)) <= 80


def test_what_is_shown_is_a_recipe(tmp_path: Path) -> None:
    shown = run("show", "squad-minilm")
    assert shown == shipped_recipes()["squad-minilm"].read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(shown, encoding="utf-8")
    assert run("keys", str(tmp_path / "mine.toml")) == run("keys", "squad-minilm")


def test_keys_are_those_of_the_recipe_with_its_values() -> None:
    text = run("keys", "squad-distil-3l")
    assert "\nn_layers = 3\n" in text  # the recipe's own
    assert "\nstride = 128\n" in text
    assert 'negatives_from = "paragraphs"\n' in text  # by default
    assert "\ndropout = 0\n  Number, 0 to 0.99. Rate of every dropout" in text
    assert "sequences_per_step" not in text and "``" not in text


def test_an_unknown_name_is_one_line() -> None:
    done = CliRunner().invoke(main, ["recipes", "show", "squad-mini"])
    assert done.exit_code == 1
    assert done.stderr.strip().endswith("a recipe's name nor a file: did you mean 'squad-minilm'?")
