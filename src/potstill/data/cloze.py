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
    "A After Although An And As At Before Both But By During For From He Her His However If In "
    "Into It Its Many Most Of On Other She Since So Some Such That The Their There These They "
    "This Those Through To Under Until We When Where While With You".split()
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


def cloze_questions(paragraph: str) -> list[Cloze]:
    """Every cloze question of a paragraph, in the order of the text.

    There are none where the paragraph is a single sentence: it would be question and context at
    once. A span that its sentence repeats is left out, for the question would give it away.
    """
    sentences = _sentences(paragraph)
    if len(sentences) < 2:
        return []
    return [found for sentence in sentences for found in _blanks(sentence)]


def _sentences(paragraph: str) -> list[str]:
    sentences: list[str] = []
    start = 0
    for at in _BREAK.finditer(paragraph):
        if not _ABBREVIATION.search(paragraph, max(start, at.start() - 6), at.start()):
            sentences.append(paragraph[start : at.end()].strip())
            start = at.end()
    sentences.append(paragraph[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _blanks(sentence: str) -> Iterator[Cloze]:
    ended = re.search(r"[.!][\"”’')\]]*$", sentence)
    if not ended or not _FEWEST_WORDS <= len(sentence.split()) <= _MOST_WORDS:
        return
    for match in _SPAN.finditer(sentence, 0, ended.start()):
        kind = match.lastgroup or ""
        start = _begin(match) if kind == "name" else match.start()
        answer = sentence[start : match.end()]
        if start == match.end() or sentence.count(answer) > 1:
            continue
        before, after = sentence[:start], sentence[match.end() : ended.start()]
        word = _question_word(kind, before, answer, after)
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


def _question_word(kind: str, before: str, answer: str, after: str) -> str:
    if kind == "number":
        counts = re.match(r" [a-z]", after)
        if _YEAR.fullmatch(answer) and (_IN.search(before) or not counts):
            return "what year"
        return "how many" if counts else "what number"
    if kind != "name":
        return _QUESTION[kind]
    if _PLACE.search(before):
        return "what place"
    if _BEFORE_PERSON.search(before) or _AFTER_PERSON.search(after):
        return "who"
    return "what"
