"""The gate of every task: what it reads, what it compares, when it refuses."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

import tiny
from potstill.bundle.manifest import Manifest, read_manifest, write_manifest
from potstill.cli import main
from potstill.errors import DataError, GateError, InputError
from potstill.export.bundle import export_bundle
from potstill.export.gate import Gate

TEXTS = ("the old king won.", "the queen lost a book.", "paris is a large city.", "a red tower.")


def classifier(path, problem="", labels=("bad", "good"), **recipe):
    folder = tiny.write_model(path, head="classification", labels=labels, problem=problem)
    calibration = {"thresholds": {"a": 0.4}} if problem == "multi-label" else {}
    manifest = Manifest(
        task="text-classification", recipe=recipe, seq_len=64, calibration=calibration
    )
    write_manifest(folder, manifest)
    return folder


def table(path, header, *rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_data(task, path):
    """A model of a task, data for it, and the metric they are compared by."""
    if task == "single-label":
        rows = [(text, ("bad", "good")[i % 2]) for i, text in enumerate(TEXTS)]
        data = table(path / "dev.csv", ["text", "label"], *rows)
        return classifier(path / "m"), data, "accuracy"
    if task == "multi-label":
        rows = [(i, text, i % 2, 1) for i, text in enumerate(TEXTS)]
        data = table(path / "dev.csv", ["n", "comment", "a", "b"], *rows)
        recipe = {"format": "table", "text": "comment", "label": ["a", "b"]}
        return classifier(path / "m", "multi-label", ("a", "b"), **recipe), data, "macro-F1"
    if task == "regression":
        rows = [(text, "the king", 1.5 * i) for i, text in enumerate(TEXTS)]
        data = table(path / "dev.csv", ["one", "other", "score"], *rows)
        recipe = {"text": "one", "pair": "other", "label": "score"}
        return classifier(path / "m", "regression", ("score",), **recipe), data, "Spearman"
    if task == "token-classification":
        data = path / "dev.conll"
        data.write_text("the O\nking B-PER\nwon O\n\nin O\nold B-LOC\nparis I-LOC\n")
        labels = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
        return tiny.write_model(path / "m", head="tagging", labels=labels), data, "F1"
    if task == "multiple-choice":
        rows = [(text, "he won.", "he lost.", i % 2) for i, text in enumerate(TEXTS)]
        data = table(path / "dev.csv", ["prompt", "choice0", "choice1", "label"], *rows)
        return tiny.write_model(path / "m", head="choice"), data, "accuracy"
    data = tiny.write_corpus(path / "dev.txt", articles=3)
    folder = tiny.write_model(path / "m", head="mlm")
    write_manifest(folder, Manifest(task="masked-lm"))
    return folder, data, "accuracy"


TASKS = [
    "single-label",
    "multi-label",
    "regression",
    "token-classification",
    "multiple-choice",
    "masked-lm",
]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_measured(tmp_path, task) -> None:
    folder, data, title = write_data(task, tmp_path)
    gate = Gate.from_file(data, 1000, model=folder)
    said = []
    manifest = export_bundle(folder, tmp_path / "out", ["int8"], gate=gate, say=said.append)
    scores = manifest.files["onnx/model_quantized.onnx"].info["scores"]
    assert scores["data"] == data.name and scores["total"] > 0
    assert -100 <= scores[gate.metric] <= 100
    assert f", {title} " in said[-1] and "(fp32 " in said[-1]
    assert read_manifest(tmp_path / "out") == manifest


def test_a_gate_that_refuses(tmp_path) -> None:
    folder, data, _ = write_data("single-label", tmp_path)
    gate = Gate.from_file(data, model=folder)
    assert gate.max_drop == 0.3
    left = [90.0, 89.6]
    gate = replace(gate, measure=lambda *_: {"accuracy": left.pop(0), "total": 4})
    with pytest.raises(GateError, match=r"0.40 accuracy on dev.csv: 90.00 in fp32, 89.60 after"):
        export_bundle(folder, tmp_path / "out", ["int8"], gate=gate)
    assert not (tmp_path / "out").exists()


def test_a_gate_of_another_task(tmp_path) -> None:
    folder, data, _ = write_data("single-label", tmp_path)
    gate = Gate.from_file(data, model=folder)
    with pytest.raises(InputError, match="is one of text-classification, but"):
        export_bundle(tiny.write_model(tmp_path / "qa"), tmp_path / "out", gate=gate)


def test_data_that_do_not_fit(tmp_path) -> None:
    folder, data, _ = write_data("single-label", tmp_path)
    data.write_text("text,label\nthe king won.,superb\n")
    with pytest.raises(DataError, match="superb"):
        Gate.from_file(data, model=folder)
    data.write_text("sentence,label\nthe king won.,good\n")
    with pytest.raises(DataError, match="text"):
        Gate.from_file(data, model=folder)
    (tmp_path / "t").mkdir()
    folder, data, _ = write_data("token-classification", tmp_path / "t")
    data.write_text("paris B-COUNTRY\n")
    with pytest.raises(DataError, match="B-COUNTRY"):
        Gate.from_file(data, model=folder)
    data.write_text("")
    with pytest.raises(DataError, match="holds no words"):
        Gate.from_file(data, model=folder)


def test_on_the_command_line(tmp_path) -> None:
    folder, data, _ = write_data("multi-label", tmp_path)
    words = [str(folder), str(tmp_path / "out"), "--format", "int8", "--gate", str(data)]
    done = CliRunner().invoke(main, ["export", *words, "--max-drop", "100"])
    assert done.exit_code == 0, done.output
    assert "scoring 4 examples of dev.csv" in done.stderr and "macro-F1" in done.stderr
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
