"""What the keys of recipes mean, read from where they are defined.

Each key is a field of a class, and the text below the field is what is said of it: in the source,
on docs/recipes.md, and by ``potstill recipes keys``.
"""

from __future__ import annotations

import ast
import inspect
import json
import typing
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields
from types import UnionType
from typing import Any

from potstill.training.recipe.run import RunRecipe
from potstill.training.recipe.table import Between, OneOf, Table, marks_of

_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a recipe."""

    name: str
    """As it stands in a recipe."""
    takes: str
    """Which values it takes, in words."""
    default: str
    """As TOML writes it; empty where the key has to be given or is left out."""
    meaning: str
    """In words."""
    home: type[Table]
    """The table that it stands in: several kinds of recipe share it."""


def keys_of(kind: type[RunRecipe]) -> list[Key]:
    """Every key of one kind of recipe but ``task``, those of its own first.

    Raises:
        OSError: this installation has no source files, where the meanings stand.
    """
    homes: dict[str, tuple[type[Table], str]] = {}
    for home in (table for table in kind.__mro__ if issubclass(table, Table)):
        for name, meaning in _meanings(home):
            homes.setdefault(name, (home, meaning))
    known = {field.name: field for field in fields(kind)}
    names = [name for name in homes if name in known and name != "task"]
    hints = typing.get_type_hints(kind)
    return [
        Key(
            name=name,
            takes=_takes(name, hints[name], kind),
            default=_default(known[name]),
            meaning=homes[name][1],
            home=homes[name][0],
        )
        for name in names
    ]


def _meanings(home: type) -> Iterator[tuple[str, str]]:
    """Field → the text below it, in one line."""
    tree = ast.parse(inspect.cleandoc(inspect.getsource(home))).body[0]
    assert isinstance(tree, ast.ClassDef)
    for field, below in zip(tree.body, [*tree.body[1:], None], strict=True):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        said = below.value if isinstance(below, ast.Expr) else None
        text = said.value if isinstance(said, ast.Constant) else ""
        yield field.target.id, " ".join(str(text).split())


def _takes(name: str, hint: Any, kind: type[RunRecipe]) -> str:
    marks = marks_of(kind)[name]
    for choices in (mark for mark in marks if isinstance(mark, OneOf)):
        return " or ".join(f'"{choice}"' for choice in choices)
    options = typing.get_args(hint) if isinstance(hint, UnionType) else (hint,)
    words = [_word(option) for option in options if option is not type(None)]
    said = " or ".join(words)
    for limits in (mark for mark in marks if isinstance(mark, Between)):
        if 0 < limits.high <= 1:
            said += f", {limits.low:g} to {limits.high:g}"
        elif limits.low:  # the upper limit only keeps out what nobody would ask for
            said += f", {limits.low:g} or more"
    return said


def _word(option: Any) -> str:
    if typing.get_origin(option) is tuple:
        return f"list of {_WORDS[typing.get_args(option)[0]]}s".replace("texts", "text")
    return _WORDS[option]


def _default(field: Field[Any]) -> str:
    return "" if field.default in (MISSING, None) else as_toml(field.default)


def as_toml(value: Any) -> str:
    """A key's value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(as_toml, value))}]"
    return json.dumps(value) if isinstance(value, str) else f"{value:g}"
