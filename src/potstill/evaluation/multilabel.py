"""Several labels a text: thresholds and temperatures by cross-fitting, and what they are worth.

A label's threshold is where its F1 is highest, which few rows tell badly: on the rows that it was
chosen on it always looks better than it is. So the rows are cut into folds, each fold is judged by
what the others chose, and the median of the folds' thresholds is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from potstill.errors import InputError
from potstill.evaluation.calibration import expected_calibration_error, least_temperature
from potstill.evaluation.metrics import (
    Array,
    FloatArray,
    average_precision,
    binary_cross_entropy,
    f1_by_label,
    micro_f1,
    roc_auc,
    sigmoid,
)

PLAIN = 0.5
"""The threshold of a label where none was fitted."""


def score_multilabel(
    logits: Array,
    gold: Array,
    *,
    labels: Sequence[str],
    calibration: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Scores over all labels.

    Args:
        logits: ``[n, n_labels]``.
        gold: 0 or 1, ``[n, n_labels]``.
        labels: their names.
        calibration: ``thresholds`` and ``temperatures`` by label; without it 0.5 and 1.

    Returns:
        ``macro_f1``, ``micro_f1`` and ``exact_match`` (rows with every label right) in points, at
        the thresholds; ``roc_auc`` and ``average_precision``, means over the labels that some rows
        have and others have not; ``bce``, the mean binary cross-entropy of the logits as they are;
        with a calibration also ``bce_calibrated``, and the first three at 0.5 as ``…_at_half``;
        ``ece``, mean over the labels; ``total``. No areas where no label has rows of both kinds.
    """
    gold = np.asarray(gold)
    thresholds, temperatures = _settings(labels, calibration)
    sure = sigmoid(logits, temperatures)
    plain = sigmoid(logits)
    areas = [(roc_auc(s, g), average_precision(s, g)) for s, g in zip(sure.T, gold.T, strict=True)]
    scores = _at(sure > thresholds, gold)
    known = np.array(areas)[~np.isnan(areas).any(axis=1)]
    if len(known):
        means: list[float] = known.mean(axis=0).tolist()
        scores |= {"roc_auc": means[0], "average_precision": means[1]}
    scores["bce"] = binary_cross_entropy(plain, gold)
    if calibration:
        scores["bce_calibrated"] = binary_cross_entropy(sure, gold)
        scores |= {f"{name}_at_half": value for name, value in _at(plain > PLAIN, gold).items()}
    scores["ece"] = float(np.mean(_errors(sure, gold)))
    scores["total"] = len(gold)
    return scores


def by_label(
    logits: Array,
    gold: Array,
    *,
    labels: Sequence[str],
    calibration: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, float | None]]:
    """Every label by itself.

    Args:
        logits: as for `score_multilabel`, and so are the others.
        gold: see `score_multilabel`.
        labels: see `score_multilabel`.
        calibration: see `score_multilabel`.

    Returns:
        Label → ``rows`` that have it, ``f1`` (points), ``roc_auc`` and ``average_precision``
        (``None`` where all rows have it, or none), ``ece``, ``threshold`` and ``temperature``.
    """
    gold = np.asarray(gold)
    thresholds, temperatures = _settings(labels, calibration)
    sure = sigmoid(logits, temperatures)
    f1s = f1_by_label(sure > thresholds, gold)
    errors = _errors(sure, gold)
    return {
        label: {
            "rows": int(gold[:, i].sum()),
            "f1": 100 * float(f1s[i]),
            "roc_auc": _known(roc_auc(sure[:, i], gold[:, i])),
            "average_precision": _known(average_precision(sure[:, i], gold[:, i])),
            "ece": errors[i],
            "threshold": float(thresholds[i]),
            "temperature": float(temperatures[i]),
        }
        for i, label in enumerate(labels)
    }


