"""A document: what was read of a file, and where in the file each part of it stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

APART = " |\t"
"""Between two cells of a row: words of two cells are never one answer."""
COLUMN_NAME = re.compile(r"[^|\t\n:]{1,80}: ")
"""What stands before the value of a cell."""
ENTRY = re.compile(
    r"\n(?=(?:[-*•]|\d{1,3}[.)]) )"  # items of a list
    r"|\n(?=\[?(?:\d{4}-\d\d-\d\d[ T]|[A-Z][a-z]{2} [ \d]\d )\d\d:\d\d)"  # lines of a log
)
"""Where a line begins that has nothing to do with the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a file a part of its text stands, as far as the file has such places."""

    page: int | None = None
    """Of a PDF, or the slide of a presentation; from 1."""
    sheet: str = ""
    row: int | None = None
    """Of a table, as a spreadsheet numbers it, or the cell of a notebook; from 1."""
    line: int | None = None
    """Of a file of lines, from 1."""
    heading: str = ""
    """The headings above, outermost first, `` > `` between them."""

    def to_dict(self) -> dict[str, Any]:
        """What is known, as JSON has it."""
        values = {"page": self.page, "sheet": self.sheet, "row": self.row, "line": self.line}
        values["heading"] = self.heading
        return {name: value for name, value in values.items() if value not in (None, "")}

    def __str__(self) -> str:
        said = [f"{name} {value}" for name, value in self.to_dict().items() if name != "heading"]
        return ", ".join([*said, self.heading] if self.heading else said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The text of a file, with its places."""

    name: str
    """The path, as it was given or found."""
    text: str
    """All that was read; offsets of answers point into it."""
    title: str = ""
    """What the file calls itself; empty where it does not say."""
    marks: Sequence[tuple[int, Place]] = field(default=((0, Place()),), repr=False)
    """Offsets at which the place changes, rising, with the place from there on."""
    lines: bool = False
    """Whether the file is one of lines, so that a place has a line, too."""
    note: str = ""
    """What could not be read of it; empty where all was."""

    def place_of_mark(self, at: int) -> Place:
        """The place of the last mark at or before offset ``at``."""
        number = bisect_right(self.marks, at, key=lambda mark: mark[0])
        return self.marks[number - 1][1] if number else Place()

    def place(self, at: int) -> Place:
        """Where the code point at offset ``at`` stands."""
        place = self.place_of_mark(at)
        return replace(place, line=self.text.count("\n", 0, at) + 1) if self.lines else place


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not read."""

    name: str
    reason: str


class Writer:
    """Puts a document's text together, paragraph by paragraph, and keeps the places."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._place = Place()
        self._headings: list[tuple[int, str]] = []
        self.marks: list[tuple[int, Place]] = []

    def move(self, **where: Any) -> None:
        """Goes on at another page, sheet or row."""
        self._place = replace(self._place, **where)

    def heading(self, text: str, level: int) -> None:
        """Writes a heading, and remembers it as the place of what follows."""
        text = " ".join(text.split())
        if text:
            self._headings = [*(one for one in self._headings if one[0] < level), (level, text)]
            self.move(heading=" > ".join(one[1][:120] for one in self._headings))
            self.paragraph(text)

    def forget_headings(self) -> None:
        """What follows stands under no heading."""
        self._headings = []
        self.move(heading="")

    def paragraph(self, text: str) -> None:
        """Writes a paragraph, with a blank line before it."""
        self._write(text.strip(), "\n\n")

    def row(self, text: str) -> None:
        """Writes a row of a table, on a line of its own."""
        self._write(text.strip(), "\n")

    def _write(self, text: str, between: str) -> None:
        if not text:
            return
        if self._parts:
            self._parts.append(between)
            self._size += len(between)
        if not self.marks or self.marks[-1][1] != self._place:
            self.marks.append((self._size, self._place))
        self._parts.append(text)
        self._size += len(text)

    def text(self) -> str:
        """All that was written."""
        return "".join(self._parts)

    def document(self, name: str, title: str = "", note: str = "") -> Document:
        """The document that was written."""
        return Document(
            name=name,
            text=self.text(),
            title=" ".join(title.split()),
            marks=self.marks or [(0, Place())],
            note=note,
        )


def spaced(text: str) -> str:
    """Text without runs of white space."""
    return " ".join(text.split())


def named_row(head: Sequence[str], cells: Sequence[str]) -> str:
    """A row of a table in a line: each cell that holds something with the name of its column."""
    names = [*head, *[""] * (len(cells) - len(head))]
    pairs = zip(names, cells, strict=False)
    return APART.join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)
