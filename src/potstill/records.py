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


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage; ``passage[start:end] == text``, as for an `Answer`."""

    text: str
    score: float
    start: int
    end: int
    source: int = 0
    """Which passage it stands in: its index in the list that was given."""
    n_tokens: int = 0
    """Tokens of it, by the reader's tokenizer."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "text": self.text,
            "score": self.score,
            "start": self.start,
            "end": self.end,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TextExample:
    """A text, or a pair of texts, with what is known of it."""

    id: str
    text: str
    pair: str | None = None
    label: str | float | tuple[str, ...] | None = None
    """The name of its label, the names of all of them (multi-label), a number (regression), or
    ``None`` where it is unlabelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagExample:
    """A text cut into words, with a tag for each where they are known."""

    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceExample:
    """A text and several ways to go on, with the number of the right one where it is known."""

    id: str
    prompt: str
    choices: tuple[str, ...]
    label: int | None = None


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A label of a text."""

    label: str
    score: float
    """Its probability; for a regression, the value itself."""
    chosen: bool
    """Whether the text is said to have it: the most probable one, or every one above its
    threshold where a text may have several."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"label": self.label, "score": self.score, "chosen": self.chosen}


@dataclass(frozen=True, slots=True)
class Classification:
    """What a classifier says of a text: every label, the most probable first."""

    labels: tuple[LabelScore, ...]
    truncated: bool = False
    """Whether the text was longer than the model reads, so that its end was left out."""

    @property
    def chosen(self) -> tuple[str, ...]:
        """The labels the text is said to have."""
        return tuple(label.label for label in self.labels if label.chosen)


@dataclass(frozen=True, slots=True)
class Entity:
    """A labelled span of a text: ``text`` is its slice ``[start, end)``, in code points."""

    text: str
    label: str
    score: float
    start: int
    end: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "text": self.text,
            "label": self.label,
            "score": self.score,
            "start": self.start,
            "end": self.end,
        }


@dataclass(frozen=True, slots=True)
class ChoiceScore:
    """One of several ways to go on."""

    index: int
    """Its number among the choices that were given."""
    text: str
    score: float
    """Probability among them."""
    truncated: bool = False
    """Whether prompt and choice were longer than the model reads."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "index": self.index,
            "text": self.text,
            "score": self.score,
            "truncated": self.truncated,
        }


@dataclass(frozen=True, slots=True)
class Fill:
    """A token for a masked place."""

    token: str
    token_id: int
    score: float
    sequence: str
    """The text with the token in it."""

    def to_dict(self) -> dict[str, Any]:
        """Under Hugging Face's keys."""
        return {
            "score": self.score,
            "token": self.token_id,
            "token_str": self.token,
            "sequence": self.sequence,
        }
