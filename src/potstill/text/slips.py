"""Mistyped words: two letters swapped, one missing, or one too many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from potstill.text.tokenizer import Encoded

LONGEST = 128
"""Tokens of the longest question that is looked at."""
MOST = 4
"""Words of a question, or of a search, that are sought."""
_WORD = re.compile(r"[^\W\d_]+")
_LEAST = 4
"""Letters of the shortest word that is looked at: too many others are near to shorter ones."""


def is_slip(typed: str, meant: str) -> bool:
    """Whether one word is the other with two letters swapped, one missing or one more.

    The first letter is never mistyped, and one letter in place of another is no slip: Meier is not
    Meyer. Words are compared as they stand.
    """
    if not (typed.isalpha() and meant.isalpha() and min(len(typed), len(meant)) >= _LEAST):
        return False
    same = 0
    while same < min(len(typed), len(meant)) and typed[same] == meant[same]:
        same += 1
    one, other = typed[same:], meant[same:]
    swapped = one[1:2] + one[:1] + one[2:]
    return same > 0 and one != other and (one[1:] == other or other[1:] == one or swapped == other)


def mended(question: str, encoded: Encoded, texts: Sequence[str]) -> str:
    """A question whose mistyped words are those of the texts that it is asked of.

    Only a word that the vocabulary does not have whole and no text has is taken for another one,
    and only where exactly one word of the texts is a slip away. Nobody types a question that is
    longer than `LONGEST`, or mistypes more than `MOST` words of one: what is beyond stays.

    Args:
        question: as it was typed.
        encoded: its tokens.
        texts: what it is asked of.
    """
    if len(encoded) > LONGEST:
        return question
    lowered: list[str] | None = None
    parts: list[str] = []
    at = sought = 0
    for found in _WORD.finditer(question):
        typed = found[0].lower()
        if len(typed) < _LEAST or _is_known(encoded, *found.span()):
            continue
        lowered = lowered or [text.lower() for text in texts]
        if any(typed in text for text in lowered):
            continue
        meant = _meant(typed, texts)
        if meant is not None:
            parts += [question[at : found.start()], meant]
            at = found.end()
        sought += 1
        if sought == MOST:
            break
    return "".join([*parts, question[at:]])


def _is_known(encoded: Encoded, start: int, end: int) -> bool:
    offsets = encoded.offsets
    return int(((offsets[:, 0] >= start) & (offsets[:, 1] <= end)).sum()) < 2


def _meant(typed: str, texts: Iterable[str]) -> str | None:
    near: dict[str, str] = {}
    for text in texts:
        for word in dict.fromkeys(_WORD.findall(text)):
            if abs(len(word) - len(typed)) < 2 and is_slip(typed, word.lower()):
                near.setdefault(word.lower(), word)
    return next(iter(near.values())) if len(near) == 1 else None
