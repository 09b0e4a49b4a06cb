"""Whole runs of text classification on tiny models and made data."""

import json

import numpy as np
import pytest
import torch

import labelled
from potstill.bundle.config import read_config
from potstill.bundle.heads import LOGITS
from potstill.bundle.manifest import read_manifest
from potstill.errors import CheckpointError, DataError, RecipeError
from potstill.models.classification import ClassificationModel
from potstill.runtime.classification import Classifier
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Tokenizer
from potstill.training.labels.classification import ClassificationTraining
from potstill.training.recipe.file import make_recipe
from potstill.training.run.report import Listeners
from potstill.training.run.task import TaskData
from potstill.training.start import start
from runs import Stopped, equal, stop_at, weights

TASK = ClassificationTraining()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return {
        "single": labelled.write_single(folder / "single.csv"),
        "several": labelled.write_several(folder / "several.csv"),
        "regression": labelled.write_regression(folder / "regression.jsonl"),
    }


def recipe(base, train, out, *, verb="finetune", **more):
    values = {
        "task": "text-classification",
        "base": str(base),
        "train": str(train),
        "out": str(out),
        "epochs": 3.0,
        "batch_tokens": 400,
        "learning_rate": 3e-3,
        "dropout": 0.1,  # so that a wrong random state would show
        "precision": "fp32",
        "log_steps": 1,
        "threads": 1,
        "seq_len": 32,
        "split": 0.25,
        "baseline": False,
    }
    if "several" in str(train):
        values["label"] = ("red", "king")
    if "regression" in str(train):
        values["pair"] = "pair"
    return make_recipe({**values, **more}, verb=verb)


@pytest.fixture(scope="module")
def several(base, files, tmp_path_factory):
    """A multi-label run that nothing stopped, and what was said of it."""
    out, notes = tmp_path_factory.mktemp("several"), []
    made = recipe(
        base, files["several"], out, epochs=40.0, learning_rate=5e-3, dropout=0.0, baseline=True
    )
    return out, start(made, listeners=Listeners(note=notes.append)), notes


@pytest.fixture(scope="module")
def single(base, files, tmp_path_factory):
    out = tmp_path_factory.mktemp("single")
    return out, start(
        recipe(base, files["single"], out, epochs=12.0, learning_rate=1e-2, dropout=0.0)
    )


def test_several_labels_are_learned_and_calibrated(several):
    out, scores, notes = several
    assert scores["roc_auc"] > 0.95
    assert scores["total"] == 30
    config, manifest = read_config(out), read_manifest(out)
    assert (config.labels, config.problem) == (("red", "king"), "multi-label")
    assert manifest.task == "text-classification"
    calibration = manifest.calibration
    assert set(calibration["thresholds"]) == set(calibration["temperatures"]) == {"red", "king"}
    assert calibration["by_label"]["red"]["rows"] > 0
    classifier = Classifier.from_options(out, threads=1)
    assert classifier.options.thresholds == tuple(calibration["thresholds"].values())
    assert "red" in classifier.classify("the old red tower of the city").chosen
    assert any("calibrated" in note for note in notes)


def test_the_baselines_stand_beside_the_result(several):
    out, _, notes = several
    assert any(note.startswith("for comparison, base rate") for note in notes)
    assert any(note.startswith("for comparison, TF-IDF") for note in notes)
    facts = read_manifest(out).data
    assert set(facts["baselines"]) == {"base rate", "TF-IDF + linear"}
    assert set(facts["base_rates"]) == {"red", "king"}


def test_a_single_label_is_learned(single):
    out, scores = single
    assert scores["accuracy"] > 85
    assert read_manifest(out).calibration["temperature"] > 0
    found = Classifier.from_options(out, threads=1).classify("red red red")
    assert found.chosen == ("red",)


