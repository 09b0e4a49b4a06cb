"""An answer that is a part of a path, number, name or table's cell → the whole of it."""

from __future__ import annotations

import re
from dataclasses import replace

from potstill.documents.document import APART, COLUMN_NAME
from potstill.records import Answer

_JOINTS = ("/", "@", "\\")
"""Signs that join the parts of a path or address."""
_ENDS = ".:~-"
"""Signs that may stand in one, but not at its end."""
_UNIT = re.compile(
    r"[€£$¥]?\d+(?:[.,:]\d+)+%?"  # 940,500.5  9:30  €5,420.88
    r"|[€£$¥]\d+|\d+%"
    r"|\d{4}-\d\d-\d\d"
    r"|\w[\w-]*(?:\.[a-z0-9][\w-]*)+"  # db-2.internal  fs.open
    r"|[^\W\d_]+-\d+\b"  # HR-17
)
"""What is one thing, though a reader's tokens are parts of it."""
_AROUND = 80
"""Code points in which such a thing is looked for on either side."""
_CELL = 40
"""Most code points of a cell that is given whole: "14 days, 2% discount" for "14 days"."""


def whole(text: str, answer: Answer) -> Answer:
    """An answer whose borders lie in a path, address, number, date, name or short cell."""
    start, end = _path(text, answer.start, answer.end)
    first = max(0, start - _AROUND)
    for unit in _UNIT.finditer(text, first, min(len(text), end + _AROUND)):
        if unit.start() < start < unit.end():
            start = unit.start()
        if unit.start() < end < unit.end():
            end = unit.end()
    start, end = _cell(text, start, end)
    return replace(answer, text=text[start:end], start=start, end=end)


def _cell(text: str, start: int, end: int) -> tuple[int, int]:
    """The value of the cell of a table that an answer lies in, where it is short."""
    first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    last = len(text) if last < 0 else last
    if APART not in text[first:last]:
        return start, end
    a = text.rfind(APART, first, start)
    b = text.find(APART, end, last)
    a = first if a < 0 else a + len(APART)
    b = last if b < 0 else b
    name = COLUMN_NAME.match(text, a, b)
    a = name.end() if name else a
    return (a, b) if a <= start and end <= b <= a + _CELL else (start, end)


def _path(text: str, start: int, end: int) -> tuple[int, int]:
    last = end
    if text[:start].endswith(_JOINTS):
        while start and _is_of_path(text[start - 1]):
            start -= 1
    if text.startswith(_JOINTS, end):
        while end < len(text) and _is_of_path(text[end]):
            end += 1
        while text[end - 1] in _ENDS:
            end -= 1
    return start, max(end, last)


def _is_of_path(sign: str) -> bool:
    return sign.isalnum() or sign in _JOINTS or sign in _ENDS or sign == "_"
