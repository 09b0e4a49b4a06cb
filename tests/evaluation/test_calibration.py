"""Calibration error, temperature and risk against coverage, beside their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.errors import InputError
from potstill.evaluation.calibration import (
    expected_calibration_error,
    fit_temperature,
    reliability,
    risk_coverage,
)

share = st.floats(0, 1)
coarse = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
questions = st.lists(st.tuples(st.one_of(share, coarse), share), min_size=1, max_size=40)


def columns(rows):
    return [c for c, _ in rows], [w for _, w in rows]


@given(rows=questions, bins=st.integers(1, 20))
def test_ece_is_that_of_its_definition(rows, bins):
    confidence, correct = columns(rows)
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for i in range(bins):
        held = [
            j for j, c in enumerate(confidence)
            if edges[i] < c <= edges[i + 1] or (i == 0 and c == 0)
        ]  # fmt: skip
        if held:
            accuracy = sum(correct[j] for j in held) / len(held)
            mean = sum(confidence[j] for j in held) / len(held)
            total += len(held) / len(rows) * abs(accuracy - mean)
    error = expected_calibration_error(confidence, correct, bins)
    assert error == pytest.approx(total, abs=1e-9)
    assert 0 <= error <= 1


@given(st.lists(share, min_size=1), st.integers(1, 20))
def test_ece_of_a_perfect_forecaster_is_0(values, bins):
    assert expected_calibration_error(values, values, bins) == pytest.approx(0, abs=1e-12)
    certain = [float(v > 0.5) for v in values]
    assert expected_calibration_error(certain, certain, bins) == 0


def test_ece_of_one_who_is_sure_and_wrong_is_1():
    assert expected_calibration_error([1.0, 1.0], [0, 0]) == 1


@given(rows=questions, bins=st.integers(1, 20))
def test_every_question_is_in_one_bin(rows, bins):
    table = reliability(*columns(rows), bins)
    assert sum(row.count for row in table) == len(rows)
    assert all(row.count for row in table)
    for row in table:
        assert row.low - 1e-12 <= row.confidence <= row.high + 1e-12
    assert [row.low for row in table] == sorted(row.low for row in table)


@given(rows=questions)
def test_risk_coverage_is_that_of_its_definition(rows):
    """O(n²): the mean risk of the i surest, each tie standing for the mean of those tied."""
    confidence, quality = columns(rows)
    tied = [
        np.mean([q for c, q in zip(confidence, quality, strict=True) if c == own])
        for own in confidence
    ]
    order = sorted(range(len(rows)), key=lambda i: -confidence[i])
    risks = [1 - np.mean([tied[j] for j in order[:i]]) for i in range(1, len(rows) + 1)]
    curve = risk_coverage(confidence, quality)
    assert curve.risk == pytest.approx(np.array(risks), abs=1e-9)
    assert curve.area == pytest.approx(sum(risks) / len(rows), abs=1e-9)
    assert curve.coverage.tolist() == [i / len(rows) for i in range(1, len(rows) + 1)]
    assert curve.threshold.tolist() == sorted(confidence, reverse=True)
    assert curve.quality_at(1.0) == pytest.approx(np.mean(quality), abs=1e-9)


@given(rows=questions, random=st.randoms())
def test_the_order_of_questions_makes_no_difference(rows, random):
    mixed = list(rows)
    random.shuffle(mixed)
    one, other = risk_coverage(*columns(rows)), risk_coverage(*columns(mixed))
    assert one.risk == pytest.approx(other.risk, abs=1e-9)


def test_quality_at_a_coverage():
    curve = risk_coverage([0.9, 0.1, 0.5, 0.7], [1, 0, 0, 1])
    assert [curve.quality_at(c) for c in (0.0, 0.25, 0.26, 0.5, 0.75, 1.0)] == pytest.approx(
        [1, 1, 1, 1, 2 / 3, 1 / 2]
    )
    tenths = risk_coverage(np.linspace(1, 0.1, 10), [1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
    assert tenths.quality_at(0.3) == 1  # 0.1 * 3 is a rounding above 0.3


def softmax(logits):
    masses = np.exp(logits - logits.max(axis=1, keepdims=True))
    return masses / masses.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.7, 5.0])
def test_a_known_temperature_is_found_again(temperature):
    random = np.random.default_rng(7)
    logits = random.normal(0, 4, (20_000, 8))
    drawn = random.random((len(logits), 1))
    gold = (softmax(logits / temperature).cumsum(axis=1) < drawn).sum(axis=1)
    correct = (logits.argmax(axis=1) == gold).astype(float)

    def confidence_at(t):
        return softmax(logits / t).max(axis=1)

    found = fit_temperature(confidence_at, correct)
    assert found == pytest.approx(temperature, rel=0.05)
    before = expected_calibration_error(confidence_at(1.0), correct)
    after = expected_calibration_error(confidence_at(found), correct)
    assert after < 0.02
    assert after < before or temperature == 1.0


@given(truth=st.floats(0.11, 9.5))
def test_a_smooth_likelihood_is_followed_to_a_thousandth(truth):
    """The right confidence is 0.3, and it is had at one temperature alone."""
    odds = math.log(0.3 / 0.7)
    found = fit_temperature(lambda t: [1 / (1 + math.exp(-odds * truth / t))], [0.3])
    assert found == pytest.approx(truth, rel=2e-3)


def test_temperatures_at_the_ends():
    def confidence_at(t):
        return [0.5 + 0.4 / t / 10] * 3

    assert fit_temperature(confidence_at, [1, 1, 1]) == pytest.approx(0.1)
    assert fit_temperature(confidence_at, [0, 0, 0]) == pytest.approx(10)
    assert fit_temperature(lambda _: [0.5], [1]) == pytest.approx(1)  # nothing to choose by


@pytest.mark.parametrize(
    ("confidence", "correct", "message"),
    [
        ([], [], "at least one question"),
        ([0.5], [1, 0], "one of each"),
        ([[0.5]], [[1]], "one of each"),
        ([1.5], [1], "1.5 is not between 0 and 1"),
        ([0.5], [-1], "-1.0 is not between"),
        ([math.nan], [1], "nan is not between"),
    ],
)
def test_what_is_no_probability(confidence, correct, message):
    for function in (expected_calibration_error, risk_coverage):
        with pytest.raises(InputError, match=message):
            function(confidence, correct)
    with pytest.raises(InputError, match=message):
        fit_temperature(lambda _: confidence, correct)


def test_bins():
    with pytest.raises(InputError, match="bins must be at least 1, not 0"):
        reliability([0.5], [1], 0)
