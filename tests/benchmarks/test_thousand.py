"""The notebook's speed test, on tiny models: what it measures, and what it says of bad input."""

import json
import runpy
import sys
from pathlib import Path

import pytest

import tiny

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def thousand(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["thousand.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(BENCHMARKS / "thousand.py"), run_name="__main__")
        return stopped.value.code

    return main


def test_teacher_and_student_in_turns(thousand, tmp_path, capsys):
    teacher = tiny.write_model(tmp_path / "teacher", seed=1)
    student = tiny.write_model(tmp_path / "student", n_layers=1)
    data = tiny.write_squad(tmp_path / "dev.json", copies=3)
    assert thousand(teacher, student, data, "-n", 7, "--threads", 1) == 0
    *table, line = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    for name in ("teacher", "student"):
        row = result[name]
        assert (row["model"], row["precision"], row["n"]) == (name, "fp32", 7)
        assert 0 < row["q1"] <= row["median"] <= row["q3"]
        assert 0 <= row["exact"] <= row["f1"] <= 100
    ratio = result["teacher"]["median"] / result["student"]["median"]
    assert result["ratio"]["of_medians"] == ratio
    assert result["threads"] == 1
    assert table[0].startswith("teacher: teacher (fp32), EM ")
    assert str(tmp_path) not in line


def test_bad_input_is_one_line(thousand, tmp_path, capsys):
    data = tiny.write_squad(tmp_path / "dev.json")
    assert thousand(tmp_path / "nothere", "default", data) == 1
    error = capsys.readouterr().err
    assert "no such folder" in error
    assert error.count("\n") == 1
    assert thousand("default", "default", data, "-n", 0) == 2
