"""Labelled texts → examples: tables of one's own, and published sets by name.

A table is CSV, TSV or JSONL, plain or packed, with a column for the text, perhaps one for the
second text of a pair, and one for the label (or several of 0 and 1, one a label). Nothing is
dropped: a row that cannot be used is an error that names it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from potstill.data.files import open_text
from potstill.data.squad import as_id
from potstill.data.table import jsonl_rows, shown, table_rows
from potstill.errors import DataError
from potstill.records import TextExample

Label = str | float | tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLayout:
    """How labelled texts lie in a file."""

    text: str = "text"
    """Column of the text."""
    pair: str = ""
    """Column of the second text of a pair; empty where there is none."""
    label: str | tuple[str, ...] = "label"
    """Column of the label, or several columns of 0 and 1 named as the labels."""
    separator: str = ""
    """Between the labels of a text in one column."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What stands in the column → name of the label, in the order of the labels."""
    labels: tuple[str, ...] = ()
    """The labels, in order; by default those of ``names``, or those of the file, sorted."""
    problem: str = ""
    """``single-label``, ``multi-label`` or ``regression``; by default what the labels look like."""
    columns: tuple[str, ...] = ()
    """Names of the columns where labelled files have no header line."""
    quoted: bool = True
    """Whether fields in quotation marks may hold separators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextData:
    """A file of texts, read."""

    examples: list[TextExample]
    labels: tuple[str, ...]
    """In order; of a regression the name of the column."""
    problem: str
    """``single-label``, ``multi-label`` or ``regression``."""


def load_texts(
    path: str | Path,
    layout: TextLayout | None = None,
    *,
    labelled: bool = True,
    every_label: bool = False,
) -> TextData:
    """Loads a file of texts.

    Args:
        path: ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson``, alone or with ``.gz`` or ``.xz``.
        layout: its columns; see `potstill.data.glue` for those of published sets.
        labelled: whether the rows must have labels; otherwise the column may be missing.
        every_label: refuse a label that no row has, as in training.

    Raises:
        DataError: the file cannot be read, a column is missing, a row does not fit the others, a
            text is empty, a label is none of the labels, or a number is none.
    """
    path, layout = Path(path), layout or TextLayout()
    rows = list(_rows(path, layout, labelled))
    if not rows:
        raise DataError(f"{path} holds no rows: give a file with some")
    raw = [_raw_label(row, layout) for _, row in rows]
    problem = layout.problem or _guess(layout, raw)
    found: list[TextExample] = []
    for (number, row), cell in zip(rows, raw, strict=True):
        where = f"{path}: row {number}"
        text, pair = _text(row, layout.text, where), None
        if layout.pair:
            pair = _text(row, layout.pair, where)
        label = None
        if cell is not None:
            label = _label(cell, layout, problem, where)
        elif labelled:
            raise DataError(f"{where} has no label: fill it in or drop the row")
        name = row.get("id")
        found.append(
            TextExample(
                id=str(number) if name is None else as_id(name), text=text, pair=pair, label=label
            )
        )
    labels = _labels(layout, problem, found)
    known = set(labels)
    for (number, _), example in zip(rows, found, strict=True):
        _check_known(example, known, labels, problem, f"{path}: row {number}")
    if every_label and problem != "regression":
        _check_every_label(found, labels, path)
    return TextData(examples=found, labels=labels, problem=problem)


def gold_array(
    examples: Sequence[TextExample], labels: Sequence[str], problem: str
) -> npt.NDArray[Any]:
    """The labels of examples as numbers.

    Returns:
        Single-label: the number of each one's label, int64 ``[n]``. Multi-label: 0 or 1, float32
        ``[n, n_labels]``. Regression: the targets, float32 ``[n]``.

    Raises:
        DataError: an example has no label, or one that is not among ``labels``.
    """
    number = {label: i for i, label in enumerate(labels)}
    for example in examples:
        if example.label is None:
            raise DataError(f"example {example.id!r} has no label: give labelled data")
    if problem == "regression":
        return np.array([example.label for example in examples], np.float32)
    try:
        if problem == "single-label":
            return np.array([number[str(example.label)] for example in examples], np.int64)
        table = np.zeros((len(examples), len(labels)), np.float32)
        for i, example in enumerate(examples):
            for label in as_tuple(example.label):
                table[i, number[label]] = 1
    except KeyError as error:
        raise DataError(f"{error} is none of the labels {_some(labels)}") from None
    return table


def as_tuple(label: Label) -> tuple[str, ...]:
    """The names of an example's labels."""
    if isinstance(label, tuple):
        return label
    return () if label is None else (str(label),)


def is_table(path: Path) -> bool:
    """Whether a file's name says that it is CSV, TSV or JSONL."""
    return _kind(path) in _KINDS


_KINDS = (".csv", ".tsv", ".jsonl", ".ndjson")


def _kind(path: Path) -> str:
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in (".gz", ".xz")]
    return suffixes[-1] if suffixes else ""