@pytest.mark.parametrize("kind", ["single", "several", "regression"])
def test_a_new_output_layer_starts_at_the_base_rates(base, files, tmp_path, kind):
    still = {"learning_rate": 1e-9, "max_steps": 1, "epochs": 1.0, "dropout": 0.0}
    start(recipe(base, files[kind], tmp_path, **still))
    rates = read_manifest(tmp_path).data["base_rates"]
    bias = weights(tmp_path)["classifier.bias"]
    said = {"single": bias.softmax(-1), "several": bias.sigmoid(), "regression": bias}[kind]
    assert said.tolist() == pytest.approx(list(rates.values()), abs=1e-3)


def test_with_class_weights_it_starts_at_nothing(base, files, tmp_path):
    still = {"learning_rate": 1e-9, "max_steps": 1, "epochs": 1.0, "class_weights": "balanced"}
    start(recipe(base, files["several"], tmp_path, **still))
    assert weights(tmp_path)["classifier.bias"].abs().max() < 1e-3


def test_a_regression_over_pairs_runs(base, files, tmp_path):
    scores = start(recipe(base, files["regression"], tmp_path))
    assert set(scores) == {"pearson", "spearman", "rmse", "total"}
    assert read_config(tmp_path).labels == ("label",)
    assert read_manifest(tmp_path).calibration == {}


