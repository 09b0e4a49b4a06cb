"""Documents → passages: parts short enough to be read at once, which end where a paragraph does."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from potstill.documents.document import Document, Place

_USUAL = 1000
"""Code points that paragraphs are put together to: with a question about half a window."""
_LONGEST = 1400
"""Code points of a paragraph that is not cut."""
_SHARED = 200
"""Most code points that two parts of a paragraph share: the sentence at the cut."""
_SECTION = 400
"""Code points from which a passage ends before a heading."""
CHUNK = 128_000
"""Code points of the passages that are kept together."""
_MOST = 2000
"""Passages that are kept together."""

PARAGRAPH_END = re.compile(r"\n[ \t\r]*\n\s*")
_CUT = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|\n+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Passages that stand one behind the other, with the text that they are parts of."""

    start: int
    """Where ``text`` begins in its document."""
    text: str
    marks: Sequence[tuple[int, Place]]
    """Places within ``text``, as those of a document; with lines, where it is one of lines."""
    passages: Sequence[tuple[int, int]]
    """Offsets into ``text``, half-open."""
    lines: bool

    def heading(self, at: int) -> str:
        """The headings above the code point at offset ``at`` of ``text``."""
        return Document(name="", text="", marks=self.marks).place_of_mark(at).heading

    def place(self, at: int) -> Place:
        """Where the code point at offset ``at`` of ``text`` stands."""
        found = Document(name="", text=self.text, marks=self.marks).place(at)
        if not self.lines:
            return found
        first = self.marks[0][1].line or 1
        return replace(found, line=first + self.text.count("\n", 0, at))


def chunks(document: Document) -> Iterator[Chunk]:
    """All of a document, as passages in chunks."""
    own: list[tuple[int, int]] = []
    n_lines, counted = 1, 0
    for passage in passages(document):
        if own and (passage[1] - own[0][0] > CHUNK or len(own) >= _MOST):
            yield _chunk(document, own, n_lines)
            n_lines += document.text.count("\n", counted, passage[0])
            counted = passage[0]
            own = []
        if not own:
            n_lines += document.text.count("\n", counted, passage[0])
            counted = passage[0]
        own.append(passage)
    if own:
        yield _chunk(document, own, n_lines)


def _chunk(document: Document, own: Sequence[tuple[int, int]], first_line: int) -> Chunk:
    start, end = own[0][0], own[-1][1]
    inside = [(at - start, place) for at, place in document.marks if start < at < end]
    first = replace(document.place_of_mark(start), line=first_line if document.lines else None)
    return Chunk(
        start,
        document.text[start:end],
        [(0, first), *inside],
        [(a - start, b - start) for a, b in own],
        document.lines,
    )


def passages(document: Document) -> Iterator[tuple[int, int]]:
    """Offsets of the passages of a document: together they hold all of its words.

    Paragraphs are put together up to about 1,000 code points, but not across pages or sheets, nor
    across a heading where there is enough before it. Only a long paragraph is cut, at the end of a
    sentence or line, and the next part repeats the last sentence.
    """
    start = end = -1
    for a, b, apart in _paragraphs(document):
        full = start >= 0 and b - start > _USUAL
        if start >= 0 and (full or apart == 2 or (apart == 1 and end - start >= _SECTION)):
            yield from _cut(document.text, start, end)
            start = a
        start = a if start < 0 else start
        end = b
    if start >= 0:
        yield from _cut(document.text, start, end)


def _paragraphs(document: Document) -> Iterator[tuple[int, int, int]]:
    """Paragraphs, and how far apart each is from the one before: 1 by a heading, 2 by more."""
    text = document.text
    borders = {at: _apart(a, b) for (_, a), (at, b) in _pairs(document.marks)}
    borders = {at: apart for at, apart in borders.items() if apart}
    rest = sorted(borders)
    number = 0
    at = 0
    for end in (*(match.span() for match in PARAGRAPH_END.finditer(text)), (len(text), len(text))):
        apart = 0
        while number < len(rest) and rest[number] < end[1]:
            border = rest[number]
            number += 1
            if border > at and text[at:border].strip():
                yield _trimmed(text, at, border, apart)
                apart = 0
            at = max(at, border)
            apart = max(apart, borders[border])
        if text[at : end[0]].strip():
            yield _trimmed(text, at, end[0], apart)
        at = end[1]


def _pairs(
    marks: Sequence[tuple[int, Place]],
) -> Iterator[tuple[tuple[int, Place], tuple[int, Place]]]:
    return zip(marks, marks[1:], strict=False)


def _apart(before: Place, after: Place) -> int:
    if (before.page, before.sheet) != (after.page, after.sheet):
        return 2
    return int(before.heading != after.heading)


def _trimmed(text: str, start: int, end: int, apart: int) -> tuple[int, int, int]:
    part = text[start:end]
    return (
        start + len(part) - len(part.lstrip()),
        end - len(part) + len(part.rstrip()),
        apart,
    )


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Parts of about the usual length; what is not longer than the longest is not cut at all."""
    if end - start <= _LONGEST:
        yield start, end
        return
    ends = [match.end() for match in _CUT.finditer(text, start, end)]
    at = done = start
    while end - at > _LONGEST:
        number = bisect_right(ends, at + _USUAL) - 1
        if number >= 0 and ends[number] > done:
            stop = ends[number]
            last = ends[number - 1] if number else start
            following = last if at < last and stop - last <= _SHARED else stop
        else:  # no sentence or line ends here: the cut is between two words, where there are some
            space = text.rfind(" ", max(at, done) + 1, at + _USUAL)
            following = stop = space if space > 0 else at + _USUAL
        if text[at:stop].strip():
            yield at, stop
        at, done = following, stop
    yield at, end
