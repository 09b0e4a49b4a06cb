"""Names of labels: what a cell says, when two of them are one, and which of a model's they are.

Here alone are names of labels matched. Fine-tuning matches a file to score on with the one that is
trained on, and a base's output layer with the data; distilling matches data with teachers; scoring,
the gate and the export match data with a model.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.errors import DataError

MISSING = frozenset(
    "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|NaT|"
    "n/a|nan|null|-|?|\\N|#VALUE!|#REF!|#DIV/0!|#NAME?|#NUM!|#NULL!".split("|")
)
"""What stands for a value that is not there: pandas' own list, and the marks of tables."""
_INNER_SIGN = re.compile(r"(?<=\w)[\s_\u2010-\u2015-]+(?=\w)|_")
_DEFAULT = re.compile(r"(?i:label)[_ ]?(\d+)")
_JOINS = ";|,/"
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Matched:
    """Names of a file as those of a model."""

    names: Mapping[str, str]
    """The file's name → the model's."""
    note: str = ""
    """One line on names that are spelt otherwise; empty where all are the same."""


class UnmatchedError(DataError):
    """A name is none of the model's; ``name`` is the first such."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def match_labels(
    found: Iterable[str], known: Sequence[str], *, order: Sequence[str] = ()
) -> Matched:
    """Says which of a model's labels each name of a file is.

    In this order: the same name; the same but for case, composition of accents and punctuation;
    the same whole number (``0.0`` and ``0``); where the model's labels are called after their
    places (``LABEL_2``, as Hugging Face calls one that nobody has named, or ``2``), a number or the
    place in ``order``; and the other way round ``LABEL_2`` and the model's third.

    Args:
        found: the names in the file.
        known: those of the model, in order.
        order: all names of the file in the order of their numbers, where somebody has said it.

    Raises:
        UnmatchedError: a name is none of them, or two names are one.
    """
    names = list(dict.fromkeys(found))
    exact, folded = set(known), _folded(known)
    unnamed = all(_is_place(name, i) for i, name in enumerate(known))
    numbers = {str(i): name for i, name in enumerate(known)} if unnamed else {}
    matched: dict[str, str] = {}
    for name in names:
        default = _DEFAULT.fullmatch(name)
        number = as_number(name)
        if name in exact:
            matched[name] = name
        elif folded.get(fold(name)):
            matched[name] = folded[fold(name)]
        elif number is not None and str(number) in exact:
            matched[name] = str(number)
        elif unnamed and number is not None and str(number) in numbers:
            matched[name] = numbers[str(number)]
        elif unnamed and name in order and len(order) == len(known):
            matched[name] = numbers[str(order.index(name))]
        elif default and not unnamed and int(default[1]) < len(known):
            matched[name] = known[int(default[1])]
        else:
            raise UnmatchedError(name, _unknown(name, known))
    for name, other in _pairs(matched):
        raise UnmatchedError(
            other, f"{name!r:.40} and {other!r:.40} are both the label {matched[name]!r:.40}"
        )
    others = [f"{name} → {theirs}" for name, theirs in matched.items() if name != theirs]
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    note = f"labels read as the model's: {', '.join(others[:_SHOWN])}{more}" if others else ""
    return Matched(matched, note)


def _is_place(name: str, i: int) -> bool:
    """Whether a label is called after its place, as those that nobody has named are."""
    default = _DEFAULT.fullmatch(name)
    return name == str(i) or (default is not None and default[1] == str(i))


def places(
    found: Sequence[str], known: Sequence[str], *, order: Sequence[str] = ()
) -> list[int] | None:
    """Where each name stands among others, ``None`` if one does not; see `match_labels`."""
    try:
        names = match_labels(found, known, order=order).names
    except UnmatchedError:
        return None
    return [known.index(names[name]) for name in found]


def fold(name: str) -> str:
    """A name without case, punctuation and the ways in which accents are composed."""
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return " ".join(re.findall(r"[^\W_]+", plain)) or plain


def as_number(cell: Any) -> int | None:
    """A whole number, written in any way; ``None`` for anything else."""
    value = as_float(cell)
    return int(value) if value is not None and value.is_integer() else None


def as_float(cell: Any) -> float | None:
    """A finite number, as it is or as text; ``None`` for anything else."""
    if isinstance(cell, str) and not re.fullmatch(r"\s*[-+]?[\d.]+(?:[eE][-+]?\d+)?\s*", cell):
        return None  # float() also takes 1_000, infinity and digits of any script
    try:
        number = float(cell)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and not isinstance(cell, bool) else None


def twins(names: Collection[str]) -> tuple[str, str] | None:
    """Two names that differ in case, blanks, dashes, quotes or how letters are written alone."""
    seen: dict[str, str] = {}
    for name in names:
        seen_letters = (c for c in name if unicodedata.category(c) != "Cf")  # none of no width
        plain = unicodedata.normalize("NFKC", "".join(seen_letters)).strip("\"'").casefold()
        key = " ".join(_INNER_SIGN.sub(" ", plain).split()) or plain
        if seen.setdefault(key, name) != name:
            return seen[key], name
    return None


def joined(names: Collection[str]) -> tuple[str, list[str], str] | None:
    """A name that is several others joined by a sign: the name, its parts and the sign.

    Every part has to stand elsewhere, alone or joined. Names of one label have commas and slashes,
    too: there a part has to stand alone.
    """
    for sign in _JOINS:
        apart = {name: [part.strip() for part in name.split(sign)] for name in names}
        known = Counter(part for parts in apart.values() for part in set(parts))
        for name, parts in apart.items():
            alone = sign in ";|" or any(part in apart for part in parts)
            if len(parts) > 1 and alone and all(known[part] > 1 for part in parts):
                return name, parts, sign
    return None


def some(labels: Iterable[str]) -> str:
    """The first few names for a message."""
    every = [" ".join(label.split())[:40] for label in labels]
    shown = ", ".join(every[:_SHOWN])
    return shown if len(every) <= _SHOWN else f"{shown} and {len(every) - _SHOWN} more"


def _folded(known: Sequence[str]) -> dict[str, str]:
    """Folded → the one label that is folded so."""
    found: dict[str, str] = {}
    for name in known:
        found[fold(name)] = "" if fold(name) in found else name
    return found


def _pairs(matched: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    first: dict[str, str] = {}
    for name, theirs in matched.items():
        other = first.setdefault(theirs, name)
        # Two spellings of one number are the same name.
        if other != name and (as_number(name) is None or as_number(name) != as_number(other)):
            yield other, name


def _unknown(name: str, known: Sequence[str]) -> str:
    if as_number(name) is not None and known:
        return (
            f"label {name!r:.40} is a number, and the labels are {some(known)}: say what 0, 1, … "
            "mean, in order, by labels (in a recipe labels=[…], else --labels A,B,…)"
        )
    return f"label {name!r:.40} is none of {some(known)}"
