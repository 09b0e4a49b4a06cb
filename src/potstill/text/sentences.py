"""Text → its sentences, as offsets."""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = re.compile(
    r"(?P<stop>[.!?…]+)[\"'”’»)\]]*\s+(?=[\"'“‘«(\[]*[^\Wa-z_])"  # a stop, then no small letter
    r"|[。！？]+[」』”]?\s*"
    r"|[ \t]*\n[ \t\r]*\n\s*"  # a blank line
    r"|[ \t\r]*\n(?=[ \t]*(?:[-*•‣]|\d{1,3}[.)])[ \t])"  # an item of a list
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


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Half-open offsets of the sentences of a text, without white space around them.

    A sentence ends at a stop that a capital letter or digit follows, unless it is that of an
    abbreviation or an initial; at a blank line; before an item of a list. In a table a row is one.
    """
    at = 0
    for match in (_ROW_END if _CELL in text else _END).finditer(text):
        if match["stop"] == "." and _goes_on(text, at, match.start()):
            continue
        yield from _trimmed(text, at, match.end())
        at = match.end()
    yield from _trimmed(text, at, len(text))


def _goes_on(text: str, start: int, stop: int) -> bool:
    if text[start:stop].strip().isdigit():  # the number of a heading or an item
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
