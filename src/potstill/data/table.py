"""Rows of tables: CSV, TSV, JSONL, JSON and Parquet, plain or packed.

A row of questions has the columns ``question`` and ``context``, and where known ``id``, ``title``
(of the article the context belongs to) and answers, see `potstill.data.answers`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from potstill.data.files import kind_name, open_text, parse_json, read_json
from potstill.data.parquet import parquet_rows
from potstill.data.squad import row_example
from potstill.errors import DataError
from potstill.records import QAExample

_LARGEST_FIELD = 2**31 - 1  # a C long on every platform; the csv module's own default is 128 KB

KINDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
"""Suffixes of files of rows."""
_SHOWN = 8
"""Names of columns in a message."""
_PACKED = (".gz", ".xz", ".zst")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_PARTED = ";\t|,"
"""What may part the fields of a line where nobody has said it."""


def shown(names: Iterable[str]) -> str:
    """Names of columns for a message of one line, whatever they hold."""
    every = [" ".join(str(name).split())[:40] for name in names]
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return (", ".join(every[:_SHOWN]) + more) or "none"


def read_rows(
    path: Path, *, labelled: bool = True, contradicted: list[str] | None = None
) -> Iterator[QAExample]:
    """Reads questions, one a row; see `row_example`.

    Raises:
        DataError: as :func:`rows`, or a value is missing or of the wrong kind.
    """
    for row in rows(path, needed=("question", "context")):
        if row.values.get("id") == "":
            raise DataError(f"{row.where} has an empty id: fill it in or drop the column")
        yield row_example(
            row.values, row.number, row.where, labelled=labelled, contradicted=contradicted
        )


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a file."""

    number: int
    """From 1; of JSONL, the number of its line."""
    where: str
    """What to call it in messages: the file, and the row or line."""
    values: dict[str, Any]
    """Its columns."""


def kind_of(path: Path) -> str:
    """The suffix that says what a file holds, without that of an archive; empty for none."""
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in _PACKED]
    return suffixes[-1] if suffixes and suffixes[-1] in KINDS else ""


def rows(
    path: Path,
    *,
    needed: Sequence[str] = (),
    columns: Sequence[str] = (),
    quoted: bool = True,
    ragged: list[int] | None = None,
) -> Iterator[TableRow]:
    """The rows of a file of any kind, by column.

    ``.json`` is a list of rows, an object with such a list in ``data``, one of columns, or (as
    ``Dataset.to_json`` writes it) JSONL under that name.

    Args:
        path: its name says what it holds, one of `KINDS`.
        needed: columns that every row must have.
        columns: their names where a table has no header line.
        quoted: see `table_rows`, and so is the next.
        ragged: takes the numbers of the rows of another number of fields, which are left out.

    Raises:
        DataError: the file cannot be read, or a column is missing.
        MissingExtraError: it is Parquet, and pyarrow is not installed.
    """
    kind = kind_of(path)
    if kind in (".csv", ".tsv"):
        found = table_rows(
            path,
            delimiter="," if kind == ".csv" else "\t",
            needed=needed,
            columns=columns,
            quoted=quoted,
            ragged=ragged,
        )
        yield from (TableRow(number, f"{path}: row {number}", row) for number, row in found)
        return
    if kind in (".jsonl", ".ndjson"):
        every = ((number, f"{path}: line {number}", row) for number, row in jsonl_rows(path))
    elif kind == ".json":
        every = _json_rows(path)
    elif kind == ".parquet":
        found = enumerate(parquet_rows(path), start=1)
        every = ((number, f"{path}: row {number}", row) for number, row in found)
    else:
        with open_text(path):  # a missing file is said to be missing
            raise DataError(
                f"{path} has no known suffix: name it {', '.join(KINDS)}, alone or with "
                f"{', '.join(_PACKED)}"
            )
    for number, where, row in every:
        if not isinstance(row, dict):
            having = f" with {', '.join(needed)}" if needed else ""
            raise DataError(f"{where} is {kind_name(row)}, not a JSON object{having}")
        for name in needed:
            if name not in row:
                raise DataError(
                    f"{where} has no {name!r} (it has {shown(row)}): add it, or name another column"
                )
        yield TableRow(number, where, row)


def _json_rows(path: Path) -> Iterator[tuple[int, str, Any]]:
    if is_lines(path):
        for number, row in jsonl_rows(path):
            yield number, f"{path}: line {number}", row
        return
    for number, row in enumerate(rows_of_json(read_json(path), path), start=1):
        yield number, f"{path}: row {number}", row


def is_lines(path: Path) -> bool:
    """Whether a file is JSONL whatever its name says: its first two lines are an object each."""
    with open_text(path) as file:
        first, second = file.readline().strip(), file.readline().strip()
    return first.startswith("{") and first.endswith("}") and second.startswith("{")


def rows_of_json(values: Any, path: Path) -> list[Any]:
    """The rows of a JSON value: a list, one row, or the columns that pandas and datasets write.

    Raises:
        DataError: it is neither, or the columns differ in length.
    """
    if isinstance(values, list):
        return cast("list[Any]", values)
    if not isinstance(values, dict):
        raise DataError(
            f"{path} holds neither SQuAD's layout nor a list of rows: write one, or JSONL"
        )
    data, names = values.get("data"), values.get("columns")
    if isinstance(data, list):
        if not isinstance(names, list):
            return cast("list[Any]", data)
        return [
            _split_row(names, row, f"{path}: row {number}")
            for number, row in enumerate(cast("list[Any]", data), start=1)
        ]
    columns: list[Any] = list(values.values())
    if columns and all(isinstance(column, dict) for column in columns):
        if is_by_number(values):
            return columns
        keys = list(columns[0])
        if any(column.keys() != columns[0].keys() for column in columns):
            raise DataError(f"{path} has columns of different rows: write a list of rows")
        return [{name: values[name][key] for name in values} for key in keys]
    if columns and all(isinstance(column, list) for column in columns):
        if len({len(column) for column in columns}) > 1:
            raise DataError(f"{path} has columns of different lengths: write a list of rows")
        return [dict(zip(values, row, strict=True)) for row in zip(*columns, strict=True)]
    return [values]


