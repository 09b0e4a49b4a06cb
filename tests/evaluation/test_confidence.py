"""Readings → how sure and how right; threshold and temperature fitted to them."""

import json
import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from potstill.errors import InputError
from potstill.evaluation.confidence import confidences, fit_calibration, no_answer_curve
from potstill.evaluation.qa import score
from potstill.evaluation.readings import collect
from potstill.records import Answer, QAExample


@dataclass
class Reading:
    spans: list[Answer] = field(default_factory=list)
    null_score: float = 0.0
    null_odds: float = 0.0
    is_null: bool = False


def example(name, *answers):
    return QAExample(id=name, question="q", context="c", answers=answers, is_impossible=not answers)


def span(text, score):
    return [Answer(text, score, 0, len(text))]


def test_confidence_is_that_of_the_answer_given():
    examples = [example("a", "Paris"), example("b"), example("c", "Rome"), example("d", "x")]
    readings = [
        Reading(span("the Paris", 0.9), 0.05, -3.0),
        Reading(span("Rome", 0.2), 0.7, 2.0, is_null=True),
        Reading(span("old Rome", 0.4), 0.5, 0.1),  # below the threshold, whatever the scores
        Reading(),
    ]
    found = confidences(examples, readings, rules_v2=True)
    assert found.confidence.tolist() == [0.9, 0.7, 0.4, 0.0]
    assert found.exact.tolist() == [1, 1, 0, 0]
    assert found.f1.tolist() == pytest.approx([1, 1, 2 / 3, 0])
    figures = found.figures()
    assert list(figures) == ["ece", "aurc", "f1_at_25", "f1_at_50", "f1_at_75", "f1_at_100"]
    assert figures["f1_at_75"] == pytest.approx(100 * 8 / 9)
    assert figures["f1_at_100"] == pytest.approx(score(
        examples, collect(examples, readings).answers, no_answer=True)["f1"])  # fmt: skip
    curve = json.loads(json.dumps(found.curve()))
    assert curve["risk_coverage"]["coverage"] == [0.25, 0.5, 0.75, 1.0]
    assert curve["risk_coverage"]["threshold"] == [0.9, 0.7, 0.4, 0.0]
    assert sum(row["count"] for row in curve["reliability"]) == 4


class Reader:
    """A reader of two spans and null, right as often as its logits say at ``temperature``."""

    def __init__(self, n, temperature, *, shift=0.0, answerable=1.0, seed=0):
        random = np.random.default_rng(seed)
        self.examples, self.logits = [], []
        for i in range(n):
            logits = random.normal(0, 3, 2)
            null = random.normal(-2, 2)
            if random.random() < answerable:
                odds = (logits[1] - logits[0]) / temperature
                gold = "one" if random.random() < 1 / (1 + math.exp(odds)) else "two"
                self.examples.append(example(str(i), gold))
            else:
                null += 8
                self.examples.append(example(str(i)))
            self.logits.append((*logits, null + shift))
        self.searches = 0

    def search(self, temperature, null_threshold, *, no_answer):
        self.searches += 1
        for one, two, null in self.logits:
            masses = [math.exp(x / temperature) for x in (one, two, null)]
            total = sum(masses if no_answer else masses[:2])
            text, best, mass = ("one", one, masses[0]) if one > two else ("two", two, masses[1])
            odds = null - best
            null_score = masses[2] / total if no_answer else 0.0
            is_null = no_answer and odds > null_threshold
            yield Reading(span(text, mass / total), null_score, odds, is_null)

    def fit(self, *, no_answer, **more):
        return fit_calibration(
            self.examples,
            lambda t, threshold: list(self.search(t, threshold, no_answer=no_answer)),
            no_answer=no_answer,
            **more,
        )


def test_a_reader_that_always_answers():
    reader = Reader(4000, 2.5)
    found = reader.fit(no_answer=False)
    assert found.temperature == pytest.approx(2.5, rel=0.1)
    assert found.ece_after < 0.03 < found.ece_before
    assert found.f1 == found.f1_before
    assert (found.n_questions, found.n_unanswerable) == (4000, 0)
    assert found.null_threshold is None
    assert "null_threshold" not in found.to_manifest()
    assert reader.searches < 50


def test_a_null_that_is_too_strong_gets_a_threshold():
    reader = Reader(1500, 1.0, shift=6.0, answerable=0.5, seed=1)
    found = reader.fit(no_answer=True)
    assert found.null_threshold is not None and 3 < found.null_threshold < 9
    assert found.f1 > found.f1_before + 5
    readings = list(reader.search(1.0, found.null_threshold, no_answer=True))
    predictions = collect(reader.examples, readings)
    tuned = score(reader.examples, predictions.spans, null_odds=predictions.null_odds,
                  no_answer=True)  # fmt: skip
    assert found.f1 == pytest.approx(tuned["best_f1"])
    assert found.n_unanswerable == sum(e.is_impossible for e in reader.examples)
    written = json.loads(json.dumps(found.to_manifest()))
    assert (written["null_threshold"], written["temperature"]) == (
        found.null_threshold,
        found.temperature,
    )


@pytest.mark.parametrize("share", [0.8, 0.99, 1.0])
def test_a_threshold_may_have_to_leave_most_of_what_is_known(share):
    reader = Reader(1500, 1.0, shift=1.0, answerable=0.5, seed=1)
    threshold = reader.fit(no_answer=True, answers_kept=share).null_threshold
    answerable = [e for e in reader.examples if e.answers]

    def kept(threshold):
        said = reader.search(1.0, threshold, no_answer=True)
        answers = collect(reader.examples, list(said)).answers
        return score(answerable, {e.id: answers[e.id] for e in answerable}, no_answer=True)["f1"]

    assert kept(threshold) >= share * kept(math.inf) - 1e-6
    assert kept(threshold - 0.05) < share * kept(math.inf)


def test_what_cannot_be_calibrated():
    with pytest.raises(InputError, match="hold some out"):
        fit_calibration([], lambda *_: [], no_answer=False)
    for answerable in (0.0, 1.0):
        with pytest.raises(InputError, match="of 5 questions have no answer"):
            Reader(5, 1.0, answerable=answerable).fit(no_answer=True)


def test_the_no_answer_curve_is_the_official_score_at_every_threshold():
    examples = [example("a", "Paris"), example("b"), example("c", "Rome"), example("d")]
    readings = [
        Reading(span("Paris", 0.9), 0.05, -3.0),
        Reading(span("Rome", 0.2), 0.7, 2.0),
        Reading(span("old Rome", 0.4), 0.5, 0.1),
        Reading(span("x", 0.4), 0.5, -1.0),
    ]
    found = collect(examples, readings)
    columns = no_answer_curve(examples, found)
    assert columns["threshold"][0] == -3.0
    assert columns["threshold"][-1] == 2.0
    for row in zip(*columns.values(), strict=True):
        scores = score(
            examples, found.spans, null_odds=found.null_odds, null_threshold=row[0], no_answer=True
        )
        names = ("f1", "HasAns_f1", "NoAns_f1")
        assert row[1:] == pytest.approx([scores[name] for name in names], abs=1e-5)
    assert len(no_answer_curve(examples, found, points=2)["f1"]) == 2
    assert no_answer_curve(examples[:1], collect(examples[:1], readings[:1])) == {}
