"""Exact match and F1 of predicted answers, equal to the official SQuAD scripts.

The two scripts differ, and so do the rules here. v1.1 takes the best score over the gold answers
as they are, and F1 is 0 where nothing overlaps. v2.0 sets aside gold answers that normalise to
nothing, counts a question without gold answers as answered by ``""``, gives F1 1 where prediction
and gold are both empty, and drops predictions whose null odds are above a threshold.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from potstill.data.files import read_json
from potstill.data.normal import normalize_answer
from potstill.errors import DataError
from potstill.evaluation.thresholds import best_threshold
from potstill.records import QAExample

NULL_THRESHOLD = 1.0
"""Where no threshold is given: the v2.0 script's own default, meant for probabilities."""

Scores = dict[str, float]


def exact_match(prediction: str, gold: str) -> float:
    """1.0 where both texts normalise to the same, else 0.0."""
    return float(normalize_answer(prediction) == normalize_answer(gold))


def f1(prediction: str, gold: str, *, no_answer: bool = False) -> float:
    """Harmonic mean of precision and recall over normalised words, in [0, 1].

    Args:
        prediction: the predicted text.
        gold: the text it should be.
        no_answer: score as v2.0 does: two texts without words agree (1.0).
    """
    return _overlap(normalize_answer(prediction).split(), normalize_answer(gold).split(), no_answer)


def score(
    examples: Sequence[QAExample],
    predictions: Mapping[str, str],
    *,
    null_odds: Mapping[str, float] | None = None,
    null_threshold: float | None = None,
    allow_missing: bool = False,
    no_answer: bool | None = None,
) -> Scores:
    """Scores predictions as the official SQuAD scripts do, in percent.

    Args:
        examples: questions with gold answers.
        predictions: question id → predicted text, ``""`` for no answer.
        null_odds: question id → how strongly the model leans to "no answer" (v2.0 only).
        null_threshold: predictions whose null odds are strictly above it count as ``""``;
            :data:`NULL_THRESHOLD` where ``None``.
        allow_missing: score questions without a prediction as 0 and ignore predictions of
            questions that are not among ``examples``, as the v1.1 script does. The v2.0 script
            leaves missing ones out of the denominator instead, which makes part of a file look
            like all of it; this function never does.
        no_answer: whether the rules of v2.0 apply; by default where any example is impossible.

    Returns:
        ``exact``, ``f1``, ``total``; by v2.0's rules also ``HasAns_*`` and ``NoAns_*`` for the
        groups there are, and with ``null_odds`` ``best_exact``, ``best_exact_thresh``,
        ``best_f1``, ``best_f1_thresh``: the figures had the threshold been tuned on these very
        questions, beside the untuned ones. With ``allow_missing`` also ``missing`` and
        ``foreign``, the numbers of such ids.

    Raises:
        DataError: ids are missing or foreign, an example has no gold answer (v1.1), or null odds
            are absent for a predicted id, foreign, or not a number.
    """
    if no_answer is None:
        no_answer = any(example.is_impossible for example in examples)
    if not examples:
        raise DataError("there are no questions to score: give a data file that holds some")
    missing, foreign = _check_ids(examples, predictions, allow_missing)
    answered = [example for example in examples if example.id in predictions]
    exact, f1s = score_each(answered, predictions, no_answer=no_answer)
    if no_answer:
        scores = _score_groups(
            examples, predictions, exact, f1s, null_odds, null_threshold, allow_missing
        )
    elif null_odds is not None:
        raise DataError("null odds have no meaning by v1.1's rules: give v2.0 data or drop them")
    else:
        scores = _means(exact, f1s, examples)
    if allow_missing:
        scores.update(missing=missing, foreign=foreign)
    return scores


def score_each(
    examples: Iterable[QAExample], predictions: Mapping[str, str], *, no_answer: bool
) -> tuple[Scores, Scores]:
    """Exact match and F1 of every question by itself, as its prediction stands.

    Args:
        examples: questions with gold answers.
        predictions: question id → predicted text, ``""`` for no answer.
        no_answer: score as v2.0 does.

    Returns:
        Exact match and F1, question id → value in [0, 1].

    Raises:
        DataError: an example has no gold answer (v1.1).
    """
    exact: Scores = {}
    f1s: Scores = {}
    for example in examples:
        golds = [normalize_answer(text) for text in example.answers]
        if no_answer:
            golds = [gold for gold in golds if gold] or [""]
        elif not golds:
            raise DataError(f"question {example.id!r} has no gold answer to score against")
        prediction = normalize_answer(predictions[example.id])
        exact[example.id] = float(prediction in golds)
        words = prediction.split()
        f1s[example.id] = max(_overlap(words, gold.split(), no_answer) for gold in golds)
    return exact, f1s


