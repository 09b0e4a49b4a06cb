"""Labels between data, teachers and bases: matched by name, whatever their case and order."""

import numpy as np
import pytest

import labelled
import tiny
from potstill.bundle.config import read_config
from potstill.bundle.manifest import Manifest, read_manifest, write_manifest
from potstill.errors import DataError
from potstill.training.labels.classification import ClassificationTraining
from potstill.training.labels.tagging import TaggingTraining
from potstill.training.recipe.file import make_recipe
from potstill.training.run.task import TaskData, Taught, head_weights
from potstill.training.start import start

TASKS = {"classification": "text-classification", "tagging": "token-classification"}


def model(folder, labels, head="classification", **options):
    tiny.write_model(folder, head=head, labels=labels, **options)
    write_manifest(folder, Manifest(task=TASKS[head], seq_len=32))
    return folder


def recipe(base, train, out, *, verb="distil", task="text-classification", **more):
    values = {
        "task": task,
        "base": str(base),
        "train": str(train),
        "out": str(out),
        "max_steps": 2,
        "batch_tokens": 200,
        "precision": "fp32",
        "threads": 1,
        "seq_len": 32,
        "baseline": False,
    }
    values |= {"cache": str(out) + "-cache"} if verb == "distil" else {}
    return make_recipe({**values, **more}, verb=verb)


def test_a_student_has_all_labels_of_its_teacher(tmp_path):
    teacher = model(tmp_path / "t", ("NEUTRAL", "Other", "RED"))
    train = labelled.write_single(tmp_path / "a.csv", 30)
    start(recipe(teacher, train, tmp_path / "out", dev=str(train)))
    assert read_config(tmp_path / "out").labels == ("NEUTRAL", "Other", "RED")
    assert read_manifest(tmp_path / "out").scores["total"] == 30


@pytest.mark.parametrize("problem", ["single-label", "multi-label", "regression"])
def test_texts_without_labels_are_taught_at_alpha_ce_0(tmp_path, problem):
    labels = ("score",) if problem == "regression" else ("neg", "pos")
    teacher = model(tmp_path / "t", labels, problem=problem)
    train = tmp_path / "a.csv"
    train.write_text("text\n" + "the king\na red tower\n" * 6)
    start(recipe(teacher, train, tmp_path / "out", alpha_ce=0.0))
    found = read_config(tmp_path / "out")
    assert found.n_labels == len(labels)
    with pytest.raises(DataError, match="no column 'label'"):
        start(recipe(teacher, train, tmp_path / "b"))


def test_rows_that_were_never_labelled_are_taught_as_others_are(tmp_path):
    teacher = model(tmp_path / "t", ("rude", "loud"), problem="multi-label")
    train = tmp_path / "a.csv"
    train.write_text("text,rude,loud\nthe king,-1,-1\na tower,0,1\n")
    made = recipe(teacher, train, tmp_path / "out", alpha_ce=0.0, label=("rude", "loud"))
    taught = Taught(labels=("rude", "loud"), problem="multi-label", golds=False)
    data = ClassificationTraining().load(made, taught)
    assert (len(data.train), data.golds, data.problem) == (2, False, "multi-label")
    assert "no label of" in data.notes[-1]
    start(made)


def test_a_teacher_whose_two_labels_have_no_names(tmp_path):
    teacher = model(tmp_path / "t", ())
    train = tmp_path / "a.csv"
    train.write_text("text,label\n" + "the king,1\na red tower,0\n" * 3)
    start(recipe(teacher, train, tmp_path / "out"))
    assert read_config(tmp_path / "out").labels == ("LABEL_0", "LABEL_1")


def test_a_bases_output_layer_is_kept_in_the_order_of_the_data(tmp_path):
    base = model(tmp_path / "b", ("POS", "NEU", "NEG"))
    shape = read_config(base)
    data = TaskData(train=(), labels=("neg", "pos"), problem="single-label")
    config = tiny.config(labels=data.labels, problem="single-label")
    kept = head_weights(base, shape, config, "classification")["classifier.weight"]
    whole = tiny.weights(shape, head="classification")["classifier.weight"]
    np.testing.assert_array_equal(kept, whole[[2, 0]])
    other = tiny.config(labels=("good", "bad"), problem="single-label")
    assert "classifier.weight" not in head_weights(base, shape, other, "classification")


BIOES = ("O", "B-PER", "I-PER", "E-PER", "S-PER")


def test_a_bioes_teacher_teaches_its_own_data(tmp_path):
    teacher = model(tmp_path / "t", BIOES, head="tagging")
    train = tmp_path / "a.txt"
    train.write_text("the O\nking S-per\n\nthe B-per\nred I-per\nking E-per\n\n" * 3)
    made = recipe(teacher, train, tmp_path / "out", task="token-classification", dev=str(train))
    data = TaggingTraining().load(made, Taught(labels=BIOES, problem="", golds=True))
    assert data.labels == BIOES
    assert data.train[0].tags == ("O", "S-PER")
    assert data.train[1].tags == ("B-PER", "I-PER", "E-PER")
    start(made)
    assert read_config(tmp_path / "out").labels == BIOES


@pytest.mark.parametrize("task", ["token-classification", "multiple-choice"])
def test_rows_without_labels_of_the_other_tasks(tmp_path, task):
    if task == "token-classification":
        teacher = model(tmp_path / "t", ("O", "B-x", "I-x"), head="tagging")
        train = tmp_path / "a.txt"
        train.write_text("the\nking\n\na\nred\ntower\n\n" * 3)
    else:
        teacher = tiny.write_model(tmp_path / "t", head="choice")
        write_manifest(teacher, Manifest(task=task, seq_len=32))
        train = tmp_path / "a.csv"
        train.write_text("prompt,choice0,choice1\n" + "the king,red,tower\n" * 4)
    start(recipe(teacher, train, tmp_path / "out", task=task, alpha_ce=0.0))
    assert (tmp_path / "out" / "model.safetensors").is_file()
