"""What the cells of a label column say: one label, several, or a number, and the labels' names.

Guessed is only what cannot be wrong. A number among names, a mark for a missing value, names that
differ in case alone, and lists of 0 and 1 whose places nobody has named are refused, each with its
row and with the key of a recipe that says what is meant.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from potstill.data.labels import (
    MISSING,
    UnmatchedError,
    as_float,
    as_number,
    joined,
    match_labels,
    some,
    twins,
)
from potstill.data.literal import parse_literal
from potstill.errors import DataError

Label = str | float | tuple[str, ...] | None

_FIGURE = re.compile(
    r"[-+]?[$\u20ac\u00a3\u00a5]?\s?(?:\d+,\d+|\d{1,3}(?:[.,'\s]\d{3})+(?:[.,]\d+)?"
    r"|\d+(?:[.,]\d+)?(?=\s?[%$\u20ac\u00a3\u00a5])|(?<=[$\u20ac\u00a3\u00a5])\d+(?:\.\d+)?"
    r"|(?<=[$\u20ac\u00a3\u00a5]\s)\d+(?:\.\d+)?)\s?[%$\u20ac\u00a3\u00a5]?"
)
"""A number with a decimal comma or groups of thousands, a share, or an amount of money."""
_PRINTED = re.compile(r"\[.*\]|\(\s*['\"].*\)|\{.*\}|(?:frozen)?set\(.*\)", re.DOTALL)
_LARGEST = 3.4e38
"""Of float32."""


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
    """The labels, in order: also what the numbers 0, 1, … of a column mean, and the places of a
    list of 0 and 1. By default those of ``names``, or those of the file, sorted."""
    model: tuple[str, ...] = ()
    """Labels of a model that the file is read for: the file's are matched with them."""
    problem: str = ""
    """``single-label``, ``multi-label`` or ``regression``; by default what the labels look like."""
    columns: tuple[str, ...] = ()
    """Names of the columns where labelled files have no header line."""
    quoted: bool = True
    """Whether fields in quotation marks may hold separators."""
    unsure: tuple[str, ...] = ()
    """What stands for a label that nobody could agree on or has given: such rows are left out."""
    ragged: bool = False
    """Whether rows of another number of fields are left out, as the set's own reader does."""

    @property
    def order(self) -> tuple[str, ...]:
        """The labels in the order of their numbers, where somebody has said it."""
        return self.labels or tuple(dict.fromkeys(self.names.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The labels of a file."""

    each: list[Label]
    """Of each row."""
    every: tuple[str, ...]
    """In order; of a regression the name of the column."""
    problem: str
    notes: tuple[str, ...] = ()


def read_labels(cells: Sequence[Any], where: Sequence[str], layout: TextLayout) -> Labels:
    """Reads the labels of a file.

    Args:
        cells: of each row: what stands in the column, or a list of what stands in the columns.
        where: what to call each row in errors.
        layout: what is known of the columns.

    Raises:
        DataError: names the first row whose label cannot be read.
    """
    for cell, at in zip(cells, where, strict=True):
        if cell is None:
            raise DataError(f"{at} has no label: fill it in or drop the row")
    if not isinstance(layout.label, str):
        sets = [_flagged(cell, layout.label, at) for cell, at in zip(cells, where, strict=True)]
        return _named(sets, where, layout, "multi-label", layout.label)
    cells = _unprinted(cells, where)
    problem = layout.problem or _problem(cells, where, layout)
    if problem == "regression":
        numbers = [_target(cell, at) for cell, at in zip(cells, where, strict=True)]
        return Labels(each=cast("list[Label]", numbers), every=(layout.label,), problem=problem)
    if problem == "multi-label":
        places = _places(cells, where, layout)
        sets = [_set_of(cell, layout, places, at) for cell, at in zip(cells, where, strict=True)]
        found = _named(sets, where, layout, problem, ())
        if layout.problem or layout.separator or any(len(one) != 1 for one in sets):
            return found
        note = "every list holds one label: problem=single-label reads them as classes"
        return replace(found, notes=(*found.notes, note))
    cells = [c[0] if isinstance(c, list) and len(cast("list[Any]", c)) == 1 else c for c in cells]
    for cell, at in zip(cells, where, strict=True):
        if isinstance(cell, list):
            raise DataError(
                f"{at} has {len(cast('list[Any]', cell))} labels: give problem=multi-label"
            )
        if not str(cell).strip():
            raise DataError(f"{at} has an empty label: fill it in or drop the row")
    said = [(_said(cell, at),) for cell, at in zip(cells, where, strict=True)]
    return _named(said, where, layout, problem, ())


def is_left_out(cell: Any, unsure: Sequence[str]) -> bool:
    """Whether a row's label, or all of them, is one that a set has for "no label"."""
    if isinstance(cell, list):
        return bool(cell) and all(is_left_out(one, unsure) for one in cast("list[Any]", cell))
    return bool(unsure) and cell is not None and str(cell).strip() in unsure


def _unprinted(cells: Sequence[Any], where: Sequence[str]) -> list[Any]:
    """Lists out of cells in which a program has printed them; ``{"choices": […]}`` is one too."""
    found: list[Any] = []
    several = False  # Label Studio has the name alone where one was chosen
    for cell in cells:
        if isinstance(cell, str) and _PRINTED.fullmatch(cell.strip()):
            try:
                cell = parse_literal(cell)
            except ValueError:
                return list(cells)  # a name in brackets
        if isinstance(cell, dict) and cell.keys() == {"choices"}:
            several, cell = True, cell["choices"]
        found.append(cell)
    if not any(isinstance(cell, list) for cell in found):
        return found
    for i, cell in enumerate(found):
        if isinstance(cell, str) and cell.strip():
            if not several:
                raise DataError(
                    f"{where[i]}: label {cell!r:.60} is not a list, as others are: make them alike"
                )
            found[i] = [cell]
    return found


def _problem(cells: Sequence[Any], where: Sequence[str], layout: TextLayout) -> str:
    if layout.separator or any(isinstance(cell, list) for cell in cells):
        return "multi-label"
    if layout.names or layout.labels or layout.model:
        return "single-label"
    numbers = [as_float(cell) for cell in cells]
    strange = [i for i, number in enumerate(numbers) if number is None]
    if len(strange) == len(numbers):
        return "single-label"
    whole = all(number.is_integer() for number in numbers if number is not None)
    if not strange:
        return "single-label" if whole else "regression"
    i = strange[0]
    if whole and 2 * len(strange) > len(numbers):
        i = next(i for i, number in enumerate(numbers) if number is not None)
    raise DataError(
        f"{where[i]}: label {cells[i]!r:.60} is "
        f"{'a number' if numbers[i] is not None else 'not a number'}, "
        f"{len(strange) if numbers[i] is not None else len(numbers) - len(strange)} others are "
        f"{'not' if numbers[i] is not None else 'numbers'}: correct it or drop the row"
        + ("; problem=single-label takes all as names" if whole else "")
    )


def _target(cell: Any, where: str) -> float:
    number = as_float(cell)
    if number is None or abs(number) > _LARGEST:
        raise DataError(f"{where}: label {cell!r:.60} is not a number: correct it or drop the row")
    return number


def _flagged(cell: Any, names: Sequence[str], where: str) -> tuple[str, ...]:
    found = zip(names, cell, strict=True)
    return tuple(name for name, flag in found if _is_set(flag, f"{where}: column {name!r}"))


def _is_set(flag: Any, where: str) -> bool:
    if str(flag).strip().lower() in ("true", "false"):
        return str(flag).strip().lower() == "true"
    if as_number(flag) not in (0, 1):
        raise DataError(f"{where} holds {flag!r:.60}: it must be 0 or 1")
    return as_number(flag) == 1


def _places(cells: Sequence[Any], where: Sequence[str], layout: TextLayout) -> tuple[str, ...]:
    """What the places of lists of 0 and 1 are; empty where the lists hold names.

    Raises:
        DataError: nobody has said it, or of another number of labels.
    """
    lists: list[list[Any]] = [cell for cell in cells if isinstance(cell, list)]
    if not lists or any(not _is_flag(one) for cell in lists for one in cell):
        return ()
    wide = {len(cell) for cell in lists}
    if len(wide) > 1 or min(wide) < 2:
        return ()  # numbers of labels: 0 and 1 are among them
    repeats = any(len({str(one) for one in cell}) < len(cell) for cell in lists)
    if not repeats and set(layout.labels) == {"0", "1"}:
        return ()
    i = next(i for i, cell in enumerate(cells) if isinstance(cell, list))
    if not layout.labels:
        raise DataError(
            f"{where[i]}: label {cells[i]!r:.60} is a list of 0 and 1: name its places in order by "
            "labels (in a recipe labels=[…], else --labels A,B,…)"
        )
    if wide != {len(layout.labels)}:
        raise DataError(
            f"{where[i]}: label {cells[i]!r:.60} has {min(wide)} places, and labels names "
            f"{len(layout.labels)}: give a name for each"
        )
    return layout.labels


def _is_flag(one: Any) -> bool:
    return as_number(one) in (0, 1) or isinstance(one, bool)


def _set_of(cell: Any, layout: TextLayout, places: Sequence[str], where: str) -> tuple[str, ...]:
    if places and isinstance(cell, list):
        return _flagged(cell, places, where)
    parts: list[Any] = cell if isinstance(cell, list) else [cell]
    if isinstance(cell, str):
        parts = cell.split(layout.separator) if layout.separator else [cell]
    return tuple(dict.fromkeys(_said(part, where) for part in parts if str(part).strip()))


def _said(cell: Any, where: str) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, float) and math.isnan(cell):
        raise DataError(f"{where} has no label: fill it in or drop the row")
    if not isinstance(cell, (str, int)):
        raise DataError(
            f"{where}: label {cell!r:.60} is not a name: give a string or a whole number"
        )
    return unicodedata.normalize("NFC", str(cell).strip())


def _named(
    sets: Sequence[tuple[str, ...]],
    where: Sequence[str],
    layout: TextLayout,
    problem: str,
    columns: tuple[str, ...],
) -> Labels:
    """Names as the layout and the model have them."""
    first: dict[str, str] = {}
    for labels, at in zip(sets, where, strict=True):
        for label in labels:
            first.setdefault(label, at)
    notes: list[str] = []
    names = _numbers_alike(first)
    if layout.names:
        names = {name: _published(said, layout.names, first[name]) for name, said in names.items()}
    elif layout.labels:
        matched, note = _of_labels(names, layout.labels, first)
        names = matched
        notes += [note] if note else []
    elif not layout.model:
        _check_names(names, first, layout)
    every = layout.model or layout.order or columns or _sorted(names.values())
    if layout.model:
        try:
            found = match_labels(names.values(), layout.model, order=layout.order or columns)
        except UnmatchedError as error:
            at = next((first[name] for name, said in names.items() if said == error.name), where[0])
            raise DataError(_with_remedy(at, error)) from None
        names = {name: found.names[said] for name, said in names.items()}
        notes += [found.note] if found.note else []
    elif not columns and len(every) > 2 and all(as_number(name) is not None for name in every):
        notes.append(
            f"the labels are whole numbers, read as {len(every)} classes: problem=regression reads "
            "them as values"
        )
    each: list[Label] = [tuple(names[label] for label in labels) for labels in sets]
    if problem == "single-label":
        each = [labels[0] for labels in cast("list[tuple[str, ...]]", each)]
    return Labels(each=each, every=tuple(every), problem=problem, notes=tuple(notes))


def _numbers_alike(first: Mapping[str, str]) -> dict[str, str]:
    """Each name as it is; ``0.0`` as ``0`` where all of them are numbers."""
    if not all(as_number(name) is not None for name in first):
        return {name: name for name in first}
    found = {name: str(as_number(name)) if set(name) & set(".eE") else name for name in first}
    seen: dict[int, str] = {}
    for name, said in found.items():
        number = as_number(said)
        assert number is not None
        if seen.setdefault(number, said) != said:
            raise DataError(
                f"{first[name]}: label {name!r} is the number {seen[number]!r} written otherwise: "
                "write them alike"
            )
    return found


def _published(name: str, names: Mapping[str, str], where: str) -> str:
    if name in names:
        return names[name]
    try:
        return match_labels([name], list(names.values())).names[name]
    except UnmatchedError:
        raise DataError(f"{where}: label {name!r:.60} is none of {some(names)}") from None


def _of_labels(
    names: Mapping[str, str], labels: Sequence[str], first: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """Names, or numbers as places, among labels that somebody has listed."""
    numbers = {name: as_number(said) for name, said in names.items()}
    try:
        found = match_labels(names.values(), labels)
        return {name: found.names[said] for name, said in names.items()}, found.note
    except UnmatchedError as error:
        if all(number is not None and 0 <= number < len(labels) for number in numbers.values()):
            placed = {name: labels[number or 0] for name, number in numbers.items()}
            told = [f"{i} → {label}" for i, label in enumerate(labels[:8])]
            more = f" and {len(labels) - 8} more" if len(labels) > 8 else ""
            return placed, f"labels by their place in labels: {', '.join(told)}{more}"
        at = next(first[name] for name, said in names.items() if said == error.name)
        raise DataError(_with_remedy(at, error)) from None


def _with_remedy(where: str, error: UnmatchedError) -> str:
    said = "labels=" in str(error)
    return f"{where}: {error}" + ("" if said else ": correct it, or add it to the training data")


def _check_names(names: Mapping[str, str], first: Mapping[str, str], layout: TextLayout) -> None:
    """Refuses names that nobody can have meant, where no labels are listed.

    Data sets of the hub write -1 for a missing label; beside 1 alone it is one of two classes.
    """
    numbers = [n for n in map(as_number, names) if n is not None]
    for name in names:
        if name in MISSING or (numbers and min(numbers) == -1 == as_number(name) and 0 in numbers):
            raise DataError(
                f"{first[name]}: label {name!r} stands for a missing one: fill it in, drop the "
                "row, or list it in labels=[…] if it is a label"
            )
    two = twins(names)
    if two:
        raise DataError(
            f"{first[two[1]]}: label {two[1]!r:.40} is {two[0]!r:.40} ({first[two[0]]}) in another "
            "case or with other blanks or signs: write them alike, or list both in labels=[…]"
        )
    figures = [name for name in names if as_float(name) is None and _FIGURE.fullmatch(name)]
    if figures and all(name in figures or as_float(name) is not None for name in names):
        raise DataError(
            f"{first[figures[0]]}: label {figures[0]!r:.40} is a number as people write it: write "
            "it with a point and no sign behind it, or list the labels in labels=[…]"
        )
    several = joined(names)
    if several:
        name, parts, sign = several
        raise DataError(
            f"{first[name]}: label {name!r:.60} is several labels: give a list, "
            f"{json.dumps(parts)[:60]}, or separator={sign!r} in a recipe, or list every label in "
            "labels=[…]"
        )


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    # 2 comes before 10 where all of them are numbers.
    seen = set(names)
    numbers = all(as_number(name) is not None for name in seen)
    return tuple(sorted(seen, key=lambda name: (as_number(name) or 0 if numbers else 0, name)))
