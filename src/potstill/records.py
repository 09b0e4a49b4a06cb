"""Frozen values that travel between the rooms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class QAExample:
    """One question about one context, with its gold answers where they are known."""

    id: str
    """Identifier; ids of any JSON type are kept as their string form."""
    question: str
    context: str
    answers: tuple[str, ...] = ()
    """Gold answer texts; empty for an unanswerable or unlabelled question."""
    starts: tuple[int | None, ...] = ()
    """Start of each answer in code points of ``context``; ``None`` where the file does not say."""
    is_impossible: bool = False
    """True where the data say that the context holds no answer (SQuAD v2.0)."""
    title: str = ""
    """The article that the context belongs to, where the file says so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A span of a context that answers a question.

    ``context[start:end] == text`` always holds; ``start`` and ``end`` count code points of the
    caller's own string, half-open.
    """

    text: str
    score: float
    """Probability of this span among all spans of all windows of all contexts asked."""
    start: int
    end: int
    source: int = 0
    """Which context the answer was found in: its index in the list that was asked."""

    def to_dict(self) -> dict[str, Any]:
        """The answer under Hugging Face's keys: ``answer``, ``score``, ``start``, ``end``."""
        return {"answer": self.text, "score": self.score, "start": self.start, "end": self.end}
