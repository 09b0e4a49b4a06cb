"""benchmarks/speed.py: real programs race over a tiny model, and bounds are judged."""

import argparse
import json
import sys

import contenders
import pytest
import records
import speed

import tiny
from potstill import load_qa
from potstill.export.bundle import export_bundle


@pytest.fixture(autouse=True)
def _a_processor_with_avx2(monkeypatch):
    monkeypatch.setattr(speed, "is_installed", lambda: True)
    monkeypatch.setattr(speed, "kernels", lambda: ["avx2", "reference"])
    monkeypatch.delenv("POTSTILL_KERNEL", raising=False)


def test_a_race(tmp_path):
    source = tiny.write_model(tmp_path / "source")
    export_bundle(source, tmp_path / "out", ["hf", "onnx", "int8"])
    data = load_qa(tiny.write_squad(tmp_path / "dev.json", copies=3)).examples
    row = speed.Row("minilm-int8", tmp_path / "out", "int8", trained=True)
    racers = contenders.contenders(
        row.folder,
        row.file,
        pythons={"onnxruntime": sys.executable, "potstill": sys.executable},
        threads=1,
        runtime="onnxruntime",
        precision="int8",
    )
    found = speed.race(row, racers, data, 1)
    assert set(found["contenders"]) == {"onnxruntime", "potstill"}
    for one in found["contenders"].values():
        assert one["ms"] > 0
        assert one["per_second"] > 0
        assert 0 <= one["f1"] <= 100
        assert one["mb"] > 0
    assert found["opened"]["many"] | {"workers": 1} == {
        "runtime": "onnxruntime", "workers": 1, "threads": 1
    }  # fmt: skip
    assert found["checks"]["one ≥ 2.5"] is None  # transformers did not race
    assert found["checks"]["one ≥ 1.4 of the best by hand"] in (True, False)


def contender(ms, per_second, ratio=None):
    found = {"mb": 1.0, "ms": ms, "per_second": per_second}
    if ratio is not None:
        found |= {"ratio_one": {"of_medians": ratio}, "ratio_many": {"of_medians": ratio}}
    return found


@pytest.mark.parametrize(
    ("ratio", "hand_ms", "passed"), [(4.5, 20.0, True), (3.0, 20.0, False), (4.5, 10.0, False)]
)
def test_bounds(ratio, hand_ms, passed):
    found = {
        "transformers": contender(45.0, 20.0),
        "openvino": contender(hand_ms, 50.0),
        "potstill": contender(10.0, 100.0, ratio),
    }
    checks = speed._checks("minilm-int8", found, ["openvino"])
    assert all(checks.values()) == passed
    assert records.verdict(checks) == (not passed)


def test_the_2020_way(monkeypatch):
    monkeypatch.setattr(speed, "kernels", lambda: ["avx512vnni", "avx2", "reference"])
    rows = [
        {"name": "distilbert", "contenders": {"transformers": contender(120.0, 8.0)}},
        {"name": "minilm-int8", "contenders": {"potstill": contender(10.0, 100.0)}},
    ]
    found = speed.old_way(rows)
    assert (found["one"], found["many"]) == (12.0, 12.5)
    assert found["checks"] == {"one ≥ 10.0": True, "many ≥ 12.0": True}
    assert speed.old_way(rows[:1]) is None


def test_a_record(tmp_path, capsys):
    file = tmp_path / "x.json"
    arguments = argparse.Namespace(json=True, record=file, note="busy")
    records.finish("speed", {"rows": []}, arguments)
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept == json.loads(capsys.readouterr().out)
    assert kept["kind"] == "speed"
    assert kept["note"] == "busy"
    assert kept["versions"]["onnxruntime"]


def test_a_check_that_was_not_made_is_no_failure():
    assert records.verdict({"a": None, "b": True}) == 0
    assert records.verdict({"a": None, "b": False}) == 1


def test_own_questions_are_as_long_as_squads():
    examples = load_qa(speed.parsed([]).data).examples
    assert len(examples) > speed.parsed(["--quick"]).n
    for one in examples:
        assert 100 <= len(one.context.split()) <= 150
        assert one.answers[0] in one.context
