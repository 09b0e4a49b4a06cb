"""The front door: names listed once, found lazily, all of them real."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import potstill
from potstill import errors


def type_checking_imports() -> dict[str, str]:
    """Name → module, as the block for type checkers in the front door spells it."""
    tree = ast.parse(Path(potstill.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.asname or alias.name: node.module or ""
        for node in block.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("potstill")
        for alias in node.names
    }


@pytest.mark.parametrize("name", potstill.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(potstill, name) is not None
    assert name in dir(potstill)


def test_the_three_lists_of_names_agree() -> None:
    homes = {**potstill._HOMES, **dict.fromkeys(potstill._MODULES, "potstill")}
    assert type_checking_imports() == homes
    assert potstill.__all__ == sorted({*homes, "__version__"})


@pytest.mark.parametrize(("name", "home"), potstill._HOMES.items())
def test_a_public_name_lives_where_it_is_said_to(name: str, home: str) -> None:
    assert getattr(potstill, name) is getattr(importlib.import_module(home), name)
    assert inspect.getmodule(getattr(potstill, name)).__name__ == home


@pytest.mark.parametrize("name", [n for n in potstill.__all__ if not n.startswith("_")])
def test_public_names_are_documented(name: str) -> None:
    assert inspect.getdoc(getattr(potstill, name))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'QAClinet'"):
        potstill.QAClinet  # noqa: B018


def test_the_version_is_the_installed_one() -> None:
    assert potstill.__version__ == importlib.metadata.version("potstill")


def test_every_error_is_drawn_in_the_tree() -> None:
    drawn = errors.__doc__ or ""
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass)]
    assert len(classes) > 10
    for error in classes:
        assert issubclass(error, errors.PotstillError)
        assert f"{error.__name__} " in drawn or f"{error.__name__}\n" in drawn
        assert inspect.getdoc(error)
