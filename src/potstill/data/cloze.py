"""Cloze questions: a sentence of a paragraph with a name or a figure replaced by a question word.

Source: Lewis, Denoyer and Riedel, "Unsupervised Question Answering by Cloze Translation", 2019
(arXiv:1906.04980), section 2: the answer is drawn from names, dates and numbers, and the question
word follows its kind (appendix A). Their tagger and parser are rules here, made for English.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_WORD = r"[A-Z][\w’'-]*\w"
_SPAN = re.compile(
    rf"""
    (?P<date>\b(?:\d{{1,2}}\s)?{_MONTH}\s(?:\d{{1,2}},\s)?\d{{4}}\b)
    |(?P<share>(?<![\w.,–-])\d+(?:[.,]\d+)*\s?(?:%|percent\b|per\scent\b))
    |(?P<money>[$£€]\d+(?:[.,]\d+)*(?:\s(?:thousand|million|billion|trillion)\b)?)
    |(?P<number>(?<![\w.,–-])\d+(?:[.,]\d+)*(?![\w–-]|\.\d|,\d))
    |(?P<name>\b{_WORD}(?:\s(?:(?:of|de|la|le|van|von|der)\s)?{_WORD}\b)*)
    """,
    re.VERBOSE,
)
_QUESTION = {"date": "what date", "share": "what percentage", "money": "how much money"}
_BREAK = re.compile(r"(?<=[.!?])[\"”’')\]]*\s+(?=[\"“‘'(\[]?[A-Z0-9])")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|No|vs|cf|ca|c|e\.g|i\.e)|\b[A-Z])\.$")
_OPENERS = frozenset(
    "A After Although An And As At Before Both But By During For From He Her His How However If In "
    "Into It Its Many Most Of On Other She Since So Some Such That The Their There These They "
    "This Those Through To Under Until We What When Where Which While Who Whom Whose Why With "
    "You".split()
)
"""Words that are capital only because a sentence begins with them."""
_YEAR = re.compile(r"1\d\d\d|20\d\d")
_IN = re.compile(r"\b(?:in|since|until|till|before|after|during|late|early) $", re.IGNORECASE)
_PLACE = re.compile(r"\b(?:in|near|throughout|across)(?: the)? $", re.IGNORECASE)
_BEFORE_PERSON = re.compile(
    r"\b(?:by|king|queen|emperor|pope|president|general|minister|poet|author|philosopher) $",
    re.IGNORECASE,
)
_AFTER_PERSON = re.compile(
    r"^ (?:was born|wrote|said|argued|became|died|married|believed|claimed|painted|composed)\b"
)
_FEWEST_WORDS, _MOST_WORDS = 6, 40
"""Of a sentence: a shorter one asks nothing, a longer one is a list or was split wrongly."""


@dataclass(frozen=True, slots=True)
class Cloze:
    """A question, and the piece of its sentence that a question word stands for."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Name:
    """A name, a date or a figure in a text."""

    kind: str
    """``name``, ``date``, ``year``, ``number``, ``share`` or ``money``."""
    start: int
    end: int
    """Its place, in code points."""


def cloze_questions(paragraph: str) -> list[Cloze]:
    """Every cloze question of a paragraph, in the order of the text.

    There are none where the paragraph is a single sentence: it would be question and context at
    once. A span that its sentence repeats is left out, for the question would give it away.
    """
    found = sentences(paragraph)
    if len(found) < 2:
        return []
    return [blank for sentence in found for blank in _blanks(sentence)]


def sentences(paragraph: str) -> list[str]:
    """The sentences of an English paragraph, without the space between them."""
    found: list[str] = []
    start = 0
    for at in _BREAK.finditer(paragraph):
        if not _ABBREVIATION.search(paragraph, max(start, at.start() - 6), at.start()):
            found.append(paragraph[start : at.end()].strip())
            start = at.end()
    found.append(paragraph[start:].strip())
    return [sentence for sentence in found if sentence]


def names(text: str, end: int | None = None) -> Iterator[Name]:
    """The names, dates and figures of a sentence, in its order.

    Args:
        text: the sentence.
        end: where to stop looking.
    """
    for match in _SPAN.finditer(text, 0, len(text) if end is None else end):
        kind = match.lastgroup or ""
        start = _begin(match) if kind == "name" else match.start()
        if kind == "number" and _YEAR.fullmatch(match.group()):
            kind = "year"
        if start < match.end():
            yield Name(kind, start, match.end())


def _blanks(sentence: str) -> Iterator[Cloze]:
    ended = re.search(r"[.!][\"”’')\]]*$", sentence)
    if not ended or not _FEWEST_WORDS <= len(sentence.split()) <= _MOST_WORDS:
        return
    for name in names(sentence, ended.start()):
        answer = sentence[name.start : name.end]
        if sentence.count(answer) > 1:
            continue
        before, after = sentence[: name.start], sentence[name.end : ended.start()]
        word = _question_word(name.kind, before, after)
        yield Cloze(f"{before}{word if before else word.capitalize()}{after}?", answer)


def _begin(match: re.Match[str]) -> int:
    """Where a name begins without the words that only open its sentence; its end if nowhere."""
    start = match.start()
    for word in match.group().split():
        if word not in _OPENERS:
            break
        start += len(word) + 1
    # A lone capital at the start of a sentence says nothing about its word.
    lone = start == 0 and " " not in match.group()
    return match.end() if lone else min(start, match.end())


def _question_word(kind: str, before: str, after: str) -> str:
    if kind in ("year", "number"):
        counts = re.match(r" [a-z]", after)
        if kind == "year" and (_IN.search(before) or not counts):
            return "what year"
        return "how many" if counts else "what number"
    if kind != "name":
        return _QUESTION[kind]
    if _PLACE.search(before):
        return "what place"
    if _BEFORE_PERSON.search(before) or _AFTER_PERSON.search(after):
        return "who"
    return "what"
