"""Readings → predictions → scores."""

from dataclasses import dataclass, field

import pytest

from potstill.evaluation.readings import collect, score_predictions
from potstill.records import Answer, QAExample


@dataclass
class Reading:
    spans: list[Answer] = field(default_factory=list)
    null_odds: float = 0.0
    is_null: bool = False


def example(name, *answers):
    return QAExample(id=name, question="q", context="c", answers=answers, is_impossible=not answers)


def span(text):
    return [Answer(text, 1.0, 0, len(text))]


EXAMPLES = [example("a", "Paris"), example("b"), example("c", "London")]
READINGS = [
    Reading(span("Paris"), -3.0),
    Reading(span("Rome"), 2.0, is_null=True),
    Reading(span("London"), 1.0, is_null=True),
]


def test_best_spans_are_kept_beside_the_answers():
    found = collect(EXAMPLES, iter(READINGS))
    assert found.spans == {"a": "Paris", "b": "Rome", "c": "London"}
    assert found.answers == {"a": "Paris", "b": "", "c": ""}
    assert found.null_odds == {"a": -3.0, "b": 2.0, "c": 1.0}


def test_a_reading_without_a_span_is_an_empty_prediction():
    assert collect(EXAMPLES[:1], [Reading()]).spans == {"a": ""}


def test_as_many_readings_as_examples():
    with pytest.raises(ValueError, match="shorter"):
        collect(EXAMPLES, READINGS[:2])


def test_a_reader_with_a_threshold_is_scored_tuned_and_untuned():
    found = collect(EXAMPLES, READINGS)
    scores = score_predictions(EXAMPLES, found, rules_v2=True, null_threshold=0.0)
    assert scores["exact"] == pytest.approx(200 / 3)
    assert scores["best_exact"] == 100.0
    assert scores["best_exact_thresh"] == 1.0


def test_a_reader_that_cannot_say_no_answer_is_scored_on_its_answers():
    readings = [Reading(r.spans) for r in READINGS]
    found = collect(EXAMPLES, readings)
    scores = score_predictions(EXAMPLES, found, rules_v2=True, null_threshold=None)
    assert scores["NoAns_exact"] == 0
    assert "best_exact" not in scores
