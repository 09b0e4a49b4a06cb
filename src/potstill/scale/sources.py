"""The rows of a job's input: JSONL, CSV, TSV or Parquet, packed or not, one file or many.

A row that cannot be read is given with the reason, and the next one follows; only what makes the
rest of a file unreadable (a damaged archive, an unclosed quotation mark) is an error.
"""

from __future__ import annotations

import csv
import glob
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from potstill.bundle.manifest import sha256_of
from potstill.data.files import open_text
from potstill.data.parquet import open_parquet, parquet_rows
from potstill.data.table import wide_fields
from potstill.errors import DataError
from potstill.scale.predict import Texts

PACKED = (".gz", ".xz", ".zst")
KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
"""Suffix → what a file of that name holds."""
DELIMITERS = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of the input."""

    file: str
    number: int
    """In its file, from 1."""
    values: Mapping[str, Any] | None
    """Its columns, ``None`` where it could not be parsed."""
    texts: Texts = ()
    """What the model reads of it."""
    reason: str = ""
    """Why it cannot be read; empty where it can."""
    raw: str = ""
    """As it stands in the file, where it could not be parsed."""


def kind_of(path: Path) -> str:
    """What a file holds, by its name: ``jsonl``, ``csv``, ``tsv`` or ``parquet``.

    Raises:
        DataError: the name does not say.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] in PACKED
    if packed:
        suffixes.pop()
    kind = KINDS.get(suffixes[-1] if suffixes else "", "")
    if not kind or (packed and kind == "parquet"):
        raise DataError(
            f"{path} has a name that does not say what it holds: let it end in "
            f"{', '.join(KINDS)}, the text ones also with {', '.join(PACKED)} behind"
        )
    return kind


def find_inputs(pattern: str) -> list[Path]:
    """The files that IN names: one, or all that a glob finds, sorted.

    Raises:
        DataError: there is none, or a name does not say what the file holds.
    """
    path = Path(pattern)
    found = [path] if path.is_file() else sorted(map(Path, glob.glob(pattern, recursive=True)))
    found = [file for file in found if file.is_file()]
    if not found:
        raise DataError(f"there is no file {pattern!r}: give one, or a glob in quotation marks")
    for file in found:
        kind_of(file)
    return found


