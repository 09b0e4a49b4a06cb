"""Multiple-choice files → examples: one's own tables, and published layouts.

One's own: rows with the columns ``prompt``, ``choice0``, ``choice1``, … and ``label`` (the number
of the right one, from 0), or with the list ``choices`` in their place. Published ones are known by
their columns, those with lists in them by `potstill.data.choice_rows`, and these:

========  ==========================================================================
SWAG      ``sent1, sent2, ending0 … ending3, label``: each choice is ``sent2`` and an ending
CosmosQA  ``context, question, answer0 … answer3, label``: the prompt is both of the first
ComVE     ``id, FalseSent, OptionA, OptionB, OptionC``; answers lie in the file beside it, whose
          name has ``answers`` for ``data``
CODAH     tabs and no header: category, prompt, four endings, number of the right one
========  ==========================================================================
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from potstill.data.choice_rows import LISTS, published, strings
from potstill.data.files import open_text, take
from potstill.data.hub_set import local_data
from potstill.data.labels import as_number
from potstill.data.squad import as_id
from potstill.data.table import (
    check_header,
    kind_of,
    otherwise_parted,
    rows,
    shown,
    unquoted,
    wide_fields,
)
from potstill.errors import DataError
from potstill.records import ChoiceExample

_CHOICE = re.compile(r"(?:choice|ending|answer)_?(\d+)")
_CODAH_COLUMNS = 7
_LETTERS = "ABC"
_Row: TypeAlias = "tuple[str, dict[str, Any]]"
"""Where a row stands, for messages, and its fields by column."""


def load_choices(path: str | Path, *, labelled: bool = True) -> list[ChoiceExample]:
    """Loads a multiple-choice file; plain, ``.gz`` or ``.xz``.

    Args:
        path: its name says what it holds, see `potstill.data.table.rows`.
        labelled: whether every row must name its right choice.

    Returns:
        The examples in the order of the file. Rows may have different numbers of choices in
        JSONL. A choice may be empty, as three of ComVE's are, unless it is the right one.

    Raises:
        DataError: the file cannot be read, a column is missing, a row does not fit the others, a
            prompt is empty, there are fewer than two choices, or a label is none of them.
    """
    path = local_data(path)
    if kind_of(path) in (".csv", ".tsv"):
        examples = list(_read_table(path, "," if kind_of(path) == ".csv" else "\t", labelled))
    else:
        examples = list(_read_rows(path, labelled))
    if not examples:
        raise DataError(f"{path} holds no rows: give a file with a prompt and its choices a row")
    return examples


def fold(
    examples: Sequence[ChoiceExample], n_folds: int, number: int
) -> tuple[list[ChoiceExample], list[ChoiceExample]]:
    """One fold of a cross-validation by row number: what is trained on, and what is scored on.

    Folds are blocks of consecutive rows, as scikit-learn's ``KFold`` cuts them without shuffling:
    rows that were written together, which share prompts, mostly stay together.

    Args:
        examples: in the order of their file.
        n_folds: at least 2, and no more than there are examples.
        number: of the fold that is scored on, from 0.
    """
    size, larger = divmod(len(examples), n_folds)
    start = number * size + min(number, larger)
    stop = start + size + (number < larger)
    return [*examples[:start], *examples[stop:]], list(examples[start:stop])


def _read_rows(path: Path, labelled: bool) -> Iterator[ChoiceExample]:
    flat: list[_Row] = []
    for row in rows(path):
        values, where = row.values, row.where
        values.setdefault("id", str(row.number))
        found = published(values, where)
        if found is None and "choices" not in values:
            flat.append((where, values))
            continue
        prompt, choices, label = found or (
            take(values, "prompt", str, where),
            strings(take(values, "choices", list, where), where),
            values.get("label"),
        )
        label = _number(label, where, "'label'")
        yield _example(as_id(values["id"]), prompt, choices, label, where, labelled)
    if flat:
        header = list(dict.fromkeys(name for _, values in flat for name in values))
        yield from _columns(flat, header, path, labelled)


def _read_table(path: Path, delimiter: str, labelled: bool) -> Iterator[ChoiceExample]:
    with open_text(path) as file, wide_fields():
        lines = list(_split(file, path, delimiter))
    header = [name.strip() for name in lines[0][1]] if lines else []
    if _is_codah(header, delimiter):
        yield from _codah(lines, path, labelled)
        return
    if delimiter == "\t":
        lines = [(where, [unquoted(field) for field in fields]) for where, fields in lines]
        header = [unquoted(name) for name in header]
    check_header(header, path)
    named = [
        (where, dict(zip(header, _full(fields, len(header), where), strict=True)))
        for where, fields in lines[1:]
    ]
    if {"FalseSent", "OptionA"} <= set(header):
        yield from _comve(named, header, path, labelled)
    else:
        yield from _columns(named, header, path, labelled)


def _split(file: Any, path: Path, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Every row that is not blank, with where it stands; the header is row 0."""
    if delimiter == "\t":  # as published: quotes are letters, and no field holds a line break
        for number, line in enumerate(file):
            if line.strip():
                yield f"{path}: line {number + 1}", line.rstrip("\r\n").split("\t")
        return
    reader = csv.reader(file, strict=True)
    try:
        for number, fields in enumerate(reader):
            if fields:
                yield f"{path}: row {number}", fields
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} is not CSV: {error}") from None


