"""Rows with their new columns → JSONL, CSV, TSV or Parquet, packed or not, in constant memory."""

from __future__ import annotations

import base64
import contextlib
import csv
import gzip
import io
import json
import lzma
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

from potstill.data.parquet import arrow, open_parquet
from potstill.errors import DataError
from potstill.scale.predict import Values
from potstill.scale.sources import DELIMITERS, JobSource, kind_of

Joined: TypeAlias = "tuple[Mapping[str, Any], Values]"
"""The columns of a row, and those that the job adds."""

_ROW_GROUP = 4096
"""Rows of a Parquet file that are in memory at a time."""


def write_rows(
    path: Path, temporary: Path, rows: Iterator[Joined], source: JobSource, added: Mapping[str, str]
) -> None:
    """Writes rows to ``temporary``, in the format that the name of ``path`` asks for.

    Args:
        path: the file as it is going to be called.
        temporary: the file to write.
        rows: in order.
        source: where they come from; read once more where a table's columns have to be known first.
        added: name of each new column → its type.

    Raises:
        OSError: the file cannot be written.
        DataError: a column cannot be written to Parquet.
        MissingExtraError: pyarrow is needed and not installed.
    """
    kind = kind_of(path)
    if kind == "parquet":
        _write_parquet(temporary, rows, _Types.of(source), added)
        return
    with _packing(path, temporary) as file:
        if kind == "jsonl":
            for values, new in rows:
                file.write(_line({**values, **new}))
        else:
            names = [*_columns(source), *added]
            writer = csv.writer(file, delimiter=DELIMITERS[kind], lineterminator="\n")
            writer.writerow(names)
            for values, new in rows:
                row = {**values, **new}
                writer.writerow([_cell(row.get(name)) for name in names])


def _line(row: Mapping[str, Any]) -> str:
    text = json.dumps(row, ensure_ascii=False, default=plain)
    with contextlib.suppress(UnicodeEncodeError):
        text.encode()
        return text + "\n"
    return json.dumps(row, default=plain) + "\n"  # half a surrogate pair can only be escaped


def plain(value: Any) -> Any:
    """What JSON has for a value of a Parquet column that it has no type for."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _cell(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=plain)
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(value) if isinstance(value, bytes) else value


@contextmanager
def _packing(path: Path, temporary: Path) -> Generator[IO[str], None, None]:
    """A UTF-8 text file, packed where the name of ``path`` says so."""
    suffix = path.suffix.lower()
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(temporary.open("wb"))
        packed: Any = raw
        if suffix == ".gz":
            # Without a name and a time in it, equal rows are equal bytes.
            packed = stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
        elif suffix == ".xz":
            packed = stack.enter_context(lzma.LZMAFile(raw, "wb"))
        elif suffix == ".zst":
            packed = stack.enter_context(arrow().CompressedOutputStream(raw, "zstd"))
        text = io.TextIOWrapper(
            cast("IO[bytes]", packed), encoding="utf-8", errors="surrogatepass", newline=""
        )
        yield text
        text.flush()
        text.detach()


def _columns(source: JobSource) -> list[str]:
    """The columns of all rows, in the order in which they first come up."""
    names: dict[str, None] = {}
    for row in source.rows():
        if row.values is not None and not row.reason:
            names.update(dict.fromkeys(row.values))
    return list(names)


class _Types:
    """The Arrow types of the input's columns."""

    def __init__(self) -> None:
        self.schema: Any = arrow().schema([])
        self.as_json: set[str] = set()
        """Columns of values that no one type holds; they are written as JSON text."""

    @classmethod
    def of(cls, source: JobSource) -> _Types:
        """Reads them from the files' own schemas, or from all rows."""
        found = cls()
        if {kind_of(file) for file in source.files} == {"parquet"}:
            for file in source.files:
                found.add(open_parquet(file).schema_arrow)
            return found
        for rows in _groups(row.values for row in source.rows() if not row.reason):
            names = dict.fromkeys(name for row in rows for name in row)
            found.add(found.guess(rows, list(names)))
        return found

    def guess(self, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Any:
        """The schema of some rows."""
        pa = arrow()
        fields: list[Any] = []
        for name in names:
            try:
                kind = pa.array([row.get(name) for row in rows]).type
            except (ValueError, TypeError, OverflowError):
                kind = self._json(name)
            fields.append(pa.field(name, kind))
        return pa.schema(fields)

    def add(self, schema: Any) -> None:
        """Widens the types so that they hold those of ``schema`` too."""
        pa = arrow()
        known = {field.name: field for field in self.schema}
        for field in schema:
            pair = [pa.schema([known.get(field.name, field)]), pa.schema([field])]
            try:
                known[field.name] = pa.unify_schemas(pair, promote_options="permissive").field(0)
            except (ValueError, TypeError):
                known[field.name] = pa.field(field.name, self._json(field.name))
        self.schema = pa.schema(list(known.values()))

    def array(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Any:
        """A column of some rows."""
        values = [row.get(name) for row in rows]
        if name in self.as_json:
            values = [None if v is None else json.dumps(v, default=plain) for v in values]
        try:
            return arrow().array(values, self.schema.field(name).type)
        except (ValueError, TypeError, OverflowError) as error:
            raise DataError(
                f"column {name!r} has values that do not fit into one type ({error}): "
                "name an output that ends in .jsonl"
            ) from None

    def _json(self, name: str) -> Any:
        self.as_json.add(name)
        return arrow().string()


def _write_parquet(
    temporary: Path, rows: Iterator[Joined], types: _Types, added: Mapping[str, str]
) -> None:
    pa, parquet = arrow(), arrow("pyarrow.parquet")
    new = [pa.field(name, _arrow_type(kind)) for name, kind in added.items()]
    # A column without a single value has no type of its own; readers fare better with text.
    old = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in types.schema]
    types.schema = pa.schema(old)
    schema = pa.schema([*old, *new], metadata=types.schema.metadata)
    with parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for group in _groups(rows):
            columns = [types.array(field.name, [values for values, _ in group]) for field in old]
            columns += [pa.array([own.get(f.name) for _, own in group], f.type) for f in new]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _arrow_type(kind: str) -> Any:
    pa = arrow()
    simple = {
        "string": pa.string(),
        "double": pa.float64(),
        "int64": pa.int64(),
        "bool": pa.bool_(),
    }
    if kind in simple:
        return simple[kind]
    span = {"text": "string", "score": "double", "start": "int64", "end": "int64"}
    place = {"source": "string", "page": "int64", "sheet": "string", "row": "int64"}
    sentence = {**span, **place, "line": "int64", "heading": "string"}

    def struct(fields: Mapping[str, str]) -> Any:
        return pa.struct([(name, simple[one]) for name, one in fields.items()])

    claim = [("text", pa.string()), ("start", pa.int64()), ("end", pa.int64())]
    types: dict[str, Any] = {
        "list<string>": pa.string(),
        "list<double>": pa.float64(),
        "list<entity>": struct({"text": "string", "label": "string", **span}),
        "list<sentence>": struct(sentence),
        "list<claim>": pa.struct([*claim, ("sources", pa.list_(struct(sentence)))]),
    }
    return pa.list_(types[kind])


def _groups(rows: Iterator[Any]) -> Iterator[list[Any]]:
    group: list[Any] = []
    for row in rows:
        group.append(row)
        if len(group) == _ROW_GROUP:
            yield group
            group = []
    if group:
        yield group


def bad_file(out: Path) -> Path:
    """Where the rows that could not be read are written."""
    return out.with_name(out.name + ".bad.jsonl")
