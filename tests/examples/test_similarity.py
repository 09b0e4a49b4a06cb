"""The example of a task that Potstill does not have: it does all that its own do."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import task_contract as contract
import tiny
from potstill.bundle import added
from potstill.bundle.config import read_config
from potstill.bundle.heads import HEADS
from potstill.bundle.weights import read_weights
from potstill.errors import EmptyInputError, InputError, ModelError
from potstill.runtime.classification import Classifier
from potstill.runtime.session import OnnxSession
from potstill.runtime.torch_session import TorchSession
from potstill.tasks import table
from potstill.text.tokenizer import Tokenizer
from potstill.text.windows import pad
from potstill.training.recipe.file import make_recipe
from potstill.training.start import start
from runs import Stopped, equal, stop_at, weights

EXAMPLES = Path(__file__).parents[2] / "examples"
NAME = "sentence-similarity"
POINTS = """[potstill.tasks]
similarity = similarity.task:add
"""


def write_pairs(path: Path, n: int = 48, seed: int = 0) -> Path:
    """CSV of pairs: ``label`` is 5 for the same subject, 0 for another."""
    random = np.random.default_rng(seed)
    subjects = ["red", "king", "tower", "river"]
    lines = ["text,pair,label"]
    for _ in range(n):
        one, other = random.choice(subjects, 2)
        other = one if random.random() < 0.4 else other
        words = random.choice(["the", "game", "city", "year"], 2)
        label = 5 if one == other else 0
        lines.append(f"{words[0]} {one} {one},{other} {other} {words[1]},{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder that makes the example an installed package: its entry point."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "similarity-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: similarity\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    return folder


@pytest.fixture(scope="module")
def task(package):
    """The task, found as one that another package adds; gone again behind the tests."""
    paths = [str(EXAMPLES), str(package)]
    sys.path[:0] = paths
    before = set(table.TASKS)
    try:
        yield table.named(NAME)
    finally:
        for path in paths:
            sys.path.remove(path)
        for head in set(table.TASKS) - before:
            del table.TASKS[head], HEADS[head]
        added._loaded.clear()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return write_pairs(folder / "train.csv"), write_pairs(folder / "dev.csv", 24, seed=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    shape = {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    return tiny.write_model(tmp_path_factory.mktemp("base"), head=None, **shape)


def recipe(base, data, out, verb="finetune", **more):
    values = {
        "task": NAME,
        "base": str(base),
        "train": str(data[0]),
        "dev": str(data[1]),
        "out": str(out),
        "highest": 5.0,
        "epochs": 8.0,
        "batch_tokens": 200,
        "learning_rate": 5e-3,
        "seq_len": 32,
        "threads": 1,
        "precision": "fp32",
    }
    return make_recipe({**values, **more}, verb=verb)


@pytest.fixture(scope="module")
def trained(task, base, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "teacher"
    return out, start(recipe(base, data, out))


def test_it_is_a_task_like_the_others(task, trained, tmp_path, data):
    out, scores = trained
    assert scores["spearman"] > 60
    contract.check_names(task)
    contract.check_row(task, out)
    contract.check_answers(task, out)
    again = contract.check_verbs(task, out, data[1], tmp_path)
    assert again["spearman"] == pytest.approx(scores["spearman"], abs=0.1)
    written = (tmp_path / "bulk.jsonl").read_text(encoding="utf-8").splitlines()
    client = task.client.from_options(out)
    for line in map(json.loads, written[:3]):
        assert line["similarity"] == pytest.approx(client.compare(line["text"], line["pair"]))


def test_its_graph_computes_what_its_model_does(task, trained, tmp_path):
    out, _ = trained
    contract.run("export", out, tmp_path / "onnx", "--format", "onnx")
    model = importlib.import_module("similarity.training").SimilarityModel.from_pretrained(out)
    rows = [np.arange(2, 2 + n) for n in (3, 20, 9)]
    batch = pad(rows, [len(row) for row in rows], 0, Tokenizer.from_folder(out).layout)
    (exact,) = TorchSession(model, ("logits",)).run(batch)
    (found,) = OnnxSession(tmp_path / "onnx/onnx/model.onnx", outputs=("logits",)).run(batch)
    assert exact.shape == (3, read_config(out).hidden_width)
    assert np.abs(exact - found).max() < 1e-5


def test_a_student_learns_of_it(task, trained, data, tmp_path):
    teacher, _ = trained
    given = {"teacher": str(teacher), "n_layers": 1, "cache": str(tmp_path / "cache")}
    unlabelled = tmp_path / "unlabelled.csv"
    lines = data[0].read_text(encoding="utf-8").splitlines()
    unlabelled.write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n")
    student = tmp_path / "student"
    scores = start(recipe(teacher, (unlabelled, data[1]), student, "distil", alpha_ce=0.0, **given))
    assert read_config(student).n_layers == 1
    assert scores["spearman"] > 50
    reader = tiny.write_model(tmp_path / "reader")
    with pytest.raises(ModelError, match=f"is not a model of {NAME}"):
        start(recipe(teacher, data, tmp_path / "o", "distil", **{**given, "teacher": str(reader)}))


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(task, base, data, tmp_path):
    short = {"epochs": 1.0, "dropout": 0.1, "save_steps": 2, "dev": ""}
    whole, stopped = (recipe(base, data, tmp_path / name, **short) for name in ("a", "b"))
    start(whole)
    with pytest.raises(Stopped):
        start(stopped, listeners=stop_at(3))
    start(stopped, resume=True)
    assert equal(weights(whole.out), weights(stopped.out))


def test_its_client_refuses_what_it_cannot_read(task, trained):
    client = task.client.from_options(trained[0])
    assert client.compare("the king", "the king") == pytest.approx(1.0)
    with pytest.raises(EmptyInputError, match="the pair is empty"):
        client.compare("the king", " ")
    with pytest.raises(InputError, match="pair 1 is a str: give two texts"):
        client.compare_many([("a", "b"), "ab"])
    with pytest.raises(ModelError, match=f"is a model for {NAME}, not for text-classification"):
        Classifier.from_options(trained[0])


def test_a_base_of_any_kind_gets_a_head(task, data, tmp_path):
    """The names of its parameters are the head's own, whatever the encoder calls its others."""
    for kind in ("roberta", "distilbert"):
        other = tiny.write_model(tmp_path / kind, kind, head=None)
        out = tmp_path / f"{kind}-run"
        start(recipe(other, data, out, epochs=1.0, max_steps=1, dev=""))
        found = read_weights(out, read_config(out), head=task.head)
        assert "projection.weight" in found


def test_the_command_line_finds_an_installed_package(package, trained, data):
    """In a process that was told of nothing but the package's entry point."""
    paths = os.pathsep.join([str(EXAMPLES), str(package), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "potstill", "eval", trained[0], data[1], "--json"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["spearman"] == pytest.approx(trained[1]["spearman"], abs=0.1)
    done = subprocess.run(
        [sys.executable, "-m", "potstill", "eval", trained[0], data[1]], capture_output=True
    )
    assert done.returncode and b"install what adds the task" in done.stderr


def test_a_package_that_cannot_be_loaded_is_named(package, monkeypatch):
    point = importlib.metadata.EntryPoint("broken", "nowhere.at_all:add", "potstill.tasks")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    says = "the entry point broken = nowhere.at_all:add of potstill.tasks cannot be loaded"
    with pytest.raises(InputError, match=says):
        table.every()


def test_names_that_are_taken_are_refused(task):
    class Other(type(task)):
        pass

    with pytest.raises(InputError, match="there is a task 'sentence-similarity'"):
        table.add(Other())
    table.add(type(task)())  # once more: nothing changes
    assert table.named(NAME) is task