def _full(fields: list[str], n: int, where: str) -> list[str]:
    if len(fields) != n:
        raise DataError(
            f"{where} has {len(fields)} fields, the first row {n}: quote fields that hold a "
            "separator, or write it as CSV"
        )
    return fields


def _is_codah(header: list[str], delimiter: str) -> bool:
    return delimiter == "\t" and len(header) == _CODAH_COLUMNS and header[-1].isdecimal()


def _codah(
    lines: list[tuple[str, list[str]]], path: Path, labelled: bool
) -> Iterator[ChoiceExample]:
    for number, (where, fields) in enumerate(lines):
        _, prompt, *endings, answer = _full(fields, _CODAH_COLUMNS, where)
        label = _number(answer, where, "the last column")
        yield _example(str(number), prompt, endings, label, where, labelled)


def _comve(
    named: list[_Row], header: list[str], path: Path, labelled: bool
) -> Iterator[ChoiceExample]:
    options = [name for name in header if name.startswith("Option")]
    beside = path.with_name(path.name.replace("data", "answers"))
    answers = _comve_answers(beside) if labelled or beside.is_file() else {}
    for number, (where, row) in enumerate(named, start=1):
        name = row.get("id") or str(number)
        letter = answers.get(name)
        if labelled and letter is None:
            raise DataError(f"{where}: {beside.name} has no answer for the id {name!r}: add it")
        label = None if letter is None else _LETTERS.index(letter)
        choices = [row[option] for option in options]
        yield _example(name, row["FalseSent"], choices, label, where, labelled)


def _comve_answers(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    with open_text(path) as file:
        for where, fields in _split(file, path, ","):
            name, letter = _full(fields, 2, where)
            if letter.strip() not in tuple(_LETTERS):
                raise DataError(f"{where}: the answer {letter!r} is none of A, B, C: correct it")
            found[name] = letter.strip()
    return found


def _columns(
    named: list[_Row], header: list[str], path: Path, labelled: bool
) -> Iterator[ChoiceExample]:
    found = [(int(m[1]), name) for name in header if (m := _CHOICE.fullmatch(name))]
    choices = [name for _, name in sorted(found)]
    swag, cosmos = {"sent1", "sent2"} <= set(header), {"context", "question"} <= set(header)
    if not (swag or cosmos or "prompt" in header) or len(choices) < 2:
        remedy = otherwise_parted(header)
        if LISTS & set(header):
            remedy = "lists do not go into the cells of a table: write it as JSONL or Parquet"
        raise DataError(
            f"{path} has no columns prompt, choice0, choice1 (it has {shown(header)}): {remedy}"
        )
    numbers = sorted(number for number, _ in found)
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise DataError(
            f"{path} has the columns {shown(choices)}: number them without a gap or a repetition"
        )
    if labelled and "label" not in header:
        raise DataError(f"{path} has no column 'label': add the number of the right choice, from 0")
    labels = [_number(row.get("label"), where, "label") for where, row in named]
    if labelled and min(found)[0] == 1 and 0 not in labels:
        raise DataError(
            f"{path} counts its choices from 1 ({min(found)[1]}, …) and no label is 0: count "
            "labels from 0, or, if they are, call the first column "
            f"{min(found)[1].replace('1', '0')}"
        )
    for number, ((where, row), label) in enumerate(zip(named, labels, strict=True), start=1):
        texts = [take(row, name, str, where) for name in choices]
        if swag:
            second = take(row, "sent2", str, where)
            texts = [f"{second} {text}".strip() for text in texts]
        keys = ("sent1",) if swag else ("context", "question") if cosmos else ("prompt",)
        prompt = " ".join(take(row, key, str, where) for key in keys)
        name = as_id(row["id"]) if row.get("id") else str(number)
        yield _example(name, prompt, texts, label, where, labelled)


def _number(cell: Any, where: str, column: str) -> int | None:
    """The number of a choice; ``None`` where nothing is said."""
    if cell is None or cell == "" or (isinstance(cell, float) and cell != cell):
        return None
    number = None if isinstance(cell, bool) else as_number(cell)
    if number is None:
        raise DataError(
            f"{where}: {column} is {cell!r:.60}, not a whole number: count choices from 0"
        )
    return number


def _example(
    name: str,
    prompt: str,
    choices: Sequence[str],
    label: int | None,
    where: str,
    labelled: bool,
) -> ChoiceExample:
    if not prompt.strip():
        raise DataError(f"{where} has an empty prompt: fill it in")
    if len(choices) < 2:
        raise DataError(f"{where} has {len(choices)} choices: give at least two")
    if label == -1 and not labelled:
        label = None  # as data sets of the hub say that there is none
    if label is None and labelled:
        raise DataError(f"{where} has no label: give the number of the right choice, from 0")
    if label is not None:
        if not 0 <= label < len(choices):
            raise DataError(
                f"{where}: label {label} is none of the {len(choices)} choices: "
                f"give a number from 0 to {len(choices) - 1}"
            )
        if not choices[label].strip():
            raise DataError(f"{where}: the right choice, number {label}, is empty: fill it in")
    return ChoiceExample(id=name, prompt=prompt, choices=tuple(choices), label=label)
