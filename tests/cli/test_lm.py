"""Language models from the command line: the recipes that ship, on tiny models."""

import json

import pytest
from click.testing import CliRunner

import tiny
from potstill.cli import main

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def keys(tmp_path):
    base = tiny.write_model(tmp_path / "base", head=None, n_layers=6)
    corpus = tiny.write_corpus(tmp_path / "corpus.txt")
    return [f"base={base}", f"corpus={corpus}", f"out={tmp_path / 'out'}", "threads=1"]


def run(verb, recipe, *arguments):
    return CliRunner().invoke(main, [verb, recipe, *arguments])


def test_distilling_a_language_model(keys, tmp_path):
    steps = ["max_steps=2", "sequences_per_step=8", "head_steps=2", "holdout=0.2", "seq_len=32"]
    result = run("distil", "lm-distil", *keys, *steps)
    assert result.exit_code == 0, result.output
    assert f"the model is in {tmp_path / 'out'}" in result.stdout
    assert "mlm_loss" in result.stdout
    assert "no masked-LM head: one is trained first" in result.stderr
    assert "masked-LM head: 2 of 2" in result.stderr
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["DistilBertForMaskedLM"]
    assert config["n_layers"] == 3


@pytest.mark.parametrize("recipe", ["mlm", "mlm-head"])
def test_plain_masked_language_modelling(keys, recipe):
    result = run("finetune", recipe, *keys, "max_steps=1", "seq_len=32", "holdout=0.2", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout).keys() == {"mlm_loss", "total"}


def test_wrong_recipes_are_one_line(keys, tmp_path):
    for extra, message in (
        ("temperature=0", "temperature must be between"),
        (f"corpus={tmp_path / 'none'}", "does not exist"),
        ("head_steps=0", "head_steps"),
        ("layers=[7]", "layers names layer 7"),
    ):
        result = run("distil", "lm-distil", *keys, extra)
        assert result.exit_code == 1
        assert message in result.stderr
        assert len(result.stderr.strip().splitlines()) <= 3
