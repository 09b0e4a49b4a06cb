"""Scores of a classifier's logits: one label a text, several, or a number.

Accuracy, F1, Matthews and the correlations are in points (percent); areas (ROC-AUC, average
precision), losses and calibration errors are as they are: the units they are published in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from potstill.errors import DataError
from potstill.evaluation.calibration import expected_calibration_error, least_temperature
from potstill.evaluation.metrics import (
    Array,
    FloatArray,
    f1_by_label,
    log_loss,
    matthews,
    pearson,
    softmax,
    spearman,
)
from potstill.evaluation.multilabel import fit_multilabel, fold_rows, score_multilabel

Scores = dict[str, float]

MAIN_METRIC: Mapping[str, str] = {
    "single-label": "accuracy",
    "multi-label": "macro_f1",
    "regression": "spearman",
}
"""Problem → the one score, in points, by which two files of a model are compared."""


def score(
    logits: Array,
    gold: Array,
    *,
    problem: str,
    labels: Sequence[str],
    calibration: Mapping[str, Any] | None = None,
) -> Scores:
    """Scores logits against the gold labels.

    Args:
        logits: ``[n, n_labels]``; of a regression ``[n, 1]``.
        gold: single-label the number of each row's label ``[n]``; multi-label 0 or 1
            ``[n, n_labels]``; regression the targets ``[n]``.
        problem: ``single-label``, ``multi-label`` or ``regression``.
        labels: their names.
        calibration: as `fit` returns it; without it, temperature 1 and thresholds of 0.5.

    Returns:
        ``total`` and, single-label: ``accuracy``, ``macro_f1``, ``matthews``, with two labels
        ``f1`` (of the second), ``log_loss`` and ``ece``; regression: ``pearson``, ``spearman`` and
        ``rmse``; multi-label: see `score_multilabel`.

    Raises:
        DataError: there is nothing to score, or a logit is no finite number.
    """
    if not len(gold):
        raise DataError("there is nothing to score: give a data file with labelled rows")
    logits = np.asarray(logits, np.float64)
    if not np.isfinite(logits).all():
        raise DataError("the model gives NaN or infinite logits: the weights are damaged")
    if problem == "regression":
        return _score_regression(logits[:, 0], np.asarray(gold, np.float64))
    if problem == "multi-label":
        return score_multilabel(logits, gold, labels=labels, calibration=calibration)
    temperature = float((calibration or {}).get("temperature", 1.0))
    return _score_single(logits, np.asarray(gold, np.int64), temperature)


def fit(
    logits: Array, gold: Array, *, problem: str, labels: Sequence[str], folds: int = 5
) -> dict[str, Any]:
    """Fits what turns logits into labels and probabilities, on texts that were not trained on.

    Args:
        logits: as for `score`, and so are the next three.
        gold: see `score`.
        problem: see `score`.
        labels: see `score`.
        folds: parts of the cross-fitting: every figure of how well the fit works is of rows that
            it was not fitted on.

    Returns:
        Of a single label ``temperature`` (1 where on rows that it was not fitted on it is no
        better than that), ``ece_before``, ``ece`` and ``total``; of several what `fit_multilabel`
        returns; of a regression nothing.

    Source:
        Guo et al. 2017 (arXiv:1706.04599), section 4.2.
    """
    logits = np.asarray(logits, np.float64)
    if problem == "regression":
        return {}
    if problem == "multi-label":
        return fit_multilabel(logits, gold, labels=labels, folds=folds)
    gold = np.asarray(gold, np.int64)
    crossed = np.empty(logits.shape)
    for inside, outside in fold_rows(len(gold), folds):
        crossed[outside] = softmax(logits[outside], _temperature(logits[inside], gold[inside]))
    before, after = _top_label_error(softmax(logits), gold), _top_label_error(crossed, gold)
    return {
        "temperature": _temperature(logits, gold) if after < before else 1.0,
        "ece_before": before,
        "ece": min(before, after),
        "total": len(gold),
    }


def _temperature(logits: Array, gold: Array) -> float:
    return least_temperature(lambda t: log_loss(softmax(logits, t), gold))


def _top_label_error(probabilities: FloatArray, gold: Array) -> float:
    best = probabilities.argmax(axis=1)
    right = (best == gold).astype(np.float64)
    return expected_calibration_error(probabilities.max(axis=1), right)


def _score_regression(values: Array, gold: Array) -> Scores:
    return {
        "pearson": 100 * pearson(values, gold),
        "spearman": 100 * spearman(values, gold),
        "rmse": float(np.sqrt(((values - gold) ** 2).mean())),
        "total": len(gold),
    }


def _score_single(logits: Array, gold: Array, temperature: float) -> Scores:
    n_labels = logits.shape[1]
    best = logits.argmax(axis=1)
    probabilities = softmax(logits, temperature)
    # As scikit-learn: a label that neither side has is no part of the mean.
    seen = np.union1d(best, gold)
    numbers = np.arange(n_labels)
    f1s = f1_by_label(best[:, None] == numbers, gold[:, None] == numbers)
    scores: Scores = {
        "accuracy": 100 * float((best == gold).mean()),
        "macro_f1": 100 * float(f1s[seen].mean()),
        "matthews": 100 * matthews(best, gold, n_labels),
    }
    if n_labels == 2:
        scores["f1"] = 100 * float(f1s[1])
    scores["log_loss"] = log_loss(probabilities, gold)
    scores["ece"] = _top_label_error(probabilities, gold)
    scores["total"] = len(gold)
    return scores
