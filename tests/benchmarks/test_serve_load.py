"""The server's benchmark runs on a tiny model, and says which of its numbers are reached."""

import json
import sys

import pytest
import serve_load

import tiny
from potstill.runtime.plans import TOKEN_BUDGET


def load(rate, p99, statuses=None, refused=None):
    return {
        "questions_per_s": rate, "p50_ms": 1.0, "p99_ms": p99, "refused_p50_ms": refused,
        "statuses": statuses or {"200": 9}, "client_cpu_share": 0.1, "rss_kb": [],
    }  # fmt: skip


def measured(ours, theirs, overload):
    return {
        "potstill at 8": [load(rate, 10.0) for rate in ours],
        "transformers at 8": [load(rate, 40.0) for rate in theirs],
        "in_process_per_s": [2 * rate for rate in ours],
        "http": [0.012, 0.014, 0.013], "here": [0.011, 0.011, 0.012],
        "overload": overload,
    }  # fmt: skip


def test_numbers_are_medians_of_neighbours():
    found = measured([50.0, 60.0, 90.0], [10.0, 20.0, 45.0], load(60, 1))
    numbers = serve_load.checked(found, 8)
    assert numbers["times_the_peer"] == pytest.approx([2.5, 3, 4])
    assert numbers["of_in_process"] == pytest.approx([0.5] * 3)
    assert numbers["added_ms"] == pytest.approx([1, 1, 2])
    assert numbers["p99_of_the_peers"] == pytest.approx([0.25] * 3)


def test_what_is_missed_or_not_measured_is_said():
    bad = load(60, 1, {"200": 5, "503": 1}, refused=30.0)
    found = measured([50.0], [18.0], bad)
    reached = serve_load.passed(serve_load.checked(found, 8), bad)
    assert list(reached.values()) == [False, True, False, True, False, False]
    del found["transformers at 8"]
    assert list(serve_load.passed(serve_load.checked(found, 8), None).values()) == [
        False, True, None, None
    ]  # fmt: skip


@pytest.mark.slow
def test_a_whole_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("POTSTILL_CACHE", "")  # it names a folder of its own
    folder = tiny.write_model(tmp_path / "reader", max_positions=256)
    arguments = [
        str(folder), "--seconds", "0.3", "--rounds", "1", "--overload", "0.6", "--clients", "4",
        "--workers", "2", "--runtime", "onnxruntime", "--peer-python", "none",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["serve_load.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        serve_load.main()
    said = capsys.readouterr().out.splitlines()
    result = json.loads(said[-1])
    assert ended.value.code == int(False in result["passed"].values())
    assert result["layout"] == {
        "workers": 2, "threads": 1, "runtime": "onnxruntime", "token_budget": TOKEN_BUDGET
    }  # fmt: skip
    assert result["http"] == result["here"] >= 5
    assert result["overload"]["rate"] > result["potstill at 4"][0]["questions_per_s"]
    assert any(line.startswith("potstill at 4") for line in said)


def test_a_soak_says_how_memory_went(tmp_path, monkeypatch, capsys):
    folder = tiny.write_model(tmp_path / "reader", max_positions=256)
    monkeypatch.setenv("POTSTILL_CACHE", "")
    monkeypatch.setattr(serve_load, "SOAK_SECONDS", 0.3)
    arguments = [str(folder), "--soak", "40", "--clients", "2", "--workers", "1"]
    monkeypatch.setattr(sys, "argv", ["serve_load.py", *arguments, "--runtime", "onnxruntime"])
    serve_load.main()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["statuses"] == {"200": result["requests"]}
    assert result["requests"] >= 40
    assert abs(result["drift_after_warm_up"]) < 0.5