@pytest.mark.parametrize("verb", ["finetune", "distil"])
def test_a_stopped_run_goes_on_bit_for_bit(base, several, files, tmp_path, verb):
    more = {"max_steps": 9, "save_steps": 2, "verb": verb}
    if verb == "distil":
        more |= {"teacher": str(several[0]), "cache": str(tmp_path / "cache")}

    def made(out):
        return recipe(base, files["several"], out, **more)

    start(made(tmp_path / "whole"))
    with pytest.raises(Stopped):
        start(made(tmp_path / "cut"), listeners=stop_at(5))
    with pytest.raises(CheckpointError, match="--resume"):
        start(made(tmp_path / "cut"))
    start(made(tmp_path / "cut"), resume=True)
    assert equal(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def test_a_resumed_run_refuses_other_labels(base, files, tmp_path):
    out = tmp_path / "out"
    start(recipe(base, files["several"], out, max_steps=2))
    other = recipe(base, files["several"], out, max_steps=4, label=("king", "red"))
    with pytest.raises(CheckpointError):
        start(other, resume=True)


def test_a_head_of_other_labels_is_made_new(several, files, tmp_path):
    notes = []
    made = recipe(several[0], files["single"], tmp_path / "a", max_steps=1)
    start(made, listeners=Listeners(note=notes.append))
    assert any("has no text-classification head for these labels" in note for note in notes)
    notes.clear()
    made = recipe(several[0], files["several"], tmp_path / "b", max_steps=1)
    start(made, listeners=Listeners(note=notes.append))
    assert not any("a new one" in note for note in notes)


def test_dev_is_scored_and_must_know_the_labels(base, files, tmp_path):
    dev = labelled.write_single(tmp_path / "dev.csv", 12, seed=1)
    made = recipe(base, files["single"], tmp_path / "out", split=0.0, dev=str(dev), max_steps=1)
    assert start(made)["total"] == 12
    dev.write_text("text,label\nthe king,blue\n")
    with pytest.raises(DataError, match=r"dev\.csv: row 1: label 'blue' is none of other, red"):
        start(made)


def test_without_anything_to_score_on_there_are_no_scores(base, files, tmp_path):
    assert start(recipe(base, files["single"], tmp_path, split=0.0, max_steps=1)) == {}
    assert read_manifest(tmp_path).calibration == {}


def test_long_texts_are_counted(base, files, tmp_path):
    notes = []
    train = tmp_path / "train.csv"
    train.write_text("text,label\n" + "the king built a red tower,x\nthe king,y\n" * 4)
    made = recipe(base, train, tmp_path, seq_len=8, split=0.0, max_steps=1)
    start(made, listeners=Listeners(note=notes.append))
    assert "0 of 8 rows" not in " ".join(notes)
    train.write_text("text,label\n" + "the king built a red tower again,x\nthe king,y\n" * 4)
    made = recipe(base, train, tmp_path / "longer", seq_len=8, split=0.0, max_steps=1)
    start(made, listeners=Listeners(note=notes.append))
    assert any(note.startswith("4 of 8 rows are longer than seq_len 8") for note in notes)


def test_a_model_is_scored_and_calibrated_as_it_will_read(base, tmp_path):
    """Trained on beginnings, with the words that matter at the ends of what is scored."""
    rows = [words for words in labelled.texts(240) if ("red" in words) != ("king" in words)]
    lines = [f"{' '.join(words)},{'red' if 'red' in words else 'king'}" for words in rows]
    train, dev = tmp_path / "train.csv", tmp_path / "dev.csv"
    idle = "the a of " * 6  # says nothing: it comes with either label
    train.write_text("\n".join(["text,label", *lines[:-40], *[f"{idle},red", f"{idle},king"] * 20]))
    dev.write_text("\n".join(["text,label", *(idle + line for line in lines[-40:])]))
    how = {"dev": str(dev), "split": 0.0, "seq_len": 12, "epochs": 12.0, "learning_rate": 1e-2}
    beginning, whole = (
        start(recipe(base, train, tmp_path / str(n), max_windows=n, dropout=0.0, **how))
        for n in (1, 0)
    )
    assert equal(weights(tmp_path / "1"), weights(tmp_path / "0"))
    assert whole["accuracy"] > beginning["accuracy"] + 20
    manifest = read_manifest(tmp_path / "0")
    assert manifest.max_windows == 0
    assert manifest.calibration != read_manifest(tmp_path / "1").calibration
    assert Classifier.from_options(tmp_path / "0", threads=1).options.max_windows == 0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("max_windows", -1, "max_windows"),
        ("seq_len", 200, "more than the 128 positions"),
        ("format", "SST-3", "no format 'SST-3'"),
        ("class_weights", (1.0,), "1 values for 2 labels"),
    ],
)
def test_recipes_that_do_not_fit(base, files, tmp_path, key, value, message):
    with pytest.raises(RecipeError, match=message):
        start(recipe(base, files["single"], tmp_path, **{key: value}))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("class_weights", "equal", "'balanced' or a list"),
        ("class_weights", (0.0, 0.0), "not all 0"),
        ("problem", "several", "problem must be one of"),
        ("split", 1.0, "split must be between"),
        ("lables", "x", "did you mean 'labels'"),
    ],
)
def test_values_that_cannot_be(base, files, tmp_path, key, value, message):
    with pytest.raises(RecipeError, match=message):
        recipe(base, files["single"], tmp_path, **{key: value})


def test_class_weights_of_a_regression(base, files, tmp_path):
    with pytest.raises(RecipeError, match="no meaning for a regression"):
        start(recipe(base, files["regression"], tmp_path, class_weights="balanced"))


