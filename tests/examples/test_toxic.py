"""The examples on toxic comments: they learn a made set, and the light runtime has the result."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path

import pytest
import torch

import potstill
import tiny
from potstill.data.glue import FORMATS

EXAMPLES = Path(__file__).parents[2] / "examples"
LABELS = list(FORMATS["jigsaw"].label)


@pytest.fixture
def train(tmp_path):
    """A label is a word of the text: 140 comments, a seventh of them with none."""
    words = ["game", "city", "river", "king", "tower", "bridge"]
    rows = []
    for number in range(140):
        chosen = number % 7
        text = " ".join([*words[chosen : chosen + 1] * 3, tiny.WORDS[number % 9]])
        rows.append([number, text, *(int(i == chosen) for i in range(6))])
    path = tmp_path / "train.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "comment_text", *LABELS], *rows])
    return path, words


# torchmetrics, lightning and accelerate speak of their environment while they are imported.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("name", "needs", "score"),
    [
        ("toxic_trainer", "accelerate", "eval_roc_auc"),
        ("toxic_lightning", "pytorch_lightning", "val_roc_auc"),
    ],
)
def test_they_learn_and_answer(name, needs, score, train, tmp_path, monkeypatch, capsys):
    pytest.importorskip(needs)
    path, words = train
    shape = tiny.config(hidden_width=64, n_layers=1, hidden_dropout=0.0, attention_dropout=0.0)
    torch.manual_seed(1)
    potstill.BertModel(shape).save_pretrained(tmp_path / "base")
    tiny.write_tokenizer(tmp_path / "base")
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.chdir(tmp_path)
    example = importlib.import_module(name)
    options = ["--base", "base", "--epochs", "12", "--batch", "8", "--rate", "5e-3"]
    scores = example.main([str(path), "run", *options])
    assert scores[score] > 0.95
    assert "potstill classify" in capsys.readouterr().out
    classifier = potstill.Classifier.from_options(tmp_path / "run")
    assert set(classifier.options.labels) == set(LABELS)
    found = classifier.classify(f"{words[2]} {words[2]} {words[2]}")
    assert found.chosen == (LABELS[2],)
