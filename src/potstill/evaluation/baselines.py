"""What needs no network: what the labels' frequencies alone give, and TF-IDF with a linear model.

A figure says little by itself: these two are printed beside it.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from potstill.errors import InputError, MissingExtraError
from potstill.evaluation.classification import score
from potstill.evaluation.metrics import Array
from potstill.records import TextExample

BASE_RATE = "base rate"
TFIDF = "TF-IDF + linear"

_LEAST = 1e-6
"""Rates are kept this far from 0 and 1, whose logits are not finite."""


def base_rates(gold: Array, *, problem: str, n_labels: int) -> list[float]:
    """What is known without looking at a text: each label's share of the rows, or the mean target.

    Args:
        gold: of the training data, as for `potstill.evaluation.classification.score`.
        problem: ``single-label``, ``multi-label`` or ``regression``.
        n_labels: how many labels there are.
    """
    gold = np.asarray(gold)
    if problem == "regression":
        return [float(gold.mean())]
    if problem == "multi-label":
        return gold.mean(axis=0).tolist()
    return (np.bincount(gold, minlength=n_labels) / len(gold)).tolist()


def score_base_rates(
    rates: Sequence[float], gold: Array, *, problem: str, labels: Sequence[str]
) -> dict[str, float]:
    """Scores of giving every text the base rates as probabilities.

    Args:
        rates: from `base_rates`.
        gold: what to score on.
        problem: as for `base_rates`.
        labels: their names.
    """
    shares = np.array(rates, np.float64)
    if problem == "regression":
        logits = shares
    else:
        shares = np.clip(shares, _LEAST, 1 - _LEAST)
        logits = np.log(shares) - (np.log1p(-shares) if problem == "multi-label" else 0)
    return score(np.tile(logits, (len(gold), 1)), gold, problem=problem, labels=labels)


def has_sklearn() -> bool:
    """Whether scikit-learn is installed."""
    return importlib.util.find_spec("sklearn") is not None


def score_tfidf(
    train: Sequence[TextExample],
    train_gold: Array,
    dev: Sequence[TextExample],
    dev_gold: Array,
    *,
    problem: str,
    labels: Sequence[str],
) -> dict[str, float]:
    """Scores of TF-IDF features (words and pairs of words) with logistic or ridge regression.

    A pair of texts is described by what its two texts have in common and what they have not.

    Args:
        train: what is learned from.
        train_gold: its labels, as for `base_rates`.
        dev: what is scored on.
        dev_gold: its labels.
        problem: as for `base_rates`.
        labels: their names.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        InputError: there is nothing to learn from: no words, or one label alone.
    """
    if not has_sklearn():
        raise MissingExtraError("scikit-learn", "train", "the TF-IDF baseline")
    from sklearn.exceptions import ConvergenceWarning

    gold = np.asarray(train_gold)
    if problem == "single-label" and len(np.unique(gold)) < 2:
        raise InputError("the TF-IDF baseline needs texts of at least two labels")
    features, scored = _features(train, dev)
    with warnings.catch_warnings():
        # Two hundred iterations are plenty for a figure to compare with.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if problem == "regression":
            logits = _ridge(features, gold, scored)[:, None]
        elif problem == "multi-label":
            columns = [_binary(features, column, scored) for column in gold.T]
            logits = np.stack(columns, axis=1)
        else:
            logits = _multinomial(features, gold, scored, len(labels))
    return score(logits, dev_gold, problem=problem, labels=labels)


def _features(train: Sequence[TextExample], dev: Sequence[TextExample]) -> tuple[Any, Any]:
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        strip_accents="unicode",
        min_df=2 if len(train) > 100 else 1,
        max_features=100_000,
        token_pattern=r"(?u)\b\w+\b",
    )
    try:
        vectorizer.fit([text for e in train for text in (e.text, e.pair) if text is not None])
    except ValueError:  # an empty vocabulary
        raise InputError("the TF-IDF baseline finds no words in the texts") from None

    def described(examples: Sequence[TextExample]) -> Any:
        one = vectorizer.transform([e.text for e in examples])
        if all(e.pair is None for e in examples):
            return one
        other = vectorizer.transform([e.pair or "" for e in examples])
        both = one.multiply(other)
        return hstack([abs(one - other), both, both.sum(axis=1)], format="csr")

    return described(train), described(dev)


def _multinomial(features: Any, gold: Array, scored: Any, n_labels: int) -> Array:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=4.0, max_iter=200, tol=1e-3).fit(features, gold)
    found = np.full((scored.shape[0], n_labels), np.log(_LEAST))
    found[:, model.classes_] = model.predict_log_proba(scored)
    return found


def _binary(features: Any, gold: Array, scored: Any) -> Array:
    from sklearn.linear_model import LogisticRegression

    if gold.all() or not gold.any():
        share = np.clip(gold.mean(), _LEAST, 1 - _LEAST)
        return np.full(scored.shape[0], np.log(share / (1 - share)))
    model = LogisticRegression(C=4.0, max_iter=200, tol=1e-3, solver="liblinear")
    return model.fit(features, gold).decision_function(scored)


def _ridge(features: Any, gold: Array, scored: Any) -> Array:
    from sklearn.linear_model import Ridge

    return Ridge(alpha=1.0, solver="sparse_cg").fit(features, gold).predict(scored)
