"""How sure a reader is of its answers, and how right it is to be: measured, and fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from potstill.errors import InputError
from potstill.evaluation.calibration import (
    FloatArray,
    expected_calibration_error,
    fit_temperature,
    reliability,
    risk_coverage,
)
from potstill.evaluation.qa import score_each
from potstill.evaluation.readings import Predictions, Reading, collect, score_predictions
from potstill.records import QAExample

COVERAGES = (25, 50, 75, 100)
"""Percent of the questions, the most confident ones, at which F1 is reported."""


class ScoredReading(Reading, Protocol):
    """A reading with the probability of "no answer" (`potstill.runtime.reading.Reading`)."""

    @property
    def null_score(self) -> float:
        """Probability of "no answer"; 0 where it was not allowed."""
        ...


Search = Callable[[float, float], Sequence[ScoredReading]]
"""Temperature, null threshold → a reading of each question."""


@dataclass(frozen=True, slots=True, eq=False)
class Confidences:
    """How sure a reader was of each answer, and what the answer was worth.

    Attributes:
        confidence: probability of the answer given, "no answer" included, float64 ``[n]``.
        exact: its exact match, 0 or 1, float64 ``[n]``.
        f1: its F1 in [0, 1], float64 ``[n]``.
    """

    confidence: FloatArray
    exact: FloatArray
    f1: FloatArray

    @property
    def ece(self) -> float:
        """Expected calibration error against exact match, in [0, 1]."""
        return expected_calibration_error(self.confidence, self.exact)

    def figures(self) -> dict[str, float]:
        """``ece``, ``aurc`` (of 1 - F1), both in [0, 1], and ``f1_at_25`` … in percent."""
        curve = risk_coverage(self.confidence, self.f1)
        at = {f"f1_at_{share}": 100.0 * curve.quality_at(share / 100) for share in COVERAGES}
        return {"ece": self.ece, "aurc": curve.area, **at}

    def curve(self) -> dict[str, Any]:
        """The risk–coverage curve, risk being 1 - F1, and the table of a reliability diagram."""
        curve = risk_coverage(self.confidence, self.f1)
        columns = ("coverage", "risk", "threshold")
        return {
            "risk_coverage": {name: np.round(getattr(curve, name), 6).tolist() for name in columns},
            "reliability": [asdict(row) for row in reliability(self.confidence, self.exact)],
        }


def confidences(
    examples: Sequence[QAExample], readings: Sequence[ScoredReading], *, rules_v2: bool
) -> Confidences:
    """Puts what a reader said beside what it should have said.

    Args:
        examples: questions with gold answers.
        readings: one for each, in their order.
        rules_v2: score by the rules of SQuAD v2.0.

    Raises:
        DataError: an example has no gold answer (v1.1).
    """
    answers = collect(examples, readings).answers
    exact, f1s = score_each(examples, answers, no_answer=rules_v2)
    return Confidences(
        np.array([_confidence(reading) for reading in readings], np.float64),
        np.array([exact[example.id] for example in examples], np.float64),
        np.array([f1s[example.id] for example in examples], np.float64),
    )


def no_answer_curve(
    examples: Sequence[QAExample], found: Predictions, *, points: int = 100
) -> dict[str, list[float]]:
    """What every null threshold would be worth, by the rules of SQuAD v2.0.

    Args:
        examples: questions with gold answers, some with none.
        found: what a reader that may say "no answer" said of them.
        points: most thresholds: quantiles of the null odds.

    Returns:
        Columns, thresholds rising: ``threshold``, ``f1``, ``HasAns_f1`` and ``NoAns_f1`` in
        percent. Empty where all questions are of one kind.
    """
    _, f1s = score_each(examples, found.spans, no_answer=True)
    value = np.array([f1s[example.id] for example in examples])
    odds = np.array([found.null_odds[example.id] for example in examples])
    answerable = np.array([bool(example.answers) for example in examples])
    if answerable.all() or not answerable.any():
        return {}
    columns: dict[str, list[float]] = {
        name: [] for name in ("threshold", "f1", "HasAns_f1", "NoAns_f1")
    }
    for threshold in np.unique(np.quantile(odds, np.linspace(0, 1, points), method="lower")):
        worth = 100.0 * np.where(odds > threshold, ~answerable, value)
        means = (worth.mean(), worth[answerable].mean(), worth[~answerable].mean())
        for name, figure in zip(columns, (threshold, *means), strict=True):
            columns[name].append(round(float(figure), 6))
    return columns


def _threshold_keeping(examples: Sequence[QAExample], found: Predictions, share: float) -> float:
    """The least null threshold that leaves ``share`` of the F1 on answerable questions."""
    answerable = [example for example in examples if example.answers]
    _, f1s = score_each(answerable, found.spans, no_answer=True)
    odds = np.array([found.null_odds[example.id] for example in answerable])
    order = np.argsort(odds)
    kept = np.cumsum(np.array([f1s[example.id] for example in answerable])[order])
    last = np.searchsorted(kept, min(share, 1.0) * kept[-1])
    return float(odds[order[min(last, len(order) - 1)]])


def _confidence(reading: ScoredReading) -> float:
    if reading.is_null:
        return reading.null_score
    return reading.spans[0].score if reading.spans else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A null threshold and a temperature, and how they were found."""

    n_questions: int
    n_unanswerable: int
    null_threshold: float | None
    """Null odds above it mean no answer; ``None`` for a model that always answers."""
    temperature: float
    """What logits are divided by before they become probabilities."""
    ece_before: float
    """Expected calibration error at temperature 1, in [0, 1]."""
    ece_after: float
    """The same at ``temperature``; like ``f1``, of the very questions it was fitted on."""
    f1_before: float
    """With a null threshold of 0, in percent."""
    f1: float
    """With ``null_threshold``, in percent."""

    def to_manifest(self) -> Mapping[str, Any]:
        """What `potstill.bundle.manifest.Manifest.calibration` holds."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        for name in ("ece_before", "ece_after", "f1_before", "f1"):
            values[name] = round(values[name], 6)
        return values


def fit_calibration(
    examples: Sequence[QAExample], search: Search, *, no_answer: bool, answers_kept: float = 0.0
) -> Calibration:
    """Fits a null threshold, then a temperature to the answers that threshold gives.

    Args:
        examples: questions with gold answers that the model was not trained on; with
            ``no_answer`` both answerable and unanswerable ones.
        search: reads them at a temperature and a null threshold; called about thirty times, so
            it should keep the logits.
        no_answer: whether the model may say that there is no answer.
        answers_kept: the threshold is the least that leaves this share of the F1 on answerable
            questions; with 0 it is the one that is best for F1 over all.

    Raises:
        InputError: there are no questions, or with ``no_answer`` only questions of one kind.
    """
    n_unanswerable = sum(not example.answers for example in examples)
    if not examples:
        raise InputError("there are no questions to calibrate on: hold some out")
    if no_answer and n_unanswerable in (0, len(examples)):
        raise InputError(
            f"{n_unanswerable} of {len(examples)} questions have no answer: a null threshold is "
            "fitted on questions of both kinds"
        )
    rules_v2 = no_answer or n_unanswerable > 0
    untuned = search(1.0, 0.0)
    found = collect(examples, untuned)
    scores = score_predictions(
        examples,
        found,
        rules_v2=rules_v2,
        null_threshold=0.0 if no_answer else None,
    )
    threshold = scores["best_f1_thresh"] if no_answer else 0.0
    if no_answer and answers_kept:
        threshold = _threshold_keeping(examples, found, answers_kept)
    before = confidences(examples, search(1.0, threshold), rules_v2=rules_v2)

    def confidence_at(temperature: float) -> list[float]:
        return [_confidence(reading) for reading in search(temperature, threshold)]

    temperature = round(fit_temperature(confidence_at, before.exact), 4)
    after = confidences(examples, search(temperature, threshold), rules_v2=rules_v2)
    return Calibration(
        n_questions=len(examples),
        n_unanswerable=n_unanswerable,
        null_threshold=threshold if no_answer else None,
        temperature=temperature,
        ece_before=before.ece,
        ece_after=after.ece,
        f1_before=scores["f1"],
        f1=100.0 * float(after.f1.mean()),
    )
