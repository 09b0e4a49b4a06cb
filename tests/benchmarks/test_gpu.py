"""What the card's benchmark says where there is no card, and how it counts."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

FILE = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def test_without_a_card_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for more, shown in (([], str), (["--json"], lambda line: json.loads(line)["message"])):
        monkeypatch.setattr(sys, "argv", ["gpu.py", "default", "nothing.json", *more])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(FILE), run_name="__main__")
        assert stopped.value.code == 3
        assert "no CUDA device" in shown(capsys.readouterr().out.strip())


def test_contenders_take_turns_and_are_compared_with_the_first():
    measure = runpy.run_path(str(FILE))["measure"]
    asked = []

    def ask(name, seconds, answers):
        def run(pairs):
            asked.append(name)
            return seconds, answers

        return run

    asks = {"a": ask("a", 2.0, ["x", "y"]), "b": ask("b", 0.5, ["x", "z"])}
    found = measure(asks, [("q", "c"), ("r", "d")], rounds=2)
    assert asked == ["a", "b", "b", "a", "a", "b"]  # one to warm up, then in turns
    assert found["a"]["questions_per_second"] == 1 and found["b"]["questions_per_second"] == 4
    assert (found["a"]["same_answer"], found["b"]["same_answer"]) == (1.0, 0.5)