def _rows(path: Path, layout: TextLayout, labelled: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    kind = _kind(path)
    columns = [layout.text, *([layout.pair] if layout.pair else [])]
    if labelled:
        columns += [layout.label] if isinstance(layout.label, str) else layout.label
    if kind in (".jsonl", ".ndjson"):
        for number, row in jsonl_rows(path):
            where = f"{path}: line {number}"
            if not isinstance(row, dict):
                raise DataError(f"{where} is no JSON object: write one with {', '.join(columns)}")
            for name in columns:
                if name not in row:
                    raise DataError(
                        f"{where} has no {name!r} (it has {shown(row)}): "
                        "add it, or name another column"
                    )
            yield number, row
    elif kind in _KINDS:
        yield from table_rows(
            path,
            delimiter="," if kind == ".csv" else "\t",
            needed=columns,
            # Of unlabelled files even those sets have one whose labelled files have no header.
            columns=layout.columns if labelled else (),
            quoted=layout.quoted,
        )
    else:
        with open_text(path):  # a missing file is said to be missing
            known = ", ".join(_KINDS)
            raise DataError(
                f"{path} has no known suffix: name it {known}, alone or with .gz or .xz"
            )


def _text(row: Mapping[str, Any], column: str, where: str) -> str:
    text = row[column]
    if not isinstance(text, str):
        raise DataError(f"{where}: {column} {text!r:.60} is not a string: put it in quotes")
    if not text.strip():
        raise DataError(f"{where} has an empty {column}: fill it in or drop the row")
    return text


def _raw_label(row: Mapping[str, Any], layout: TextLayout) -> Any:
    """What the file says of a row's label; ``None`` where it says nothing."""
    if isinstance(layout.label, str):
        return row.get(layout.label)
    cells = [row.get(name) for name in layout.label]
    return None if all(cell is None for cell in cells) else cells


def _guess(layout: TextLayout, raw: Sequence[Any]) -> str:
    if not isinstance(layout.label, str) or layout.separator:
        return "multi-label"
    if any(isinstance(cell, list) for cell in raw):
        return "multi-label"
    numbers = [_number(cell) for cell in raw if cell is not None]
    if layout.names or layout.labels or not numbers or None in numbers:
        return "single-label"
    whole = all(number == int(number) for number in numbers if number is not None)
    return "single-label" if whole else "regression"


def _number(cell: Any) -> float | None:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _label(cell: Any, layout: TextLayout, problem: str, where: str) -> Label:
    if problem == "regression":
        number = None if isinstance(cell, bool) else _number(cell)
        if number is None:
            raise DataError(f"{where}: label {cell!r:.60} is no number: correct it or drop the row")
        return number
    if not isinstance(layout.label, str):
        return tuple(
            name
            for name, flag in zip(layout.label, cell, strict=True)
            if _is_set(flag, f"{where}: column {name!r}")
        )
    if problem == "multi-label":
        parts: list[Any] = cell if isinstance(cell, list) else [cell]
        if isinstance(cell, str):
            parts = cell.split(layout.separator) if layout.separator else [cell]
        names = [_named(part, layout, where) for part in parts if str(part).strip()]
        return tuple(dict.fromkeys(names))
    if isinstance(cell, list):
        raise DataError(f"{where} has a list of labels: give problem=multi-label")
    if not str(cell).strip():
        raise DataError(f"{where} has an empty label: fill it in or drop the row")
    return _named(cell, layout, where)


def _is_set(flag: Any, where: str) -> bool:
    if flag in (0, 1, True, False):
        return bool(flag)
    if isinstance(flag, str) and flag.strip() in ("0", "1"):
        return flag.strip() == "1"
    raise DataError(f"{where} holds {flag!r:.60}: it must be 0 or 1")


def _named(cell: Any, layout: TextLayout, where: str) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if not isinstance(cell, (str, int)):
        raise DataError(f"{where}: label {cell!r:.60} is no name: give a string or a whole number")
    said = str(cell).strip()
    if not layout.names:
        return said
    if said not in layout.names:
        raise DataError(f"{where}: label {said!r:.60} is none of {_some(list(layout.names))}")
    return layout.names[said]


def _labels(layout: TextLayout, problem: str, examples: Sequence[TextExample]) -> tuple[str, ...]:
    if problem == "regression":
        return (layout.label if isinstance(layout.label, str) else layout.label[0],)
    if layout.labels:
        return layout.labels
    if layout.names:
        return tuple(layout.names.values())
    if not isinstance(layout.label, str):
        return layout.label
    seen = {label for example in examples for label in as_tuple(example.label)}
    # 2 comes before 10 where all of them are numbers.
    numbers = all(label.lstrip("-").isdecimal() for label in seen)
    return tuple(sorted(seen, key=lambda label: (int(label) if numbers else 0, label)))


def _check_known(
    example: TextExample, known: set[str], labels: Sequence[str], problem: str, where: str
) -> None:
    if problem == "regression":
        return
    for label in as_tuple(example.label):
        if label not in known:
            raise DataError(
                f"{where}: label {label!r:.60} is none of {_some(labels)}: "
                "correct it, or add it to the training data"
            )


def _check_every_label(examples: Sequence[TextExample], labels: Sequence[str], path: Path) -> None:
    seen = {label for example in examples for label in as_tuple(example.label)}
    missing = [label for label in labels if label not in seen]
    if missing:
        raise DataError(
            f"{path}: no row has label {missing[0]!r}, so that it cannot be learned: add rows that "
            "have it, or leave it out of the labels"
        )
    if len(labels) < 2 and not isinstance(examples[0].label, tuple):
        raise DataError(f"{path}: every row has label {labels[0]!r}: give data with at least two")


def _some(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:8])
    return shown if len(labels) <= 8 else f"{shown} and {len(labels) - 8} more"


def with_labels(layout: TextLayout, labels: Sequence[str], problem: str) -> TextLayout:
    """The layout by which other files of the same data are read: nothing is left to guess."""
    return replace(layout, labels=tuple(labels), problem=problem)