def is_by_number(values: Any) -> bool:
    """Whether a JSON value is an object of rows by their number, as pandas' ``orient="index"``."""
    if not isinstance(values, dict) or not values:
        return False
    rows_of = cast("dict[str, Any]", values)
    return all(key.isdecimal() and isinstance(row, dict) for key, row in rows_of.items())


def _split_row(names: list[Any], row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, list) or len(row) != len(names):
        has = f"{len(row)} values" if isinstance(row, list) else kind_name(row)
        raise DataError(f"{where} has {has}, and there are {len(names)} columns: write them alike")
    return dict(zip(map(str, names), row, strict=True))


def table_rows(
    path: Path,
    *,
    delimiter: str,
    needed: Sequence[str] = (),
    columns: Sequence[str] = (),
    quoted: bool = True,
    ragged: list[int] | None = None,
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV or TSV file by column, each with its number from 1.

    Args:
        path: plain or packed.
        delimiter: between the fields.
        needed: columns that must be there.
        columns: their names where the file has no header line.
        quoted: whether a field in quotation marks may hold separators and line ends; otherwise
            (as in GLUE's files) a quotation mark is a letter like any other.
        ragged: takes the numbers of rows of another number of fields, which are left out then.

    Raises:
        DataError: a column is missing, a row has more or fewer fields than there are columns, or
            the quoting is broken.
    """
    with open_text(path) as file, wide_fields():
        # strict: an unclosed quote would otherwise swallow the rest of the file without a word.
        quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        reader: Any = csv.reader(file, delimiter=delimiter, strict=True, quoting=quoting)
        if quoted and delimiter == "\t" and _every_line_is_a_row(path):
            reader = _Lines(file)
        try:
            header = list(columns) or [name.strip() for name in next(reader, [])]
            check_header(header, path)
            for name in needed:
                if name not in header:
                    raise DataError(
                        f"{path} has no column {name!r} (it has {shown(header)}): "
                        f"{otherwise_parted(header)}, or name another column"
                    )
            for number, row in enumerate(reader, start=1):
                if not row:
                    continue
                if not columns and [field.strip() for field in row] == header:
                    raise DataError(
                        f"{path}: row {number} names the columns once more: drop it (files that "
                        "were put together have a header each)"
                    )
                if len(row) != len(header) and ragged is not None:
                    ragged.append(number)
                    continue
                if len(row) != len(header):
                    raise DataError(
                        f"{path}: row {number} has {len(row)} fields, the header {len(header)}: "
                        "quote fields that hold a separator"
                    )
                yield number, dict(zip(header, row, strict=True))
        except csv.Error as error:
            raise DataError(f"{path}: line {reader.line_num} is not CSV: {error}") from None


def unquoted(field: str) -> str:
    """A field of a line, without the quotation marks around it if it has such."""
    match = _QUOTED.fullmatch(field)
    return match[1].replace('""', '"') if match else field


def otherwise_parted(header: Sequence[str]) -> str:
    """What to do about a header that lacks a column."""
    found = [sign for sign in _PARTED if len(header) == 1 and sign in header[0]]
    if not found:
        return "the first line must name the columns"
    sign = "tabs" if found[0] == "\t" else repr(found[0])
    if found[0] == "\t":
        return f"its fields are parted by {sign}: call it .tsv"
    return f"its fields are parted by {sign}: write it with commas, or as JSONL"


def check_accepted(row: Mapping[str, Any], where: str) -> None:
    """Refuses a row that its annotator has not accepted in Prodigy: its label is a wrong one.

    Raises:
        DataError: it is such.
    """
    if row.get("answer") in ("reject", "ignore"):
        raise DataError(
            f"{where}: 'answer' is {row['answer']!r}, so that nobody has accepted its label: drop "
            "rows of Prodigy's whose answer is not 'accept'"
        )


def _every_line_is_a_row(path: Path) -> bool:
    """Whether a quotation mark can but be a letter, or stand around a whole field.

    Published files have marks that nobody closes, behind which :mod:`csv` would read line ends.
    """
    with open_text(path) as file:
        counts = {line.count("\t") for line in file if line.strip("\r\n")}
    return len(counts) == 1 and counts != {0}


class _Lines:
    """A reader of lines of which each is a row."""

    def __init__(self, file: Iterable[str]) -> None:
        self._lines = iter(file)
        self.line_num = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> list[str]:
        line = next(self._lines).strip("\r\n")
        self.line_num += 1
        return [unquoted(field) for field in line.split("\t")] if line else []


def check_header(header: Sequence[str], path: Path) -> None:
    """Refuses a header that names a column twice.

    Raises:
        DataError: it does.
    """
    for name in header:
        if name and header.count(name) > 1:
            raise DataError(f"{path} names the column {name!r:.60} twice: rename one or drop it")


def jsonl_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The JSON value of each line with the line's number; blank lines are skipped.

    Raises:
        DataError: a line is not JSON.
    """
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, parse_json(line, f"{path}: line {number}")


class wide_fields:  # noqa: N801 - a context manager, used like a function
    """Lets the csv module read contexts of megabytes; its limit is one for the whole process."""

    def __enter__(self) -> None:
        self.before = csv.field_size_limit(_LARGEST_FIELD)

    def __exit__(self, *_: object) -> None:
        csv.field_size_limit(self.before)