def fit_multilabel(
    logits: Array, gold: Array, *, labels: Sequence[str], folds: int = 5
) -> dict[str, Any]:
    """Fits a temperature and a threshold for each label by cross-fitting.

    Args:
        logits: of texts that the model was not trained on, ``[n, n_labels]``.
        gold: 0 or 1, ``[n, n_labels]``.
        labels: their names.
        folds: parts that the rows are cut into, the rows that have a label spread evenly.

    Returns:
        ``temperatures`` and ``thresholds`` (of the calibrated probability) by label, 1 and 0.5
        where on rows that they were not fitted on those are better; ``untuned``, labels that no
        row or every row has, which keep 1 and 0.5; ``ece_before`` and ``ece``,
        ``bce_before`` and ``bce``, means over the labels, ``macro_f1_at_half`` and ``macro_f1``,
        all but the plain ones on rows that neither temperature nor threshold was fitted on;
        ``total``.
    """
    gold = np.asarray(gold, np.int64)
    crossed, chosen = np.empty(logits.shape), np.zeros(logits.shape, bool)
    temperatures, thresholds, untuned = {}, {}, []
    for i, label in enumerate(labels):
        own, has = logits[:, i], gold[:, i]
        temperatures[label], thresholds[label] = 1.0, PLAIN
        if has.all() or not has.any():
            untuned.append(label)
            crossed[:, i] = sigmoid(own)
            chosen[:, i] = crossed[:, i] > PLAIN
            continue
        temperatures[label] = _temperature(own, has)
        # A threshold is a point on the logits, so that the folds' own temperatures do not matter.
        cuts: list[float] = []
        for inside, outside in fold_rows(len(own), folds, spread=has):
            heat = _temperature(own[inside], has[inside])
            crossed[outside, i] = sigmoid(own[outside], heat)
            cuts.append(best_cut(own[inside], has[inside]))
            chosen[outside, i] = own[outside] > cuts[-1]
        before, after = sigmoid(own[:, None]), crossed[:, i : i + 1]
        if any(figure(after, has[:, None]) > figure(before, has[:, None]) for figure in _FIGURES):
            temperatures[label], crossed[:, i] = 1.0, before[:, 0]
        thresholds[label] = float(sigmoid(np.array(np.median(cuts)), temperatures[label]))
        at_half = before > PLAIN
        if f1_by_label(chosen[:, i : i + 1], has[:, None]) < f1_by_label(at_half, has[:, None]):
            thresholds[label], chosen[:, i] = PLAIN, at_half[:, 0]
    plain = sigmoid(logits)
    return {
        "temperatures": temperatures,
        "thresholds": thresholds,
        "untuned": untuned,
        "ece_before": float(np.mean(_errors(plain, gold))),
        "ece": float(np.mean(_errors(crossed, gold))),
        "bce_before": binary_cross_entropy(plain, gold),
        "bce": binary_cross_entropy(crossed, gold),
        "macro_f1_at_half": 100 * float(f1_by_label(plain > PLAIN, gold).mean()),
        "macro_f1": 100 * float(f1_by_label(chosen, gold).mean()),
        "total": len(gold),
    }


def best_cut(logits: Array, gold: Array) -> float:
    """The logit above which a label is given so that its F1 is highest.

    Args:
        logits: ``[n]``.
        gold: 0 or 1, some of each, ``[n]``.

    Returns:
        A point half-way between two logits, or half a unit below the least; of several equally
        good ones the highest.
    """
    order = np.argsort(-logits, kind="stable")
    scores, has = logits[order], np.asarray(gold, bool)[order]
    given = np.arange(1, len(has) + 1)
    f1s = 2 * np.cumsum(has) / (given + has.sum())
    f1s[:-1][np.diff(scores) == 0] = -1  # rows of one logit cannot be told apart
    best = int(f1s.argmax())
    after = scores[best + 1] if best + 1 < len(scores) else scores[best] - 1
    return float(scores[best] + after) / 2


def fold_rows(
    n: int, folds: int, *, spread: Array | None = None, seed: int = 0
) -> list[tuple[Array, Array]]:
    """For each fold the rows outside it, to fit on, and those in it, to judge by.

    Args:
        n: rows, at least 2.
        folds: how many; fewer where there are fewer rows.
        spread: kind of each row, ``[n]``; the rows of a kind are dealt out evenly.
        seed: of the random cut.

    Raises:
        InputError: there are too few rows to cut.
    """
    if n < 2:
        raise InputError("there are fewer than 2 rows to calibrate on: give more, or none")
    order = np.random.default_rng(seed).permutation(n)
    if spread is not None:
        order = order[np.argsort(np.asarray(spread)[order], kind="stable")]
    fold = np.empty(n, np.int64)
    fold[order] = np.arange(n) % min(folds, n)
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(min(folds, n))]


def _temperature(logits: Array, gold: Array) -> float:
    return least_temperature(lambda t: binary_cross_entropy(sigmoid(logits, t), gold))


def _settings(
    labels: Sequence[str], calibration: Mapping[str, Any] | None
) -> tuple[FloatArray, FloatArray]:
    found = calibration or {}
    thresholds, temperatures = found.get("thresholds", {}), found.get("temperatures", {})
    return (
        np.array([thresholds.get(label, PLAIN) for label in labels], np.float64),
        np.array([temperatures.get(label, 1.0) for label in labels], np.float64),
    )


def _at(predicted: Array, gold: Array) -> dict[str, float]:
    return {
        "macro_f1": 100 * float(f1_by_label(predicted, gold).mean()),
        "micro_f1": 100 * micro_f1(predicted, gold),
        "exact_match": 100 * float((predicted == gold.astype(bool)).all(axis=1).mean()),
    }


def _errors(probabilities: FloatArray, gold: Array) -> list[float]:
    pairs = zip(probabilities.T, gold.T.astype(np.float64), strict=True)
    return [expected_calibration_error(sure, has) for sure, has in pairs]


def _mean_error(probabilities: FloatArray, gold: Array) -> float:
    return float(np.mean(_errors(probabilities, gold)))


_FIGURES = (binary_cross_entropy, _mean_error)
"""What a temperature may make no worse."""


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
