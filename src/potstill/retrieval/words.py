"""Text → the words it is searched by: lower case, without accents, endings and function words."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

NAME = "words-1"
"""Of this analysis, as index folders know it: another analysis gets another name."""

_LONGEST = 60
_FUNCTION_WORDS = (
    "a an and are as at be been but by did do does for from had has have how in into is it its of "
    "on or s t than that the their there these they this to was were what when where which who "
    "whom whose why will with"
).split()
"""Words that nearly every passage has: they find nothing, and make an index larger by a fifth."""
_WORD = r"[\p{Han}\p{Hiragana}\p{Katakana}]|[\p{L}\p{N}\p{M}--[\p{Han}\p{Hiragana}\p{Katakana}]]+"
"""A word, or a sign of a script that puts no spaces between words."""


ALIKE = {"price": "cost", "fee": "cost", "fare": "cost", "expens": "cost"}
"""Words without endings that are looked for as if they were another: a table has a price where a
question has costs."""
_HOW = re.compile(r"\bhow (?:much|many)\b", re.IGNORECASE)


@cache
def analyzer() -> Any:
    """What cuts texts into words, in the form that tantivy takes."""
    from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

    return (
        TextAnalyzerBuilder(Tokenizer.regex(_WORD))
        .filter(Filter.remove_long(_LONGEST))
        .filter(Filter.lowercase())
        .filter(Filter.ascii_fold())
        .filter(Filter.custom_stopword(list[str](_FUNCTION_WORDS)))
        .filter(Filter.stemmer("english"))
        .build()
    )


def words(text: str) -> list[str]:
    """The words of a text, in order."""
    return analyzer().analyze(text)


def asked_words(question: str) -> list[str]:
    """The words of a question that a text which answers it is likely to have."""
    return words(_HOW.sub(" ", question))
