"""Recipes of tagging and multiple choice, from the files to the verbs that use their models."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import tiny
from potstill.cli import main
from potstill.training.recipe.file import read_recipe

TINY = ("threads=1", "precision=fp32", "max_steps=2", "seq_len=64")

CONLL = "Denver\tB-team\nBroncos\tI-team\nwon\tO\n\nParis\tB-place\nis\tO\nlarge\tO\n\n" * 4
CODAH = "o\tThe king\twon.\tlost.\twrote a book.\tbuilt a tower.\t{}\n"


def run(*arguments):
    done = CliRunner().invoke(main, list(arguments))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("name", ["wnut-minilm", "wnut-tiny", "codah-minilm", "codah-tiny"])
def test_recipes_to_finetune(name):
    recipe = read_recipe(name, ["base=x", "train=x", "out=x"])
    assert recipe.seq_len == 128
    if name.startswith("codah"):
        assert recipe.folds == 5


def test_comve_is_scored_on_a_file_of_its_own():
    recipe = read_recipe("comve-minilm")
    assert recipe.dev and not recipe.folds


@pytest.mark.parametrize("name", ["wnut-3l", "codah-3l"])
def test_recipes_to_distil(name):
    recipe = read_recipe(name, verb="distil")
    assert recipe.n_layers == 3
    assert recipe.teacher == ""  # the base itself


def test_tags_from_the_recipe_to_the_shell(tmp_path):
    base = tiny.write_model(tmp_path / "base", head=None)
    train = tmp_path / "train.conll"
    train.write_text(CONLL)
    keys = [f"base={base}", f"train={train}", f"dev={train}", *TINY, "--json"]
    whole = run("finetune", "wnut-minilm", f"out={tmp_path / 'run'}", *keys)
    assert set(json.loads(whole)) >= {"f1", "precision", "recall", "total"}
    keys[0] = f"base={tmp_path / 'run'}"
    keys += [f"out={tmp_path / 'small'}", f"cache={tmp_path / 'cache'}", "n_layers=1"]
    small = run("distil", "wnut-3l", *keys)
    assert json.loads(small)["total"] == 8
    found = json.loads(
        run("tag", "Denver Broncos won", "--model", f"{tmp_path / 'small'}", "--json")
    )
    assert isinstance(found, list)
    scored = json.loads(run("eval", str(tmp_path / "small"), str(train), "--json"))
    assert scored["f1"] == pytest.approx(json.loads(small)["f1"])


def test_choices_from_the_recipe_to_the_shell(tmp_path):
    base = tiny.write_model(tmp_path / "base", head=None)
    train = tmp_path / "full_data.tsv"
    train.write_text("".join(CODAH.format(number % 4) for number in range(20)))
    keys = [f"base={base}", f"train={train}", "fold=1", *TINY, "--json"]
    whole = run("finetune", "codah-minilm", f"out={tmp_path / 'run'}", *keys)
    assert json.loads(whole)["total"] == 4
    keys[0] = f"base={tmp_path / 'run'}"
    keys += [f"out={tmp_path / 'small'}", f"cache={tmp_path / 'cache'}", "n_layers=1"]
    run("distil", "codah-3l", *keys)
    asked = ["The king", "won.", "lost.", "--model", str(tmp_path / "small"), "--json"]
    assert len(json.loads(run("choose", *asked))) == 2
    asked = ["eval", str(tmp_path / "run"), str(train), "--held-out", "--json"]
    scored = json.loads(run(*asked, "--train", str(train)))
    assert (scored["total"], scored["accuracy"]) == (4, json.loads(whole)["accuracy"])
    manifest = json.loads((tmp_path / "run" / "potstill.json").read_text(encoding="utf-8"))
    assert scored["baselines"] == manifest["data"]["baselines"]  # neither saw the fold
    assert list(json.loads(run(*asked))["baselines"]) == ["a guess"]
