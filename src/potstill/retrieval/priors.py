"""What counts beside the reader: the rank of a passage, and in it which row and which column."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from potstill.documents.document import APART, COLUMN_NAME
from potstill.retrieval.words import asked_words, words
from potstill.text.spans import FloatArray
from potstill.text.tokenizer import Encoded, IntArray

ROW = 6.0
"""Logits that a table's row loses which has none of the words that tell the rows apart: what a cell
means is said by the rest of its row, and readers look further."""
COLUMN = 4.0
"""Logits that the cell of a column which the question asks for gains in a row with all of its
words, and that the others of the row lose."""
KIND = 8.0
"""Logits that is lost by what is not written as everything is that the question asks for."""
_NEVER = -np.inf
_CLAUSE = re.compile(
    r"(?:\A|\n[ \t\r]*\n)\s*(\d{1,3}(?:\.\d{1,3})+[.)]?|\d{1,2}[.)])(?=[ \t]+[A-Z\"“(])"
)
"""The number that a paragraph begins with: no answer but to a question for it."""
_CLAUSES = "clause section article paragraph chapter item step number point"
_MONEY = "price cost amount fee rate charge total preis betrag prix"
"""What a column is named whose cells say what something costs."""
_COSTS = "cost price pay worth expensive"
_HOW_MUCH = re.compile(r"\bhow much (?:is|are|was|were)\b", re.IGNORECASE)
"""Asks for a price without a word for it."""


_KINDS = (
    (re.compile(r"\b(?:tele)?phone number|\bfax number|\bwhat number\b.*\bcall\b", re.I),
     re.compile(r"(?<![\d,.])[+(]?\d(?:[ ()/.-]{0,3}\d){4,}(?!,?\d)|\b(?:112|110|911|999|000)\b"
                r"|\bext(?:ension|\.)? ?\d+", re.I)),
    (re.compile(r"\be-?mail address", re.I), re.compile(r"[^\s<>()@]+@[^\s<>()@]+")),
)  # fmt: skip
"""Questions that ask for what is always written in one way, and that way."""


def prior(question: str, text: str, encoded: Encoded, rank: float) -> FloatArray | float:
    """What is added to the logits of a passage's tokens, float32 ``[n]``, or to all of them.

    Args:
        question: that is asked.
        text: of the passage.
        encoded: its tokens.
        rank: what its rank is worth, in logits.
    """
    numbers = [match.span(1) for match in _CLAUSE.finditer(text)]
    kind = next((written for asks, written in _KINDS if asks.search(question)), None)
    if APART not in text and not numbers and kind is None:
        return rank
    asked = set(asked_words(question))
    starts = encoded.offsets[:, 0]
    priors = np.full(len(starts), rank, np.float32)
    if kind is not None:
        of_kind = np.zeros(len(starts), bool)
        for match in kind.finditer(text):
            of_kind |= (starts >= match.start()) & (starts < match.end())
        priors[~of_kind] -= KIND
    if numbers and not asked & _stems(_CLAUSES):
        for a, b in numbers:
            priors[(starts >= a) & (starts < b)] = _NEVER
    rows = [(a, b) for a, b in _parts(text, "\n") if APART in text[a:b]]
    sought = asked | set(words("cost")) if _HOW_MUCH.search(question) else asked
    held = [asked & set(words(text[a:b])) for a, b in rows]
    outside = np.ones(len(starts), bool)
    answered = 0.0
    for (a, b), own, worth in zip(rows, held, _worths(held), strict=True):
        inside = (starts >= a) & (starts < b)
        outside &= ~inside
        priors[inside] -= ROW * (1 - worth)
        answered = max(answered, _weigh_cells(text, (a, b), sought, own, starts, priors))
    priors[outside] -= COLUMN * answered
    return priors


def _worths(held: list[set[str]]) -> list[float]:
    """For each row its share of the asked words that tell the rows apart, the best row's being 1.

    A word that every row has, such as the name of a column, tells nothing, and one of few rows more
    than one of many.
    """
    found = {word: sum(word in own for own in held) for own in held for word in own}
    weights = {word: 1 - n / len(held) for word, n in found.items()}
    worths = [sum(weights[word] for word in own) for own in held]
    best = max(worths, default=0.0)
    total = sum(weights.values()) or 1.0
    return [1 - (best - worth) / total for worth in worths]


def _weigh_cells(
    text: str,
    row: tuple[int, int],
    asked: set[str],
    held: set[str],
    starts: IntArray,
    priors: FloatArray,
) -> float:
    """Adds to the tokens of a row what its cells are worth by the names of their columns.

    A column is asked for where the question names it and says nothing of what stands there:
    "customer" of "the customer Brown" is what a row is known by. Gives the share of the question's
    words that the row has, where it has a cell that is asked for; else 0.
    """
    a, b = row
    cells = [(a + c, a + d) for c, d in _parts(text[a:b], re.escape(APART))]
    names = [COLUMN_NAME.match(text, c, d) for c, d in cells]
    wanted = [
        bool(name and _names(name[0], asked) and not asked & set(words(text[name.end() : d])))
        for name, (_, d) in zip(names, cells, strict=True)
    ]
    pairs = zip(names, wanted, strict=True)
    if any(name is not None and is_wanted and _is_money(name[0]) for name, is_wanted in pairs):
        held = held | (asked & _stems(_COSTS))
    share = len(held) / max(1, len(asked))
    for (c, d), name, is_wanted in zip(cells, names, wanted, strict=True):
        if name is None:
            continue
        inside = (starts >= c) & (starts < d)
        if any(wanted):
            priors[inside] += COLUMN * share if is_wanted else -COLUMN
        priors[inside & (starts < name.end())] = _NEVER  # the name of a column is no answer
    return share if any(wanted) else 0.0


def _names(column: str, asked: set[str]) -> bool:
    """Whether a question asks for a column, by a word of its name or one that means as much."""
    return bool(set(words(column)) & asked) or (_is_money(column) and bool(asked & _stems(_COSTS)))


def _is_money(column: str) -> bool:
    return bool(set(words(column)) & _stems(_MONEY))


@cache
def _stems(text: str) -> frozenset[str]:
    return frozenset(words(text))


def _parts(text: str, border: str) -> list[tuple[int, int]]:
    """Where the parts of a text stand that a border parts, each with the border behind it."""
    ends = [match.end() for match in re.finditer(rf"{border}|\Z", text)]
    return list(zip([0, *ends], ends, strict=False))