def read_predictions(path: str | Path) -> dict[str, str]:
    """Reads a predictions file: one JSON object, question id → text; plain, .gz or .xz.

    Raises:
        DataError: the file cannot be read or holds anything else.
    """
    values = _read_object(path, "predictions: question id → text")
    for name, text in values.items():
        if not isinstance(text, str):
            raise DataError(f"{path}: the prediction of {name!r} is not a string: {text!r:.60}")
    return values  # type: ignore[return-value]


def read_null_odds(path: str | Path) -> dict[str, float]:
    """Reads null odds: one JSON object, question id → number; plain, .gz or .xz.

    Raises:
        DataError: the file cannot be read or holds anything else.
    """
    values = _read_object(path, "null odds: question id → number")
    for name, odds in values.items():
        if not _is_number(odds):
            raise DataError(f"{path}: the null odds of {name!r} are no finite number: {odds!r:.60}")
    return values  # type: ignore[return-value]


def _read_object(path: str | Path, what: str) -> dict[str, object]:
    values = read_json(path)
    if not isinstance(values, dict):
        raise DataError(f"{path} holds a {type(values).__name__}, not a JSON object of {what}")
    return values


def _is_number(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    # Not math.isfinite: an integer of hundreds of digits would overflow it.
    return -sys.float_info.max <= value <= sys.float_info.max


def _overlap(prediction: list[str], gold: list[str], no_answer: bool) -> float:
    if no_answer and not (prediction and gold):
        return float(prediction == gold)
    common = sum((Counter(prediction) & Counter(gold)).values())
    if not common:
        return 0.0
    precision, recall = common / len(prediction), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def _score_groups(
    examples: Sequence[QAExample],
    predictions: Mapping[str, str],
    exact: Scores,
    f1s: Scores,
    null_odds: Mapping[str, float] | None,
    null_threshold: float | None,
    allow_missing: bool,
) -> Scores:
    """By v2.0's rules: all questions, those with and those without an answer, tuned figures."""
    threshold = NULL_THRESHOLD if null_threshold is None else null_threshold
    answerable = {example.id: bool(example.answers) for example in examples}
    if null_odds is not None:
        _check_odds(answerable, predictions, null_odds, allow_missing)

    def dropped(values: Scores) -> Scores:
        if null_odds is None:
            return values
        return {
            name: float(not answerable[name]) if null_odds[name] > threshold else value
            for name, value in values.items()
        }

    kept = dropped(exact), dropped(f1s)
    scores = _means(*kept, examples)
    for prefix, wanted in (("HasAns", True), ("NoAns", False)):
        group = [example for example in examples if answerable[example.id] is wanted]
        if group:
            means = _means(*kept, group)
            scores.update({f"{prefix}_{key}": value for key, value in means.items()})
    if null_odds is not None:
        answered = {name: bool(predictions[name]) for name in exact}
        for key, values in (("exact", exact), ("f1", f1s)):
            scores[f"best_{key}"], scores[f"best_{key}_thresh"] = best_threshold(
                values, null_odds, answered=answered, answerable=answerable, total=len(examples)
            )
    return scores


def _means(exact: Scores, f1s: Scores, examples: Sequence[QAExample]) -> Scores:
    total = len(examples)
    return {
        "exact": 100.0 * sum(exact.get(example.id, 0.0) for example in examples) / total,
        "f1": 100.0 * sum(f1s.get(example.id, 0.0) for example in examples) / total,
        "total": total,
    }


def _check_ids(
    examples: Sequence[QAExample], predictions: Mapping[str, str], allow_missing: bool
) -> tuple[int, int]:
    wanted = {example.id for example in examples}
    missing = [example.id for example in examples if example.id not in predictions]
    foreign = [name for name in predictions if name not in wanted]
    if (missing or foreign) and not allow_missing:
        raise DataError(
            f"predictions lack {len(missing)} of {len(examples)} questions and hold "
            f"{len(foreign)} foreign ids (first: {(missing + foreign)[0]!r}): give predictions of "
            "this very data, or score missing ones as 0 (allow_missing, --allow-missing)"
        )
    return len(missing), len(foreign)


def _check_odds(
    answerable: Mapping[str, bool],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float],
    allow_missing: bool,
) -> None:
    missing = [name for name in answerable if name in predictions and name not in null_odds]
    foreign = [] if allow_missing else [name for name in null_odds if name not in answerable]
    if missing or foreign:
        raise DataError(
            f"null odds lack {len(missing)} predicted questions and hold {len(foreign)} foreign "
            f"ids (first: {(missing + foreign)[0]!r}): give those of these very predictions"
        )
