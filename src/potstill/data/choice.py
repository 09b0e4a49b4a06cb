"""Multiple-choice files → examples: one's own tables, and four published layouts.

One's own: CSV or TSV with the columns ``prompt``, ``choice0``, ``choice1``, … and ``label`` (the
number of the right one, from 0), or JSONL with ``prompt``, the list ``choices`` and ``label``.
Published ones are known by their columns:

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

from potstill.data.files import open_text, parse_json, take
from potstill.data.squad import as_id
from potstill.data.table import shown, wide_fields
from potstill.errors import DataError
from potstill.records import ChoiceExample

_CHOICE = re.compile(r"(?:choice|ending|answer)_?(\d+)")
_CODAH_COLUMNS = 7
_LETTERS = "ABC"
_Row: TypeAlias = "tuple[str, dict[str, str]]"
"""Where a row stands, for messages, and its fields by column."""


def load_choices(path: str | Path, *, labelled: bool = True) -> list[ChoiceExample]:
    """Loads a multiple-choice file; plain, ``.gz`` or ``.xz``.

    Args:
        path: ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson``.
        labelled: whether every row must name its right choice.

    Returns:
        The examples in the order of the file. Rows may have different numbers of choices in
        JSONL. A choice may be empty, as three of ComVE's are, unless it is the right one.

    Raises:
        DataError: the file cannot be read, a column is missing, a row does not fit the others, a
            prompt is empty, there are fewer than two choices, or a label is none of them.
    """
    path = Path(path)
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in (".gz", ".xz")]
    kind = suffixes[-1] if suffixes else ""
    if kind in (".jsonl", ".ndjson"):
        examples = list(_read_jsonl(path, labelled))
    elif kind in (".csv", ".tsv"):
        examples = list(_read_table(path, "," if kind == ".csv" else "\t", labelled))
    else:
        with open_text(path):  # a missing file is said to be missing
            raise DataError(
                f"{path} has no known suffix: name it .csv, .tsv or .jsonl, alone or with .gz "
                "or .xz"
            )
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


def _read_jsonl(path: Path, labelled: bool) -> Iterator[ChoiceExample]:
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}: line {number}"
            row = parse_json(line, where)
            prompt, choices = take(row, "prompt", str, where), take(row, "choices", list, where)
            for choice in choices:
                if not isinstance(choice, str):
                    raise DataError(f"{where}: the choice {choice!r} is not a string: quote it")
            label: Any = row.get("label")
            if label is not None and (not isinstance(label, int) or isinstance(label, bool)):
                raise DataError(
                    f"{where}: 'label' is {label!r}, not a whole number: count choices from 0"
                )
            name = as_id(row["id"]) if row.get("id") is not None else str(number)
            yield _example(name, prompt, choices, label, where, labelled)


def _read_table(path: Path, delimiter: str, labelled: bool) -> Iterator[ChoiceExample]:
    with open_text(path) as file, wide_fields():
        rows = list(_split(file, path, delimiter))
    header = [name.strip() for name in rows[0][1]] if rows else []
    if _is_codah(header, delimiter):
        yield from _codah(rows, path, labelled)
        return
    named = [
        (where, dict(zip(header, _full(fields, len(header), where), strict=True)))
        for where, fields in rows[1:]
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
    rows: list[tuple[str, list[str]]], path: Path, labelled: bool
) -> Iterator[ChoiceExample]:
    for number, (where, fields) in enumerate(rows):
        _, prompt, *endings, answer = _full(fields, _CODAH_COLUMNS, where)
        label = _number(answer, where, "the last column")
        yield _example(str(number), prompt, endings, label, where, labelled)


def _comve(
    rows: list[_Row], header: list[str], path: Path, labelled: bool
) -> Iterator[ChoiceExample]:
    options = [name for name in header if name.startswith("Option")]
    beside = path.with_name(path.name.replace("data", "answers"))
    answers = _comve_answers(beside) if labelled or beside.is_file() else {}
    for number, (where, row) in enumerate(rows, start=1):
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
    rows: list[_Row], header: list[str], path: Path, labelled: bool
) -> Iterator[ChoiceExample]:
    found = [(int(m[1]), name) for name in header if (m := _CHOICE.fullmatch(name))]
    choices = [name for _, name in sorted(found)]
    swag, cosmos = {"sent1", "sent2"} <= set(header), {"context", "question"} <= set(header)
    if not (swag or cosmos or "prompt" in header) or len(choices) < 2:
        raise DataError(
            f"{path} has no columns prompt, choice0, choice1 (it has "
            f"{shown(header)}): the first line must name the columns"
        )
    if labelled and "label" not in header:
        raise DataError(f"{path} has no column 'label': add the number of the right choice, from 0")
    for number, (where, row) in enumerate(rows, start=1):
        texts = [row[name] for name in choices]
        if swag:
            prompt, texts = row["sent1"], [f"{row['sent2']} {text}".strip() for text in texts]
        else:
            prompt = f"{row['context']} {row['question']}" if cosmos else row["prompt"]
        label = _number(row["label"], where, "label") if row.get("label") else None
        yield _example(row.get("id") or str(number), prompt, texts, label, where, labelled)


def _number(text: str, where: str, column: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise DataError(
            f"{where}: {column} is {text!r}, not a whole number: count choices from 0"
        ) from None


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
