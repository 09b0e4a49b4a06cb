"""What a recipe is put together from: tables of keys, each key with what is known of it.

A key stands in one table: its type, its default, its marks and, below it, its meaning. The recipe
of a kind of run is a class that names its tables as bases.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum, auto
from functools import cache
from typing import Any, ClassVar

from potstill.errors import RecipeError


@dataclass(frozen=True)
class Between:
    """Mark of a number: least and greatest value."""

    low: float
    high: float


class OneOf(tuple[str, ...]):
    """Mark of a word: the values that it takes."""


class Mark(Enum):
    """Other marks of a key."""

    REQUIRED = auto()
    """It may not be empty."""
    MAY_CHANGE = auto()
    """A resumed run may give it anew: where files lie, what is written, how long it lasts. The data
    themselves are held to their fingerprint."""
    PATH = auto()
    """It may name a place on this machine."""


REQUIRED, MAY_CHANGE, PATH = Mark.REQUIRED, Mark.MAY_CHANGE, Mark.PATH
COUNT = Between(0, 1e12)
"""Of what may be as many as there are."""
SHARE = Between(0, 1)
WEIGHT = Between(0, 1e6)
"""Of a loss, beside others."""


# Without slots: a class cannot have two bases that both have them.
@dataclass(frozen=True, kw_only=True)
class Table:
    """Keys that belong together."""

    TITLE: ClassVar[str] = ""
    """Heading on the page of all keys."""

    def check(self) -> None:
        """Checks what the keys of this table say together; each table's is called by itself.

        Raises:
            RecipeError: names the key whose value cannot be used.
        """

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            RecipeError: names the first key whose value cannot be used.
        """
        marks = marks_of(type(self)).items()
        for name, choices in ((n, m) for n, own in marks for m in own if isinstance(m, OneOf)):
            value = getattr(self, name)
            if value not in choices:
                raise RecipeError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        for name in (name for name, own in marks if REQUIRED in own):
            if not getattr(self, name):
                raise RecipeError(f"{name} is empty: give it in the recipe or as {name}=PATH")
        for name, limits in ((n, m) for n, own in marks for m in own if isinstance(m, Between)):
            value = getattr(self, name)
            if value is not None and not limits.low <= value <= limits.high:
                raise RecipeError(
                    f"{name} must be between {limits.low:g} and {limits.high:g}, not {value!r}"
                )
        for table in reversed(type(self).__mro__):
            if "check" in vars(table):
                vars(table)["check"](self)

    @classmethod
    def marked(cls, mark: Mark) -> tuple[str, ...]:
        """Keys with a mark."""
        return tuple(name for name, own in marks_of(cls).items() if mark in own)

    def to_dict(self) -> dict[str, Any]:
        """Every key and its value, as JSON holds them."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@cache
def marks_of(kind: type[Table]) -> Mapping[str, tuple[Any, ...]]:
    """Key → its marks, of every key of a recipe."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