def fingerprint(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Name, size and SHA-256 of every input file.

    Raises:
        DataError: a file cannot be read.
    """
    try:
        return [
            {"name": file.name, "size": file.stat().st_size, "sha256": sha256_of(file)}
            for file in files
        ]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class JobSource:
    """The input of a job, to be read as often as one likes."""

    files: tuple[Path, ...]
    columns: tuple[str, ...]
    """Those that the model reads, in its order."""
    reserved: frozenset[str]
    """Names of the new columns: no row may have them already."""

    def check(self) -> None:
        """Looks at the header of every table.

        Raises:
            DataError: a column is missing, or is there that the job is going to write.
        """
        for file in self.files:
            header = _header(file)
            if header is None:
                continue
            for name in self.columns:
                if name not in header:
                    raise DataError(
                        f"{file} has no column {name!r} (it has {', '.join(header) or 'none'}): "
                        "say which with --column"
                    )
            for name in header:
                if name in self.reserved:
                    raise DataError(_taken(name, str(file)))

    def rows(self, moved: Callable[[int], None] = lambda _: None) -> Iterator[SourceRow]:
        """Every row in order.

        Args:
            moved: told how many bytes of the files have been read so far, now and then.

        Raises:
            DataError: the rest of a file cannot be read.
        """
        before = 0
        for file in self.files:
            read = _READERS[kind_of(file)]
            for row in read(file, lambda at, start=before: moved(start + at)):
                yield self._checked(row)
            before += file.stat().st_size
            moved(before)

    def _checked(self, row: SourceRow) -> SourceRow:
        if row.values is None:
            return row
        texts, reason = _texts(row.values, self.columns)
        for name in self.reserved:
            if name in row.values:
                reason = _taken(name, "the row")
        return SourceRow(row.file, row.number, row.values, texts, reason)


def _taken(name: str, where: str) -> str:
    return f"{where} has a column {name!r} already, which this job writes: give a --prefix"


def _texts(values: Mapping[str, Any], columns: Sequence[str]) -> tuple[Texts, str]:
    texts: list[str] = []
    for name in columns:
        text = values.get(name)
        if text is None:
            return (), f"it has no {name!r}"
        if not isinstance(text, str):
            return (), f"{name!r} is a {type(text).__name__}, not a string"
        if not text.strip():
            return (), f"{name!r} is empty"
        texts.append(text)
    return tuple(texts), ""


_BYTES = re.compile("[\udc80-\udcff]")
"""Half characters that stand for bytes that are no text."""


def _readable(text: str) -> str:
    """With a mark where a byte is no text."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _read_jsonl(path: Path, moved: Callable[[int], None]) -> Iterator[SourceRow]:
    with open_text(path, errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            if number % 256 == 1:
                moved(_place(file))
            if _BYTES.search(line):
                raw = _readable(line.rstrip("\r\n"))
                yield SourceRow(
                    path.name, number, None, reason="it holds bytes that are no text", raw=raw
                )
                continue
            yield _parsed(path.name, number, line)


def _parsed(name: str, number: int, line: str) -> SourceRow:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        return SourceRow(
            name, number, None, reason=f"it is not JSON ({error})", raw=line.rstrip("\r\n")
        )
    if not isinstance(values, dict):
        reason = f"it is a {type(values).__name__}, not a JSON object"
        return SourceRow(name, number, None, reason=reason, raw=line.rstrip("\r\n"))
    return SourceRow(name, number, values)


def _read_table(path: Path, moved: Callable[[int], None]) -> Iterator[SourceRow]:
    delimiter = DELIMITERS[kind_of(path)]
    with open_text(path, errors="surrogateescape") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            with wide_fields():
                header = [name.strip() for name in next(reader, [])]
            number = 0
            while True:
                # The limit of a field is one for the whole process: it is put back at every yield.
                with wide_fields():
                    fields = next(reader, None)
                if fields is None:
                    break
                if not fields:
                    continue
                number += 1
                if number % 256 == 1:
                    moved(_place(file))
                yield _fitted(path.name, number, header, fields, delimiter)
        except csv.Error as error:
            raise DataError(f"{path}: line {reader.line_num} is not CSV: {error}") from None


def _fitted(
    name: str, number: int, header: Sequence[str], fields: Sequence[str], delimiter: str
) -> SourceRow:
    if any(map(_BYTES.search, fields)):
        raw = _readable(delimiter.join(fields))
        return SourceRow(name, number, None, reason="it holds bytes that are no text", raw=raw)
    if len(fields) != len(header):
        reason = f"it has {len(fields)} fields, the header {len(header)}"
        return SourceRow(name, number, None, reason=reason, raw=delimiter.join(fields))
    return SourceRow(name, number, dict(zip(header, fields, strict=True)))


def _read_parquet(path: Path, moved: Callable[[int], None]) -> Iterator[SourceRow]:
    size, n_rows = path.stat().st_size, max(1, open_parquet(path).metadata.num_rows)
    for number, values in enumerate(parquet_rows(path), start=1):
        if number % 1024 == 0:
            moved(size * number // n_rows)
        yield SourceRow(path.name, number, values)


def _header(path: Path) -> list[str] | None:
    kind = kind_of(path)
    if kind == "jsonl":
        return None
    if kind == "parquet":
        return list(open_parquet(path).schema_arrow.names)
    with open_text(path) as file, wide_fields():
        return [name.strip() for name in next(csv.reader(file, delimiter=DELIMITERS[kind]), [])]


def _place(file: TextIO) -> int:
    """Bytes of the file itself, packed or not, that have been read."""
    return os.lseek(file.fileno(), 0, os.SEEK_CUR)


_READERS: Mapping[str, Callable[[Path, Callable[[int], None]], Iterator[SourceRow]]] = {
    "jsonl": _read_jsonl,
    "csv": _read_table,
    "tsv": _read_table,
    "parquet": _read_parquet,
}
