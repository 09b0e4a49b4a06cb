"""The toxic-comment benchmark on a tiny model: three systems, the same probabilities."""

import json
import runpy
import sys
from pathlib import Path

import pytest

import tiny
from potstill.models.classification import ClassificationModel

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LABELS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")


@pytest.fixture
def classify(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["classify.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(BENCHMARKS / "classify.py"), run_name="__main__")
        return stopped.value.code

    return main


def test_three_systems_in_turns(classify, tmp_path, capsys):
    model = tmp_path / "model"
    shape = tiny.config(labels=LABELS, problem="multi-label", max_positions=256)
    tiny.write_tokenizer(model)
    ClassificationModel(shape).save_pretrained(model)
    data = tmp_path / "comments.csv"
    rows = "".join(f"{text.lower()}\n" for text, *_ in tiny.SENTENCES)
    data.write_text("comment_text\n" + rows.replace(",", ""))
    assert classify(model, data, "-n", 3) == 0
    *table, line = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    for name in ("post", "torch", "potstill"):
        assert result[name]["n"] == 3
        assert any(row.startswith(name) for row in table)
    assert result["largest_difference"] < 1e-4
    assert result["ratio"]["of_medians"] > 1


def test_bad_data_is_one_line(classify, tmp_path, capsys):
    assert classify(tmp_path, tmp_path / "none.csv") == 1
    assert "does not exist" in capsys.readouterr().err