class TestLoss:
    """The losses by themselves, against torch's."""

    def data(self, problem, labels=("a", "b", "c")):
        return TaskData(train=[], labels=labels, problem=problem)

    def test_gold(self):
        logits = torch.randn(4, 3)
        gold = torch.tensor([0, 2, 1, 1])
        found = TASK.loss(logits, {"labels": gold}, self.data("single-label"))
        assert found == pytest.approx(float(4 * torch.nn.functional.cross_entropy(logits, gold)))
        flags = torch.tensor([[0.0, 1, 1]] * 4)
        found = TASK.loss(logits, {"labels": flags}, self.data("multi-label"))
        mean = torch.nn.functional.binary_cross_entropy_with_logits(logits, flags)
        assert found == pytest.approx(float(4 * mean))
        found = TASK.loss(logits[:, :1], {"labels": flags[:, 1]}, self.data("regression", ("x",)))
        assert found == pytest.approx(float(((logits[:, 0] - 1) ** 2).sum()))

    @pytest.mark.parametrize("problem", ["single-label", "multi-label", "regression"])
    def test_a_student_that_agrees_has_nothing_to_learn(self, problem):
        said = torch.randn(5, 3)
        logits = said.clone().requires_grad_()
        loss = TASK.soft_loss(logits, {"teacher": said}, self.data(problem), 2.0)
        loss.backward()
        assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
        assert logits.grad.abs().max() < 1e-6
        other = said + torch.arange(1, 4)
        assert TASK.soft_loss(other, {"teacher": said}, self.data(problem), 2.0) > 0.1

    def test_each_of_several_labels_is_taught_by_itself(self):
        """A softmax over labels would not see what all logits have in common; a sigmoid does."""
        said = torch.tensor([[3.0, 3.0, 3.0]])
        logits = torch.tensor([[-3.0, -3.0, -3.0]], requires_grad=True)
        TASK.soft_loss(logits, {"teacher": said}, self.data("multi-label"), 1.0).backward()
        assert (logits.grad < -0.2).all()
        logits.grad = None
        TASK.soft_loss(logits, {"teacher": said}, self.data("single-label"), 1.0).backward()
        assert logits.grad.abs().max() < 1e-6

    def test_class_weights(self, base, files):
        tokenizer = Tokenizer.from_folder(base)
        made = recipe(base, files["single"], "out", class_weights="balanced")
        data = TASK.load(made)
        rows = TASK.rows(data.train, tokenizer, made, data)
        # Every label has the same weight altogether.
        sums = [rows.weight[rows.gold == label].sum() for label in (0, 1)]
        assert sums == pytest.approx([len(rows) / 2] * 2, rel=1e-5)
        made = recipe(base, files["several"], "out", class_weights=(2.0, 1.0))
        data = TASK.load(made)
        rows = TASK.rows(data.train, tokenizer, made, data)
        batch = rows.batch([0, 1])
        assert batch["weight"].tolist() == [[2.0, 1.0]] * 2
        plain = {**batch, "weight": torch.ones(2, 2)}
        logits = torch.zeros(2, 2)
        has = bool(batch["labels"][:, 0].any())
        assert (TASK.loss(logits, batch, data) > TASK.loss(logits, plain, data)) == has


def test_rows_are_the_texts_of_the_tokenizer(base, files):
    made = recipe(base, files["regression"], "out")
    data = TASK.load(made)
    tokenizer = Tokenizer.from_folder(base)
    rows = TASK.rows(data.train, tokenizer, made, data)
    batch = rows.batch([3, 0])
    example = data.train[3]
    n = len(tokenizer.encode(example.text)) + 2
    ids = batch["input_ids"][0][batch["attention_mask"][0].bool()]
    assert ids[1 : n - 1].tolist() == tokenizer.encode(example.text).ids.tolist()
    assert ids[n:-1].tolist() == tokenizer.encode(example.pair).ids.tolist()
    assert batch["token_type_ids"][0].sum() == len(ids) - n
    assert batch["labels"].tolist() == pytest.approx([example.label, data.train[0].label])


def test_scores_while_training_are_those_of_the_light_runtime(several, files):
    out, scores, _ = several
    made = recipe("base", files["several"], "out")
    data = TASK.load(made)
    logits = Classifier.from_options(out, threads=1).logits_many(
        [example.text for example in data.dev]
    )
    model, _ = ClassificationModel.from_folder(out, read_config(out))
    found = TASK.score(
        TorchSession(model, LOGITS), Tokenizer.from_folder(out), data.dev, made, data
    )
    assert found["bce"] == pytest.approx(scores["bce"], abs=1e-5)
    assert logits.shape == (30, 2)
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert metrics[-1]["roc_auc"] == scores["roc_auc"]
    assert np.isfinite(logits).all()
