"""Distillation against fine-tuning, step by step, on tiny models."""

import json
import runpy
import sys
from pathlib import Path

import pytest

import tiny

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["distil_epoch.py", *map(str, arguments)])
        runpy.run_path(str(BENCHMARKS / "distil_epoch.py"), run_name="__main__")

    return main


@pytest.fixture
def files(tmp_path):
    student = tiny.write_model(tmp_path / "student", n_layers=1, max_positions=384)
    teacher = tiny.write_model(tmp_path / "teacher", seed=1, max_positions=384)
    return student, teacher, tiny.write_squad(tmp_path / "train.json", copies=6)


@pytest.mark.slow
def test_both_take_the_same_steps(benchmark, files, capsys):
    benchmark(*files, "--steps", 3, "--batch-tokens", 100, "--threads", 1)
    first, *_, line = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert result["distil"]["n"] == result["finetune"]["n"] == 3
    assert result["finetune"]["median"] > 0
    assert 0 < result["tokens"] <= 300
    assert f"{result['ratio']['of_sums']:.3f} times" in first
    assert result["ratio"]["of_sums_with_aligning"] > result["ratio"]["of_sums"]


@pytest.mark.slow
def test_too_few_data_for_the_steps(benchmark, files, capfd):
    with pytest.raises(SystemExit, match="stopped with status 1"):
        benchmark(*files, "--steps", 50, "--batch-tokens", 4000, "--threads", 1)
    assert "give fewer --steps or more data" in capfd.readouterr().err
