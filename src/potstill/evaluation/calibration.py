"""Whether confidence can be believed: calibration error, temperature, risk against coverage.

A confidence is the probability a model gives to its own answer; ``correct`` and ``quality`` are
what the answer was worth, in [0, 1]. Everything here is of arrays, one value a question.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from potstill.errors import InputError

FloatArray = npt.NDArray[np.float64]
Values = Sequence[float] | FloatArray

LOWEST, HIGHEST = 0.1, 10.0
"""Temperatures that a fit may give."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The questions whose confidence is in ``(low, high]``; the first bin holds 0 as well."""

    low: float
    high: float
    count: int
    confidence: float
    """Mean over the questions."""
    accuracy: float
    """Mean of what their answers were worth."""


def reliability(confidence: Values, correct: Values, bins: int = 15) -> list[ReliabilityBin]:
    """The table behind a reliability diagram; bins without questions are left out.

    Args:
        confidence: probability of each answer, ``[n]``.
        correct: 1 where it was right and 0 where not, or anything between, ``[n]``.
        bins: number of bins of equal width.

    Raises:
        InputError: the arrays are empty, differ in length or leave [0, 1], or ``bins`` is below 1.

    Source:
        Guo et al., "On Calibration of Modern Neural Networks", 2017 (arXiv:1706.04599), section 2.
    """
    sure, right = _checked(confidence, correct)
    if bins < 1:
        raise InputError(f"bins must be at least 1, not {bins}")
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.maximum(np.searchsorted(edges, sure, side="left") - 1, 0)
    table: list[ReliabilityBin] = []
    for i in np.unique(bin_of).tolist():
        held = bin_of == i
        means = float(sure[held].mean()), float(right[held].mean())
        table.append(ReliabilityBin(float(edges[i]), float(edges[i + 1]), int(held.sum()), *means))
    return table


