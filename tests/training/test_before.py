"""What is scored before the first step: the model to start from, and its teachers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import labelled
import tiny
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.data.qa import load_qa
from potstill.evaluation.readings import collect, score_predictions
from potstill.runtime.qa import QAClient
from potstill.training.recipe.file import make_recipe
from potstill.training.run import task
from potstill.training.run.report import Listeners, told
from potstill.training.start import start
from runs import equal, weights

pytestmark = pytest.mark.usefixtures("own_cache")

KEYS = {"threads": 1, "precision": "fp32", "max_steps": 2, "seq_len": 64, "dropout": 0.1}


def said(verb: str, out: Path, *, go: dict[str, Any] | None = None, **values: Any) -> list[str]:
    """What a run says of its start and its teachers."""
    notes: list[str] = []
    made = make_recipe({**KEYS, **values, "out": str(out)}, verb=verb)
    start(made, listeners=Listeners(note=notes.append), **(go or {}))
    return [note for note in notes if "before the first step" in note]


def test_the_start_and_its_teacher_are_scored_on_the_same_questions(tmp_path, monkeypatch):
    monkeypatch.setattr(task, "N_BEFORE", 3)
    base = str(tiny.write_model(tmp_path / "base"))
    teacher = str(tiny.write_model(tmp_path / "teacher", seed=5))
    data = str(tiny.write_squad(tmp_path / "squad.json", copies=2))
    values = {"base": base, "teacher": teacher, "train": data, "stride": 16}
    sample = load_qa(data).examples[::3]
    expected = []
    for model in (base, teacher):
        client = QAClient.from_options(model, seq_len=64, stride=16, threads=1)
        found = collect(sample, client.read_many((e.question, e.context) for e in sample))
        expected.append(told(score_predictions(sample, found, rules_v2=False, null_threshold=0.0)))
    first, *scores = said("distil", tmp_path / "a", dev=data, **values)
    assert first == f"scored on 3 of them before the first step: the start, teacher {teacher}"
    assert scores == [
        f"before the first step, the start: {expected[0]}",
        f"before the first step, teacher {teacher}: {expected[1]}",
    ]
    # Nothing of the run depends on it.
    assert said("distil", tmp_path / "b", **values) == []
    assert equal(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_a_dry_run_announces_it_and_a_resumed_one_has_had_it(tmp_path):
    base = str(tiny.write_model(tmp_path / "base"))
    data = str(tiny.write_squad(tmp_path / "squad.json"))
    values = {"base": base, "train": data, "dev": data, "stride": 16}
    dry = said("finetune", tmp_path / "out", go={"dry_run": True}, **values)
    assert dry == ["scored on 4 of them before the first step: the start"]
    assert len(said("finetune", tmp_path / "out", **values)) == 2
    again = said("finetune", tmp_path / "out", go={"resume": True}, **{**values, "max_steps": 3})
    assert again == []


def test_teachers_are_scored_with_the_labels_of_the_data(tmp_path):
    labels = ("red", "king")
    data = str(labelled.write_several(tmp_path / "several.csv", 40))
    folders = {}
    for name, order in (("same", labels), ("turned", labels[::-1])):
        folders[name] = folder = tmp_path / name
        tiny.write_model(folder, head="classification", labels=order, problem="multi-label")
        write_manifest(folder, Manifest(task="text-classification", seq_len=32))
    values = {"task": "text-classification", "base": str(folders["same"]), "label": labels}
    names = tuple(map(str, folders.values()))
    _, begun, same, turned = said(
        "distil", tmp_path / "out", train=data, dev=data, teacher=names, **values, baseline=False
    )
    worth = begun.partition(": ")[2]
    assert "roc_auc" in worth
    assert same.endswith(f"same: {worth}")
    # Both have the same weights, and so call king what the first calls red.
    assert not turned.endswith(worth)


def test_language_models_and_what_would_fail(tmp_path):
    base = str(tiny.write_model(tmp_path / "base", head="mlm"))
    corpus = str(tiny.write_corpus(tmp_path / "corpus.txt"))
    values = {"task": "masked-lm", "base": base, "corpus": corpus, "holdout": 0.2, "n_layers": 1}
    first, begun, taught = said("distil", tmp_path / "lm", **values, sequences_per_step=8)
    assert first.endswith(f"the start, teacher {base}")
    assert "mlm_loss" in begun and "mlm_loss" in taught and begun != taught
    reader = str(tiny.write_model(tmp_path / "reader"))
    data = tiny.write_squad(tmp_path / "squad.json")
    long = tmp_path / "long.json"
    long.write_text(data.read_text("utf-8").replace("Who ", "Who " * 40), encoding="utf-8")
    values = {"base": reader, "teacher": reader, "teacher_seq_len": 24, "teacher_stride": 4}
    # The teacher is not asked these questions: the run goes on.
    *_, taught = said(
        "distil", tmp_path / "out", train=str(data), dev=str(long), **values, stride=16
    )
    assert "not scored: " in taught
