"""Accuracy of chosen endings, beside what the commonest position alone would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from potstill.errors import DataError, MissingExtraError
from potstill.records import ChoiceExample


def score_choices(
    examples: Sequence[ChoiceExample], predictions: Sequence[int]
) -> dict[str, float]:
    """Scores predicted choices.

    Args:
        examples: with their labels.
        predictions: the number of the choice that was made in each.

    Returns:
        ``accuracy`` in percent and ``total``, the examples.

    Raises:
        DataError: there is nothing to score, an example has no label, or the numbers differ.
    """
    if len(examples) != len(predictions):
        raise DataError(
            f"there are {len(examples)} rows and {len(predictions)} predictions: "
            "predict every row of these very data"
        )
    labels = _labels(examples)
    right = sum(label == made for label, made in zip(labels, predictions, strict=True))
    return {"accuracy": 100.0 * right / len(examples), "total": len(examples)}


def chance(examples: Sequence[ChoiceExample]) -> float:
    """Accuracy of a guess among the choices of each row, on average, in percent.

    Raises:
        DataError: there are no examples.
    """
    _labels(examples)
    return 100.0 * sum(1 / len(example.choices) for example in examples) / len(examples)


def baselines(
    train: Sequence[ChoiceExample], examples: Sequence[ChoiceExample], *, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Scores of a guess, of the commonest position and, with scikit-learn, of the endings' words.

    Args:
        train: with labels, to fit on.
        examples: with labels, to score on.
        seed: of the regression on words.

    Raises:
        DataError: there is nothing to fit or to score.
    """
    found = {
        "a guess": {"accuracy": chance(examples), "total": float(len(examples))},
        "the commonest position": commonest_position(train, examples),
    }
    with suppress(MissingExtraError):  # the only one that needs a library
        found["TF-IDF of the endings"] = tfidf_endings(train, examples, seed=seed)
    return found


def commonest_position(
    train: Sequence[ChoiceExample], examples: Sequence[ChoiceExample]
) -> dict[str, float]:
    """The scores of always making the choice that is right most often in ``train``.

    Raises:
        DataError: there is nothing to count or to score.
    """
    counts = Counter(_labels(train))
    usual = min(counts, key=lambda position: (-counts[position], position))
    return score_choices(examples, [usual] * len(examples))


def tfidf_endings(
    train: Sequence[ChoiceExample], examples: Sequence[ChoiceExample], *, seed: int = 0
) -> dict[str, float]:
    """The scores of a linear model that sees the choices alone, not their prompts.

    TF-IDF of their words and pairs of words, and a logistic regression of whether each is right:
    what can be had from how right endings are written.

    Args:
        train: with labels, to fit on.
        examples: with labels, to score on.
        seed: of the regression.

    Raises:
        DataError: there is nothing to fit or to score.
        MissingExtraError: scikit-learn is not installed.
    """
    golds = _labels(train)
    _labels(examples)
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-learn", "train", "the TF-IDF baseline") from None
    model: Any = make_pipeline(
        # Whatever is no blank is a word: no ending is left without one.
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", sublinear_tf=True),
        LogisticRegression(max_iter=1000, random_state=seed),
    )
    texts = [choice for example in train for choice in example.choices]
    right = [
        number == gold
        for example, gold in zip(train, golds, strict=True)
        for number in range(len(example.choices))
    ]
    model.fit(texts, right)
    made = [int(model.predict_proba(example.choices)[:, 1].argmax()) for example in examples]
    return score_choices(examples, made)


def _labels(examples: Sequence[ChoiceExample]) -> list[int]:
    if not examples:
        raise DataError("there are no rows to score: give a data file that holds some")
    labels: list[int] = []
    for example in examples:
        if example.label is None:
            raise DataError(f"row {example.id!r} has no label: add the number of the right choice")
        labels.append(example.label)
    return labels
