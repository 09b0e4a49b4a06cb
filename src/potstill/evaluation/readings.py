"""What a reader found for many questions → predictions → scores.

Evaluation at the command line, at the export gate and after training all score through here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from potstill.evaluation.qa import Scores, score
from potstill.records import Answer, QAExample


class Reading(Protocol):
    """All that a reader found for one question (`potstill.runtime.reading.Reading`)."""

    @property
    def spans(self) -> Sequence[Answer]:
        """The best spans, best first, whether or not "no answer" was thought better."""
        ...

    @property
    def null_odds(self) -> float:
        """Logit of "no answer" less that of the best span."""
        ...

    @property
    def is_null(self) -> bool:
        """Whether "no answer" won."""
        ...


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions of many questions, by question id."""

    spans: dict[str, str]
    """The best span of each, whether or not "no answer" won."""
    answers: dict[str, str]
    """The same, with ``""`` where "no answer" won."""
    null_odds: dict[str, float]


def collect(examples: Sequence[QAExample], readings: Iterable[Reading]) -> Predictions:
    """Puts readings, one for each example and in their order, under the examples' ids."""
    found = Predictions({}, {}, {})
    for example, reading in zip(examples, readings, strict=True):
        text = reading.spans[0].text if reading.spans else ""
        found.spans[example.id] = text
        found.answers[example.id] = "" if reading.is_null else text
        found.null_odds[example.id] = reading.null_odds
    return found


def score_predictions(
    examples: Sequence[QAExample],
    found: Predictions,
    *,
    rules_v2: bool,
    null_threshold: float | None,
) -> Scores:
    """Scores predictions, see `potstill.evaluation.qa.score`.

    Args:
        examples: questions with gold answers.
        found: what `collect` made of them.
        rules_v2: score by the rules of SQuAD v2.0.
        null_threshold: the reader's, if it may say that there is no answer, else ``None``; by
            v2.0's rules the tuned threshold is then searched too.
    """
    nullable = rules_v2 and null_threshold is not None
    return score(
        examples,
        found.spans if nullable else found.answers,
        null_odds=found.null_odds if nullable else None,
        null_threshold=null_threshold if nullable else None,
        no_answer=rules_v2,
    )
