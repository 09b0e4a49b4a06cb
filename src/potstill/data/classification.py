"""Labelled texts → examples: tables of one's own, and published sets by name.

A table is a file of rows with a column for the text, perhaps one for the second text of a pair, and
one for the label (or several of 0 and 1, one a label). Nothing is dropped without a word: a row
that cannot be used is an error that names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from potstill.data.cells import Label as Label
from potstill.data.cells import Labels, is_left_out, read_labels
from potstill.data.cells import TextLayout as TextLayout
from potstill.data.hub_set import local_data
from potstill.data.labels import some
from potstill.data.squad import as_id
from potstill.data.table import TableRow, check_accepted, kind_of, rows
from potstill.errors import DataError
from potstill.records import TextExample

_INFERENCE = frozenset(("entailment", "neutral", "contradiction"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TextData:
    """A file of texts, read."""

    examples: list[TextExample]
    labels: tuple[str, ...]
    """In order; of a regression the name of the column; empty where no labels are read."""
    problem: str
    """``single-label``, ``multi-label`` or ``regression``; empty where no labels are read."""
    notes: tuple[str, ...] = ()
    """What was left out, and which names were read as others, a line each."""


def load_texts(
    path: str | Path,
    layout: TextLayout | None = None,
    *,
    labelled: bool = True,
    every_label: bool = False,
) -> TextData:
    """Loads a file of texts.

    Args:
        path: its name says what it holds, see `potstill.data.table.rows`.
        layout: its columns; see `potstill.data.glue` for those of published sets.
        labelled: whether the rows must have labels; otherwise none are read.
        every_label: refuse a label that no row has, as in training.

    Raises:
        DataError: the file cannot be read, a column is missing, a row does not fit the others, a
            text is empty, or a label cannot be read, see `read_labels`.
    """
    path, layout = local_data(path), layout or TextLayout()
    ragged: list[int] = []
    found = list(_rows(path, layout, labelled, ragged))
    if not found:
        raise DataError(f"{path} holds no rows: give a file with some")
    unsure: list[int] = []
    if labelled:
        labels = [layout.label] if isinstance(layout.label, str) else layout.label
        used = (layout.text, layout.pair, *labels)
        for row in found if "answer" not in used else ():
            check_accepted(row.values, row.where)
        marks = _unsure(found, layout)
        unsure = [row.number for row in found if is_left_out(_raw_label(row.values, layout), marks)]
        found = [row for row in found if row.number not in set(unsure)]
    notes = _left_out(path, ragged, unsure)
    texts = [_texts(row, layout) for row in found]
    labels = Labels(each=[None] * len(found), every=layout.model or layout.labels, problem="")
    if labelled:
        cells = [_raw_label(row.values, layout) for row in found]
        labels = read_labels(cells, [row.where for row in found], layout)
        notes += [f"{path}: {note}" for note in labels.notes]
    examples = [
        TextExample(
            id=str(row.number) if row.values.get("id") is None else as_id(row.values["id"]),
            text=text,
            pair=pair,
            label=label,
        )
        for row, (text, pair), label in zip(found, texts, labels.each, strict=True)
    ]
    if every_label and labels.problem != "regression":
        _check_every_label(examples, labels.every, path)
    return TextData(
        examples=examples, labels=labels.every, problem=labels.problem, notes=tuple(notes)
    )


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
        raise DataError(f"{error} is none of the labels {some(labels)}") from None
    return table


def as_tuple(label: Label) -> tuple[str, ...]:
    """The names of an example's labels."""
    if isinstance(label, tuple):
        return label
    return () if label is None else (str(label),)


def is_table(path: Path) -> bool:
    """Whether a file's name says that it is CSV, TSV, JSONL or Parquet."""
    return kind_of(path) in (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def _rows(path: Path, layout: TextLayout, labelled: bool, ragged: list[int]) -> Iterator[TableRow]:
    columns = [layout.text, *([layout.pair] if layout.pair else [])]
    if labelled:
        columns += [layout.label] if isinstance(layout.label, str) else layout.label
    yield from rows(
        path,
        needed=columns,
        # Of unlabelled files even those sets have one whose labelled files have no header.
        columns=layout.columns if labelled else (),
        quoted=layout.quoted,
        ragged=ragged if layout.ragged else None,
    )


def _unsure(found: Sequence[TableRow], layout: TextLayout) -> Sequence[str]:
    """What stands for no label: of a set by name, or the dash of natural-language inference."""
    if layout.unsure or not isinstance(layout.label, str):
        return layout.unsure
    said = {str(row.values[layout.label]).strip() for row in found}
    return ("-",) if "-" in said and said - {"-"} and said - {"-"} <= _INFERENCE else ()


def _left_out(path: Path, ragged: Sequence[int], unsure: Sequence[int]) -> list[str]:
    found: list[str] = []
    for numbers, why in (
        (ragged, "rows of another number of fields"),
        (unsure, "rows whose label is that there is none"),
    ):
        if numbers:
            found.append(f"{path}: {why}, left out: {len(numbers)} (first: row {numbers[0]})")
    return found


def _texts(row: TableRow, layout: TextLayout) -> tuple[str, str | None]:
    text = _text(row.values, layout.text, row.where)
    return text, _text(row.values, layout.pair, row.where) if layout.pair else None


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


def _check_every_label(examples: Sequence[TextExample], labels: Sequence[str], path: Path) -> None:
    seen = {label for example in examples for label in as_tuple(example.label)}
    missing = [label for label in labels if label not in seen]
    if missing:
        raise DataError(
            f"{path}: no row has label {missing[0]!r}, so that it cannot be learned: add rows that "
            "have it, or omit it from the labels"
        )
    if len(labels) < 2 and not isinstance(examples[0].label, tuple):
        raise DataError(f"{path}: every row has label {labels[0]!r}: give data with at least two")


def with_labels(layout: TextLayout, labels: Sequence[str], problem: str) -> TextLayout:
    """The layout by which files are read for a model: nothing is left to guess."""
    return replace(layout, model=() if problem == "regression" else tuple(labels), problem=problem)
