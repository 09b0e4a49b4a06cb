"""Tables → a row a line, each cell with the name of its column: CSV and JSON Lines."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from itertools import dropwhile, pairwise
from typing import Any

from potstill.documents.decoding import decode
from potstill.documents.document import APART, Document, Writer, spaced
from potstill.errors import DataError

_LONG = 300
"""Code points from which a value is a paragraph of its own."""
_NUMBER = re.compile(r"[^\w\s]*(?:[A-Z]{3} )?[-\d.,:/ ]*\d[-\d.,:/ ]*(?:%|[A-Z]{3}|\W)*")
"""A number, an amount of money or a date, and no name."""
_YEAR = re.compile(r"(?:19|20)\d\d")
_NAME = 80
"""Code points that the name of a column has not."""
_DELIMITERS = ",;\t|"


def read_csv(data: bytes, name: str) -> Document:
    """Reads comma-, semicolon-, tab- or bar-separated values; the first row names the columns.

    Raises:
        DataError: it is no text.
    """
    text = _decoded(data)
    delimiter = _delimiter(text)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    writer = Writer()
    try:
        write_rows(writer, rows)
    except csv.Error as error:
        raise DataError(f"row {len(writer.marks) + 1} is not a CSV ({error})") from None
    return writer.document(name)


def read_json(data: bytes, name: str) -> Document:
    """Reads JSON, or a JSON value a line: every object of a list is a row.

    Raises:
        DataError: it is neither.
    """
    text = _decoded(data)
    writer = Writer()
    try:
        values = json.loads(text)
    except RecursionError:
        raise DataError("it is nested too deeply to be read") from None
    except ValueError as whole:
        values = list(_lines(text, whole))
    if isinstance(values, list):
        for number, value in enumerate(values, 1):
            writer.move(row=number)
            _write_object(writer, value)
    else:
        _write_object(writer, values)
    return writer.document(name)


def write_rows(writer: Writer, rows: Iterable[Sequence[str]]) -> None:
    """Writes rows of cells, of which a row of names alone names the columns.

    It is the first one, or the first below lines of one cell (titles), or the first below an empty
    row where the row after it holds numbers that it does not: another table begins there.
    """
    head: Sequence[str] = ()
    begins, is_first, empty = True, True, False
    n_written = len(writer.marks)
    for number, cells, following in _with_next(rows):
        if not any(cells):
            empty = True
            continue
        lone = sum(map(bool, cells)) == 1
        if begins and lone and sum(map(bool, following)) > 1:  # a title
            writer.move(row=number)
            writer.paragraph(next(filter(None, cells)))
            continue
        if (begins or (empty and _tells(cells, following))) and _is_head(cells):
            head, is_first = cells, True
        else:
            writer.move(row=number)
            _write_pairs(writer, _named(head, cells), is_first=is_first)
            is_first = False
        begins = empty = False
    if head and len(writer.marks) == n_written:  # a file of names alone
        _write_pairs(writer, [("", cell) for cell in head])


def _with_next(
    rows: Iterable[Sequence[str]],
) -> Iterator[tuple[int, Sequence[str], Sequence[str]]]:
    """Rows with their numbers, from 1, and the row below each."""
    before: Sequence[str] = ()
    number = 0
    for number, row in enumerate(rows):
        cells = [spaced(cell) for cell in row]
        if number:
            yield number, before, cells
        before = cells
    yield number + 1, before, ()


def _tells(head: Sequence[str], following: Sequence[str]) -> bool:
    """Whether the row below one has a number where that has a word."""
    return any(
        name and not _is_number(name) and _is_number(cell)
        for name, cell in zip(head, following, strict=False)
    )


def _named(head: Sequence[str], cells: Sequence[str]) -> Iterator[tuple[str, str]]:
    for i, cell in enumerate(cells):
        if cell:
            yield (head[i] if i < len(head) else ""), cell


def _write_pairs(
    writer: Writer, pairs: Iterable[tuple[str, str]], *, is_first: bool = False
) -> None:
    short: list[str] = []
    long: list[str] = []
    for name, value in pairs:
        text = f"{name}: {value}" if name else value
        (long if len(value) > _LONG else short).append(text)
    (writer.paragraph if is_first else writer.row)(APART.join(short))
    for text in long:
        writer.paragraph(text)


def _write_object(writer: Writer, value: Any) -> None:
    """Writes a JSON value: names with their values, inner names behind outer ones."""
    pairs = list(_leaves(value, ()))
    if sum(len(text) for _, text in pairs) > 4 * _LONG:
        for pair in pairs:
            _write_pairs(writer, [pair])
    else:
        _write_pairs(writer, pairs)


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, str(name)))
    elif isinstance(value, list) and all(isinstance(v, (str, int, float)) for v in value):
        if value:
            yield " ".join(path), ", ".join(map(said, value))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    elif value is not None and (text := said(value).strip()):
        yield " ".join(path), text


def _lines(text: str, whole: ValueError) -> Iterator[Any]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                at = f" (line {number} is not a JSON value either)" if number > 1 else ""
                raise DataError(f"it is not JSON: {whole}{at}") from None


def _is_head(cells: Sequence[str]) -> bool:
    named = [cell for cell in cells if cell]
    years = [int(cell) for cell in named if _YEAR.fullmatch(cell)]
    if len(years) < len(named) and len({b - a for a, b in pairwise(years)}) == 1:
        named = [cell for cell in named if not _YEAR.fullmatch(cell)]  # a column for each year
    words = all(len(cell) < _NAME and not _is_number(cell) for cell in named)
    return len(named) + len(years) > 1 and words and len(set(named)) == len(named)


def _is_number(cell: str) -> bool:
    return len(cell) < _NAME and _NUMBER.fullmatch(cell) is not None


def _delimiter(text: str) -> str:
    """The sign that parts the first lines into the same number of cells."""
    lines = [line for line in text[:20_000].splitlines() if line.strip()][:20]

    def sameness(delimiter: str) -> int:
        rows = list(csv.reader(lines, delimiter=delimiter))
        widths = list(dropwhile(lambda width: width == 1, map(len, rows)))  # titles stand above
        same = sum(width == widths[0] for width in widths)
        return same * min(widths[0], 3) if widths else 0

    return max(_DELIMITERS, key=sameness) if lines else ","


def said(value: object) -> str:
    """A value of a spreadsheet or of JSON as people write it; dates by ISO 8601."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        midnight = value.time() == time()
        return value.date().isoformat() if midnight else value.isoformat(" ", "minutes")
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value)


def _decoded(data: bytes) -> str:
    text = decode(data)
    if text is None:
        raise DataError("it is not text")
    return text
