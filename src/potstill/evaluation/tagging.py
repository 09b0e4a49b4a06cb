"""Precision, recall and F1 of tagged spans, as conlleval and seqeval count them; a plain baseline.

A predicted span is right where a gold one has the same words and the same type. Types are counted
apart and together (micro-average), in percent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from potstill.data.tagging import OUTSIDE, Scheme, to_iob2
from potstill.errors import DataError
from potstill.records import TagExample

Span: TypeAlias = "tuple[str, int, int]"
"""Type, first word, one past the last word."""

_BIO: Mapping[str, str] = {"S": "B", "U": "B", "E": "I", "L": "I", "M": "I"}


@dataclass(frozen=True, slots=True)
class TypeScore:
    """How well the spans of one type were found; all shares in percent."""

    precision: float
    """Right ones of those predicted; 0 where none was."""
    recall: float
    """Right ones of the gold ones; 0 where there are none."""
    f1: float
    """Harmonic mean of the two."""
    support: int
    """Gold spans."""


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans that the tags of one sentence mark, in order.

    Read as seqeval does by default and ``conlleval`` always: an ``I-x`` that follows neither
    ``B-x`` nor ``I-x`` begins a span. Tags of IOB1, IOB2, BIOES and BILOU are understood.
    """
    found: list[Span] = []
    start, kind = 0, None
    for i, tag in enumerate([*to_iob2(tags), OUTSIDE]):
        prefix, _, named = tag.partition("-")
        if kind is not None and prefix != "I":
            found.append((kind, start, i))
            kind = None
        if prefix == "B":
            start, kind = i, named
    return found


def score_tags(
    golds: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]], scheme: Scheme = "spans"
) -> dict[str, float]:
    """Scores predicted tags.

    Args:
        golds: the right tags of each sentence.
        predictions: a tag for every word of every sentence.
        scheme: ``plain`` where tags stand for themselves: then there are no spans to score.

    Returns:
        With ``spans``: ``f1``, ``precision``, ``recall`` over spans (micro-average), ``macro_f1``
        (the mean over the types that either side has, as seqeval's), ``accuracy`` over words, in
        whatever scheme each side writes its spans, and ``total``, the gold spans. With ``plain``:
        ``accuracy``, ``macro_f1`` over the tags that either side has, and ``total``, the words.
        All but ``total`` in percent.

    Raises:
        DataError: there is nothing to score, or a sentence has another number of tags.
    """
    _check(golds, predictions)
    alike = _as_bio if scheme == "spans" else list
    words = [
        pair
        for gold, predicted in zip(golds, predictions, strict=True)
        for pair in zip(alike(gold), alike(predicted), strict=True)
    ]
    accuracy = 100.0 * sum(g == p for g, p in words) / len(words)
    types = score_types(golds, predictions, scheme)
    macro = sum(one.f1 for one in types.values()) / len(types) if types else 0.0
    if scheme == "plain":
        return {"accuracy": accuracy, "macro_f1": macro, "total": len(words)}
    every = _counted(*_found(golds, predictions, scheme))
    return {
        "f1": every.f1,
        "precision": every.precision,
        "recall": every.recall,
        "macro_f1": macro,
        "accuracy": accuracy,
        "total": every.support,
    }


def score_types(
    golds: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]], scheme: Scheme = "spans"
) -> dict[str, TypeScore]:
    """Scores every type that either side has by itself; arguments as for `score_tags`.

    Raises:
        DataError: as `score_tags` does.
    """
    _check(golds, predictions)
    gold, predicted = _found(golds, predictions, scheme)
    kinds = sorted({kind for _, kind, *_ in gold | predicted})
    return {
        kind: _counted({s for s in gold if s[1] == kind}, {s for s in predicted if s[1] == kind})
        for kind in kinds
    }


class MostFrequentTag:
    """The plain baseline: every word gets the tag that it mostly had in training."""

    def __init__(self, examples: Iterable[TagExample]) -> None:
        """Counts the tags of every word, and those of all words for words that are new."""
        counts: dict[str, Counter[str]] = {}
        every: Counter[str] = Counter()
        for example in examples:
            for word, tag in zip(example.words, example.tags, strict=True):
                counts.setdefault(word, Counter())[tag] += 1
                every[tag] += 1
        if not every:
            raise DataError("there are no tagged words to count: give data with tags")
        self._usual: Mapping[str, str] = {word: _most(own) for word, own in counts.items()}
        self._otherwise = _most(every)

    def tag_words(self, words: Sequence[str]) -> list[str]:
        """A tag for every word."""
        return [self._usual.get(word, self._otherwise) for word in words]


def _most(counts: Counter[str]) -> str:
    # Equal counts: the tag that sorts first, so that the order of the file does not matter.
    return min(counts, key=lambda tag: (-counts[tag], tag))


def _found(
    golds: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]], scheme: Scheme
) -> tuple[set[tuple[int, str, int, int]], set[tuple[int, str, int, int]]]:
    """Every span of all sentences, with the number of its sentence first."""
    gold, predicted = (
        {
            (number, *span)
            for number, tags in enumerate(sentences)
            for span in (spans(tags) if scheme == "spans" else _words(tags))
        }
        for sentences in (golds, predictions)
    )
    return gold, predicted


def _as_bio(tags: Sequence[str]) -> list[str]:
    """Tags of BIOES and BILOU by the two prefixes of IOB2; others stay, slips in IOB2 too."""
    return [_BIO.get(tag[:1], tag[:1]) + tag[1:] if tag[1:2] in ("-", "") else tag for tag in tags]


def _words(tags: Sequence[str]) -> list[Span]:
    return [(tag, i, i + 1) for i, tag in enumerate(tags)]


def _counted(
    gold: set[tuple[int, str, int, int]], predicted: set[tuple[int, str, int, int]]
) -> TypeScore:
    right = len(gold & predicted)
    precision = 100.0 * right / len(predicted) if predicted else 0.0
    recall = 100.0 * right / len(gold) if gold else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return TypeScore(precision, recall, f1, len(gold))


def _check(golds: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]) -> None:
    if len(golds) != len(predictions):
        raise DataError(
            f"there are {len(golds)} tagged sentences and {len(predictions)} predictions: "
            "predict every sentence of these very data"
        )
    for number, (gold, predicted) in enumerate(zip(golds, predictions, strict=True)):
        if len(gold) != len(predicted):
            raise DataError(
                f"sentence {number} has {len(gold)} tags and {len(predicted)} predictions: "
                "predict a tag for every word"
            )
    if not any(golds):
        raise DataError("there are no tags to score against: give data with a tag for every word")
