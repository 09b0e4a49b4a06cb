"""The toxic-comments data, as both examples beside this file read it.

A CSV file with a column ``comment_text`` and one of 0 and 1 for each of six labels: train.csv of
https://www.kaggle.com/c/jigsaw-toxic-comment-classification-challenge.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch.utils.data import Dataset

import potstill
from potstill.data.classification import gold_array, load_texts
from potstill.data.glue import FORMATS
from potstill.data.split import split_examples
from potstill.models.classification import ClassificationModel
from potstill.records import TextExample
from potstill.text.pretrained import PretrainedTokenizer

BASE = "google/bert_uncased_L-2_H-128_A-2"
"""BERT-Tiny, 4.4 million parameters: Turc et al. 2019, https://arxiv.org/abs/1908.08962."""


class Comments(Dataset[dict[str, list[int]]]):
    """Rows of ids, of any length: a collator pads them."""

    def __init__(
        self,
        examples: Sequence[TextExample],
        labels: Sequence[str],
        tokenizer: PretrainedTokenizer,
        seq_len: int,
    ) -> None:
        texts = [example.text for example in examples]
        self.rows = tokenizer(texts, truncation=True, max_length=seq_len)
        self.labels = gold_array(examples, labels, "multi-label")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        row = {name: column[index] for name, column in self.rows.items()}
        return {**row, "labels": self.labels[index].tolist()}


def arguments(description: str) -> argparse.ArgumentParser:
    """What both examples take on the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("train", type=Path, help="train.csv, plain or packed (.gz, .xz)")
    parser.add_argument("out", type=Path, help="folder for the trained model")
    parser.add_argument("--base", default=BASE, help="model folder or hub id to start from")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32, help="texts of a step")
    parser.add_argument("--rate", type=float, default=3e-4, help="highest learning rate")
    parser.add_argument("--seq-len", type=int, default=200, help="longest row, in tokens")
    return parser


def prepare(
    options: argparse.Namespace,
) -> tuple[ClassificationModel, PretrainedTokenizer, Comments, Comments]:
    """The model to train, its tokenizer, and the rows to train on and to score on (a fifth)."""
    data = load_texts(options.train, FORMATS["jigsaw"])
    train, scored = split_examples(data.examples, 0.2, 42)
    tokenizer = potstill.AutoTokenizer.from_pretrained(options.base)
    model = potstill.AutoModelForSequenceClassification.from_pretrained(
        options.base,
        problem_type="multi_label_classification",
        id2label=dict(enumerate(data.labels)),
    )
    rows = [Comments(part, data.labels, tokenizer, options.seq_len) for part in (train, scored)]
    return model, tokenizer, rows[0], rows[1]


def mean_roc_auc(logits: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve, a mean over the labels that some and not all texts have."""
    both = [i for i in range(labels.shape[1]) if 0 < labels[:, i].mean() < 1]
    return float(np.mean([roc_auc_score(labels[:, i], logits[:, i]) for i in both]))


def save(model: ClassificationModel, tokenizer: PretrainedTokenizer, folder: Path) -> None:
    """Writes the model folder and says how to use it."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(f'potstill classify "you are nice" --model {folder}')


def collate(rows: list[dict[str, list[int]]], tokenizer: PretrainedTokenizer) -> dict:
    """Rows as one padded batch of tensors, the labels as floats."""
    labels = torch.tensor([row["labels"] for row in rows])
    unlabelled = [{k: v for k, v in row.items() if k != "labels"} for row in rows]
    return {**tokenizer.pad(unlabelled, return_tensors="pt"), "labels": labels}
