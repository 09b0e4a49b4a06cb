"""Tables → a row a line, each cell with the name of its column: CSV, JSON Lines, spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from typing import Any

from potstill.documents.decoding import decode
from potstill.documents.document import APART, Document, Writer, spaced
from potstill.errors import DataError, MissingExtraError

_LONG = 300
"""Code points from which a value is a paragraph of its own."""
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


def read_sheets(data: bytes, name: str) -> Document:
    """Reads a spreadsheet (XLSX, XLS, XLSB, ODS), sheet by sheet.

    Raises:
        DataError: it is damaged or encrypted.
        MissingExtraError: python-calamine is not installed.
    """
    try:
        from python_calamine import CalamineError, load_workbook
    except ModuleNotFoundError:
        raise MissingExtraError("python-calamine", "documents", "reading spreadsheets") from None

    writer = Writer()
    try:
        book = load_workbook(io.BytesIO(data))
        for sheet in book.sheet_names:
            writer.move(sheet=sheet, row=None)
            rows = book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
            write_rows(writer, ([_cell(value) for value in row] for row in rows))
    except CalamineError as error:
        reason = spaced(str(error))
        if "password" in reason.lower() or "encrypt" in reason.lower():
            raise DataError("it is encrypted: save it without a password") from None
        raise DataError(f"it is damaged ({reason:.100})") from None
    return writer.document(name)


def write_rows(writer: Writer, rows: Iterable[Sequence[str]]) -> None:
    """Writes rows of cells; a first row of words alone, each another, names the columns."""
    head: Sequence[str] = ()
    first = True
    for number, row in enumerate(rows, 1):
        cells = [spaced(cell) for cell in row]
        if not any(cells):
            continue
        if first:
            first = False
            if _is_head(cells):
                head = cells
                continue
        writer.move(row=number)
        _write_pairs(writer, _named(head, cells))
    if head and not writer.marks:  # a file of names alone
        _write_pairs(writer, [("", cell) for cell in head])


def _named(head: Sequence[str], cells: Sequence[str]) -> Iterator[tuple[str, str]]:
    for i, cell in enumerate(cells):
        if cell:
            yield (head[i] if i < len(head) else ""), cell


def _write_pairs(writer: Writer, pairs: Iterable[tuple[str, str]]) -> None:
    short: list[str] = []
    long: list[str] = []
    for name, value in pairs:
        text = f"{name}: {value}" if name else value
        (long if len(value) > _LONG else short).append(text)
    writer.row(APART.join(short))
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
            yield " ".join(path), ", ".join(map(_cell, value))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    elif value is not None and (text := _cell(value).strip()):
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
    words = all(len(cell) < 80 and not cell.replace(".", "").isdigit() for cell in named)
    return len(named) > 1 and words and len(set(named)) == len(named)


def _delimiter(text: str) -> str:
    """The sign that parts the first lines into the same number of cells."""
    lines = [line for line in text[:20_000].splitlines() if line.strip()][:20]

    def said(delimiter: str) -> tuple[bool, int]:
        rows = list(csv.reader(lines, delimiter=delimiter))
        widths = [len(row) for row in rows]
        same = sum(width == widths[0] for width in widths)
        return widths[0] > 1, same * min(widths[0], 3)

    return max(_DELIMITERS, key=said) if lines else ","


def _cell(value: object) -> str:
    """A value of a spreadsheet or of JSON as people write it."""
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
