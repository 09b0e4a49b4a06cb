"""The curves with and without a teacher, on tiny models."""

import json
import runpy
import sys
from pathlib import Path

import pytest

import tiny

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "lm_curve.py"


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        runpy.run_path(str(SCRIPT), run_name="__main__")

    return main


def test_both_students_start_alike_and_are_scored_alike(benchmark, tmp_path, capsys):
    base = tiny.write_model(tmp_path / "base", head=None, n_layers=3)
    corpus = tiny.write_corpus(tmp_path / "corpus.txt")
    out = tmp_path / "out"
    options = ["--steps", 2, "--head-steps", 2, "--sequences", 6, "--evaluate", 1, "--threads", 1]
    keys = ["seq_len=32", "holdout=0.3", "n_layers=1", "learning_rate=0", "precision=fp32"]
    benchmark(base, corpus, out, *options, *keys)
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((out / "curves.json").read_text())
    points = result["curves"]["with teacher"]
    assert [step for step, _ in points] == [1, 2]
    # Nothing is learnt at a rate of 0: what is left is the start, which is one.
    assert result["curves"]["without teacher"] == points
    students = result["students"]
    assert students["without teacher"]["recipe"]["alpha_ce"] == 0
    assert students["with teacher"]["parameters"] < result["teacher"]["parameters"]
    assert str(tmp_path) not in json.dumps(result)
    # Again: everything is there already.
    benchmark(base, corpus, out, *options, *keys)
    assert json.loads(capsys.readouterr().out)["curves"] == result["curves"]


def test_what_is_wrong_is_one_line(benchmark, tmp_path):
    base = tiny.write_model(tmp_path / "base", head="mlm")
    with pytest.raises(SystemExit, match=r"lm_curve\.py: .*none\.txt does not exist"):
        benchmark(base, tmp_path / "none.txt", tmp_path / "out", "n_layers=1")
