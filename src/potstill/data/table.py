"""One's own questions, one a row: CSV, TSV or JSONL → examples, with offsets as claimed.

Columns ``question`` and ``context``, and where known ``answer``, ``answer_start``, ``id`` and
``title`` (of the article the context belongs to); other columns are ignored. An empty answer says
that the context holds none. JSONL rows may give several answers (lists in ``answer`` and
``answer_start``), or carry Hugging Face's ``answers: {"text": […], "answer_start": […]}``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from potstill.data.files import open_text, parse_json
from potstill.data.squad import as_id, as_title, check_start, take
from potstill.errors import DataError
from potstill.records import QAExample

_LARGEST_FIELD = 2**31 - 1  # a C long on every platform; the csv module's own default is 128 KB


def shown(names: Iterable[str]) -> str:
    """Names of columns for a message of one line, whatever they hold."""
    return ", ".join(" ".join(name.split()) for name in names) or "none"


def read_csv(path: Path, *, delimiter: str) -> Iterator[QAExample]:
    """Reads a table with a header line.

    Raises:
        DataError: a column is missing, a row does not fit the header, or the quoting is broken.
    """
    for number, row in table_rows(path, delimiter=delimiter, needed=("question", "context")):
        where = f"{path}: row {number}"
        start: Any = row.get("answer_start") or None
        if start is not None:
            try:
                start = int(start)
            except ValueError:
                raise DataError(f"{where}: answer_start {start!r} is not a whole number") from None
        fields: dict[str, Any] = {**row, "answer_start": start}
        if "id" in row and not row["id"]:
            raise DataError(f"{where} has an empty id: fill it in or drop the column")
        yield _example(fields, number, where)


def read_jsonl(path: Path) -> Iterator[QAExample]:
    """Reads one JSON object a line; blank lines are skipped.

    Raises:
        DataError: a line is not a JSON object, or a key is missing or of the wrong kind.
    """
    for number, value in jsonl_rows(path):
        yield _example(value, number, f"{path}: line {number}")


def table_rows(
    path: Path,
    *,
    delimiter: str,
    needed: Sequence[str] = (),
    columns: Sequence[str] = (),
    quoted: bool = True,
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV or TSV file by column, each with its number from 1.

    Args:
        path: plain or packed.
        delimiter: between the fields.
        needed: columns that must be there.
        columns: their names where the file has no header line.
        quoted: whether a field in quotation marks may hold separators and line ends; otherwise
            (as in GLUE's files) a quotation mark is a letter like any other.

    Raises:
        DataError: a column is missing, a row has more or fewer fields than there are columns, or
            the quoting is broken.
    """
    with open_text(path) as file, wide_fields():
        # strict: an unclosed quote would otherwise swallow the rest of the file without a word.
        quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        reader = csv.reader(file, delimiter=delimiter, strict=True, quoting=quoting)
        try:
            header = list(columns) or [name.strip() for name in next(reader, [])]
            for name in needed:
                if name not in header:
                    raise DataError(
                        f"{path} has no column {name!r} (it has {shown(header)}): "
                        "the first line must name the columns"
                    )
            for number, row in enumerate(reader, start=1):
                if not row:
                    continue
                if len(row) != len(header):
                    raise DataError(
                        f"{path}: row {number} has {len(row)} fields, the header {len(header)}: "
                        "quote fields that hold a separator"
                    )
                yield number, dict(zip(header, row, strict=True))
        except csv.Error as error:
            raise DataError(f"{path}: line {reader.line_num} is not CSV: {error}") from None


def jsonl_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The JSON value of each line with the line's number; blank lines are skipped.

    Raises:
        DataError: a line is not JSON.
    """
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, parse_json(line, f"{path}: line {number}")


def read_rows(values: list[Any], name: str) -> Iterator[QAExample]:
    """Reads a JSON list of rows, each as a line of JSONL.

    Raises:
        DataError: as :func:`read_jsonl`.
    """
    for number, row in enumerate(values, start=1):
        yield _example(row, number, f"{name}: row {number}")


class wide_fields:  # noqa: N801 - a context manager, used like a function
    """Lets the csv module read contexts of megabytes; its limit is one for the whole process."""

    def __enter__(self) -> None:
        self.before = csv.field_size_limit(_LARGEST_FIELD)

    def __exit__(self, *_: object) -> None:
        csv.field_size_limit(self.before)


def _example(row: Any, number: int, where: str) -> QAExample:
    question = take(row, "question", str, where)
    context = take(row, "context", str, where)
    labelled, texts, starts = _answers(row, where)
    return QAExample(
        id=as_id(row["id"]) if row.get("id") is not None else str(number),
        question=question,
        context=context,
        answers=texts,
        starts=starts,
        is_impossible=labelled and not texts,
        title=as_title(row.get("title")),
    )


def _answers(
    row: dict[str, Any], where: str
) -> tuple[bool, tuple[str, ...], tuple[int | None, ...]]:
    """Whether the row says anything about answers, their texts, their claimed starts."""
    texts, starts = row.get("answer"), row.get("answer_start")
    nested = row.get("answers")
    if "answer" not in row and isinstance(nested, dict):
        texts = take(nested, "text", list, f"{where}: 'answers'")
        starts = nested.get("answer_start")
    elif "answer" not in row:
        return False, (), ()
    if texts is None or texts == "":
        return True, (), ()
    if not isinstance(texts, list):
        texts = [texts]
    if not isinstance(starts, list):
        starts = [starts] * len(texts) if starts is None else [starts]
    if len(starts) != len(texts):
        raise DataError(f"{where} has {len(texts)} answers and {len(starts)} answer_start")
    for text in texts:
        if not isinstance(text, str):
            raise DataError(f"{where}: answer {text!r} is not a string: put it in quotes")
    return True, tuple(texts), tuple(check_start(start, where) for start in starts)
