"""The whole path on a tiny model, as typed: finetune, export, eval, score, ask, and back again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import tiny
from potstill.cli import main
from potstill.data.qa import load_qa

pytestmark = pytest.mark.slow

RECIPE = """
epochs = 60
batch_tokens = 400
learning_rate = 5e-3
dropout = 0.0
seq_len = 128
stride = 32
threads = 1
save_minutes = 0.0
"""


def potstill(*arguments: str | Path) -> str:
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_from_weights_and_data_to_an_answer(tmp_path: Path) -> None:
    base = tiny.write_model(tmp_path / "base", head=False)
    train = tiny.write_squad(tmp_path / "train.json", copies=12)
    (tmp_path / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    run, out = tmp_path / "run", tmp_path / "out"
    potstill("finetune", tmp_path / "recipe.toml", f"base={base}", f"train={train}", f"out={run}")
    trained = json.loads(potstill("eval", run, train, "--json"))
    assert trained["exact"] > 90

    potstill("export", run, out, "--format", "all", "--gate", train, "--max-drop", "5")
    assert "replayed" in potstill("export", "--check", out)
    for precision in ("fp32", "fp16", "int8"):
        scores = json.loads(potstill("eval", out, train, "--precision", precision, "--json"))
        assert scores["f1"] >= trained["f1"] - 5
    predictions = tmp_path / "predictions.json"
    again = json.loads(potstill("eval", out, train, "--predictions", predictions, "--json"))
    scored = json.loads(potstill("score", train, predictions, "--json"))
    assert [scored[k] for k in ("exact", "f1")] == [again[k] for k in ("exact", "f1")]

    example = load_qa(train).examples[0]
    asked = ("ask", example.question, "--context", example.context, "--model", out, "--json")
    (found,) = json.loads(potstill(*asked))
    assert found["answer"] == example.context[found["start"] : found["end"]]
    assert found["answer"] == example.answers[0]
