"""The metrics of classification and regression, as pure functions of arrays.

Each gives what scikit-learn's function of the same meaning gives (the tests compare them); they are
spelled out so that a plain install can score a model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]

_LEAST = 1e-15
"""Least probability of which a logarithm is taken."""


def softmax(logits: Array, temperature: float = 1.0) -> FloatArray:
    """Probabilities ``[n, n_labels]`` of logits divided by ``temperature``."""
    scores = np.asarray(logits, np.float64) / temperature
    mass = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return mass / mass.sum(axis=-1, keepdims=True)


def sigmoid(logits: Array, temperature: float | Array = 1.0) -> FloatArray:
    """Probabilities of logits of any shape, each by itself."""
    scores = np.asarray(logits, np.float64) / temperature
    small = np.exp(-np.abs(scores))  # never overflows
    return np.where(scores >= 0, 1, small) / (1 + small)


def log_loss(probabilities: Array, gold: Array) -> float:
    """Mean negative log of the probability of the gold label, in nats.

    Args:
        probabilities: ``[n, n_labels]``.
        gold: number of each row's label, ``[n]``.
    """
    right = np.asarray(probabilities)[np.arange(len(gold)), gold]
    return -float(np.log(np.clip(right, _LEAST, None)).mean())


def binary_cross_entropy(probabilities: Array, gold: Array) -> float:
    """Mean cross-entropy over rows and labels, in nats.

    Args:
        probabilities: of any shape.
        gold: 0 or 1, of the same shape.
    """
    sure = np.clip(np.asarray(probabilities, np.float64), _LEAST, 1 - _LEAST)
    gold = np.asarray(gold, np.float64)
    return -float((gold * np.log(sure) + (1 - gold) * np.log1p(-sure)).mean())


def f1_by_label(predicted: Array, gold: Array) -> FloatArray:
    """F1 of each label in [0, 1]; 0 where it is neither predicted nor gold.

    Args:
        predicted: True where a label is given, ``[n, n_labels]``.
        gold: True where it should be, ``[n, n_labels]``.
    """
    predicted, gold = np.asarray(predicted, bool), np.asarray(gold, bool)
    both = (predicted & gold).sum(axis=0)
    return 2 * both / np.maximum(predicted.sum(axis=0) + gold.sum(axis=0), 1)


def micro_f1(predicted: Array, gold: Array) -> float:
    """F1 over all rows and labels together, in [0, 1]."""
    return float(f1_by_label(np.ravel(predicted)[:, None], np.ravel(gold)[:, None])[0])


def matthews(predicted: Array, gold: Array, n_labels: int) -> float:
    """Matthews correlation in [-1, 1]; 0 where either side is of one label alone.

    Args:
        predicted: number of each row's label, ``[n]``.
        gold: as ``predicted``.
        n_labels: how many labels there are.

    Source:
        Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation
        coefficient".
    """
    table = np.zeros((n_labels, n_labels))
    np.add.at(table, (gold, predicted), 1)
    n, right = table.sum(), table.trace()
    said, true = table.sum(axis=0), table.sum(axis=1)
    spread = (n * n - said @ said) * (n * n - true @ true)
    return float((right * n - said @ true) / np.sqrt(spread)) if spread > 0 else 0.0


def pearson(one: Array, other: Array) -> float:
    """Linear correlation in [-1, 1]; 0 where either side does not vary."""
    one, other = one - one.mean(), other - other.mean()
    spread = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / spread if spread > 0 else 0.0


def ranks(values: Array) -> FloatArray:
    """Rank of each value, from 1 on; equal ones share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[place]


def spearman(one: Array, other: Array) -> float:
    """Correlation of the ranks in [-1, 1]."""
    return pearson(ranks(one), ranks(other))


def roc_auc(scores: Array, gold: Array) -> float:
    """Chance that a row that has a label scores above one that has not, ties by half.

    Args:
        scores: ``[n]``.
        gold: 0 or 1, ``[n]``.

    Returns:
        A number in [0, 1]; NaN where all rows are of one kind.
    """
    has = np.asarray(gold, bool)
    n_with, n_without = int(has.sum()), int((~has).sum())
    if not n_with or not n_without:
        return float("nan")
    above = ranks(np.asarray(scores))[has].sum() - n_with * (n_with + 1) / 2
    return float(above) / (n_with * n_without)


def average_precision(scores: Array, gold: Array) -> float:
    """Precision at every row that has the label, the highest scores first, averaged.

    Args:
        scores: ``[n]``; rows of one score come in together.
        gold: 0 or 1, ``[n]``.

    Returns:
        A number in [0, 1]; NaN where no row has the label.
    """
    has = np.asarray(gold, bool)
    if not has.any():
        return float("nan")
    order = np.argsort(-np.asarray(scores), kind="stable")
    lasts = np.append(np.flatnonzero(np.diff(np.asarray(scores)[order])), len(order) - 1)
    found = np.cumsum(has[order])[lasts]
    return float((np.diff(found, prepend=0) * found / (lasts + 1)).sum() / has.sum())
