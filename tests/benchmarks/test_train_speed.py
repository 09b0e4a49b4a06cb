"""Training against transformers' own loops, on tiny models: that it runs and what it says."""

import json
import runpy
import sys
from pathlib import Path

import pytest

import tiny

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_a_verb_is_timed_and_recorded(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    student = tiny.write_model(tmp_path / "student", n_layers=1, max_positions=384)
    teacher = tiny.write_model(tmp_path / "teacher", seed=1, max_positions=384)
    train = tiny.write_squad(tmp_path / "train.json", copies=6)
    record = tmp_path / "kept" / "train.json"
    arguments = [train, "--student", student, "--teacher", teacher, "--quick", "--json"]
    # Distilling is fine-tuning and more; each verb takes half a minute of imports.
    arguments += ["--verbs", "distil", "--threads", 1, "--record", record, "--batch-tokens", 400]
    monkeypatch.setattr(sys, "argv", ["train_speed.py", *map(str, arguments)])
    status = 0
    try:
        runpy.run_path(str(BENCHMARKS / "train_speed.py"), run_name="__main__")
    except SystemExit as stopped:
        status = stopped.code
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result == json.loads(record.read_text())
    own = result["distil"]
    assert own["asked"] == 5.0
    assert own["potstill"]["n"] == own["transformers"]["n"] == 3
    rates = own["windows_per_second"]
    ratio = own["ratio"]["of_sums"]
    assert ratio == pytest.approx(rates["potstill"] / rates["transformers"])
    assert ("distil" in result["short"]) == (ratio < 5.0)
    assert "finetune" not in result
    assert status == (1 if result["short"] else 0)