def expected_calibration_error(confidence: Values, correct: Values, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over the bins, weighted by their questions.

    Args:
        confidence: as for `reliability`, and so are the others.
        correct: see `reliability`.
        bins: see `reliability`.

    Returns:
        ECE in [0, 1]; 0 where every bin is right as often as it says.

    Raises:
        InputError: as for `reliability`.

    Source:
        Guo et al., 2017, equation 3, after Naeini et al., 2015.
    """
    table = reliability(confidence, correct, bins)
    total = sum(row.count for row in table)
    return sum(row.count * abs(row.accuracy - row.confidence) for row in table) / total


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """What is lost when only the questions with the highest confidence are answered.

    Attributes:
        coverage: share of the questions answered: 1/n, 2/n, … 1, float64 ``[n]``.
        risk: mean of 1 - quality over the questions answered, float64 ``[n]``.
        threshold: least confidence among them, float64 ``[n]``.
    """

    coverage: FloatArray
    risk: FloatArray
    threshold: FloatArray

    @property
    def area(self) -> float:
        """AURC: mean risk over all coverages, in [0, 1]; the lower the better."""
        return float(self.risk.mean())

    def quality_at(self, coverage: float) -> float:
        """Mean quality of the share ``coverage`` of questions, rounded up to whole ones."""
        n = len(self.risk)
        # The subtraction keeps rounding of the product from asking for one question more.
        count = math.ceil(coverage * n - 1e-9)
        return 1.0 - float(self.risk[min(max(count, 1), n) - 1])


def risk_coverage(confidence: Values, quality: Values) -> RiskCoverage:
    """The risk–coverage curve of answering only where confidence is high enough.

    Among questions of equal confidence none comes first: each stands for their mean.

    Args:
        confidence: any number that ranks the questions' answers in [0, 1], ``[n]``.
        quality: what each answer is worth, in [0, 1], as exact match or F1, ``[n]``.

    Raises:
        InputError: the arrays are empty, differ in length or leave [0, 1].

    Source:
        Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", 2017
        (arXiv:1705.08500), section 2; for question answering Kamath, Jia and Liang, "Selective
        Question Answering under Domain Shift", 2020 (arXiv:2006.09462), section 3.
    """
    sure, worth = _checked(confidence, quality)
    order = np.argsort(-sure, kind="stable")
    sure, lost = sure[order], 1.0 - worth[order]
    _, group, sizes = np.unique(-sure, return_inverse=True, return_counts=True)
    shared = np.bincount(group, weights=lost) / sizes
    count = np.arange(1, len(sure) + 1)
    risk = np.clip(np.cumsum(shared[group]) / count, 0.0, 1.0)
    return RiskCoverage(count / len(sure), risk, sure)


def fit_temperature(
    confidence_at: Callable[[float], Values],
    correct: Values,
    *,
    low: float = LOWEST,
    high: float = HIGHEST,
) -> float:
    """Finds the temperature at which confidences say best how often answers are right.

    It is the one with the least negative log-likelihood of ``correct`` under the confidences. The
    paper takes the likelihood of the gold class; a reader reports one confidence a question, that
    of its own answer, and many spans are as good as the gold one, so it is that which is fitted.

    Args:
        confidence_at: temperature → confidence of each question's answer, ``[n]``. The answers
            themselves must not depend on the temperature.
        correct: 1 where the answer was right and 0 where not, or anything between, ``[n]``.
        low: least temperature tried.
        high: greatest temperature tried.

    Returns:
        The temperature, to about one part in a thousand; ``low`` or ``high`` where the likelihood
        still rises there, as for answers that are all right.

    Raises:
        InputError: the arrays are empty, differ in length or leave [0, 1].

    Source:
        Guo et al., 2017, section 4.2.
    """

    def loss(log_temperature: float) -> float:
        sure, right = _checked(confidence_at(math.exp(log_temperature)), correct)
        sure = np.clip(sure, 1e-12, 1 - 1e-12)
        return -float((right * np.log(sure) + (1 - right) * np.log1p(-sure)).mean())

    return _least(loss, low, high)


def least_temperature(
    loss_at: Callable[[float], float], *, low: float = LOWEST, high: float = HIGHEST
) -> float:
    """The temperature at which a loss is least, to about one part in a thousand.

    Args:
        loss_at: temperature → loss.
        low: least temperature tried.
        high: greatest temperature tried.
    """
    return _least(lambda log_temperature: loss_at(math.exp(log_temperature)), low, high)


def _least(loss: Callable[[float], float], low: float, high: float) -> float:
    # A grid first: nothing promises a single minimum.
    grid = np.linspace(math.log(low), math.log(high), 13).tolist()
    losses = [loss(point) for point in grid]
    best = min(range(len(grid)), key=lambda i: (losses[i], abs(grid[i])))
    left, right = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    point = _golden_section(loss, left, right)
    return math.exp(point if loss(point) < losses[best] else grid[best])


def _golden_section(loss: Callable[[float], float], left: float, right: float) -> float:
    """Where a function with one minimum in ``[left, right]`` has it, to 0.001."""
    ratio = (math.sqrt(5) - 1) / 2
    a, b = right - ratio * (right - left), left + ratio * (right - left)
    at_a, at_b = loss(a), loss(b)
    while right - left > 1e-3:
        if at_a <= at_b:
            right, b, at_b = b, a, at_a
            a = right - ratio * (right - left)
            at_a = loss(a)
        else:
            left, a, at_a = a, b, at_b
            b = left + ratio * (right - left)
            at_b = loss(b)
    return (left + right) / 2


def _checked(confidence: Values, worth: Values) -> tuple[FloatArray, FloatArray]:
    one, other = np.asarray(confidence, np.float64), np.asarray(worth, np.float64)
    if one.ndim != 1 or one.shape != other.shape or not len(one):
        raise InputError(
            f"confidences of shape {one.shape} and their worth of shape {other.shape}: give one "
            "of each for every question, and at least one question"
        )
    for values in (one, other):
        # Sums of exponentials may come out a rounding above 1.
        wrong = ~((values >= -1e-9) & (values <= 1 + 1e-9))
        if wrong.any():
            raise InputError(f"{values[wrong][0]} is not between 0 and 1")
    return np.clip(one, 0, 1), np.clip(other, 0, 1)
