"""Text → its sentences, as offsets."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Each alternative begins where a run of its signs begins: from within one it would find nothing
# else, and trying that at each of many blanks takes hours.
_END = re.compile(
    r"(?<![.!?…])(?P<stop>[.!?…]+)[\"'”’»)\]]*\s+"
    r"(?=[\"'“‘«(\[]*[^\Wa-z_])"  # a stop, then no small letter
    r"|(?<![。！？])[。！？]+[」』”]?\s*"
    r"|(?<![ \t])[ \t]*\n[ \t\r]*\n\s*"  # a blank line
    r"|(?<![ \t\r])[ \t\r]*\n(?=[ \t]*(?:[-*•‣]|\d{1,3}[.)])[ \t])"  # an item of a list
)
_ROW_END = re.compile(r"(?P<stop>)\n")
_CELL = " |\t"
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st sen rep gov gen col lt sgt capt rev hon jr sr inc ltd co corp bros vs "
    "etc cf ca al approx dept est fig figs eq no nos vol vols ed eds p pp ch sec art jan feb mar "
    "apr jun jul aug sep sept oct nov dec".split()
)
"""Words behind whose stop a sentence goes on."""
_WORD = re.compile(r"[^\W\d_]+$")
_BLANK = re.compile(r"\s*")
_NUMBER = re.compile(r"\d+\s*")


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Half-open offsets of the sentences of a text, without white space around them.

    A sentence ends at a stop that a capital letter or digit follows, unless it is that of an
    abbreviation or an initial; at a blank line; before an item of a list. In a table a row is one.
    """
    at, first = 0, _after_blanks(text, 0)
    for match in (_ROW_END if _CELL in text else _END).finditer(text):
        if match["stop"] == "." and _goes_on(text, first, match.start()):
            continue
        yield from _trimmed(text, at, match.end())
        at = match.end()
        first = _after_blanks(text, at)
    yield from _trimmed(text, at, len(text))


def _after_blanks(text: str, at: int) -> int:
    blanks = _BLANK.match(text, at)
    return blanks.end() if blanks else at


def _goes_on(text: str, start: int, stop: int) -> bool:
    if _NUMBER.fullmatch(text, start, stop):  # the number of a heading or an item
        return True
    word = _WORD.search(text, max(start, stop - 20), stop)
    if word is None:
        return False
    letters = word[0]
    return (len(letters) == 1 and letters.isupper()) or letters.lower() in _ABBREVIATIONS


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    part = text[start:end]
    first = start + len(part) - len(part.lstrip())
    last = start + len(part.rstrip())
    if first < last:
        yield first, last
