"""The front door: names listed once, found lazily, all of them real."""

from __future__ import annotations

import importlib
import inspect

import pytest

import potstill
from potstill import errors


@pytest.mark.parametrize("name", potstill.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(potstill, name) is not None
    assert name in dir(potstill)


def test_all_lists_every_name_once() -> None:
    namespace: dict[str, object] = {}
    exec("from potstill import *", namespace)
    assert set(potstill.__all__) <= namespace.keys()
    assert len(set(potstill.__all__)) == len(potstill.__all__)


@pytest.mark.parametrize("name", [n for n in potstill.__all__ if n != "__version__"])
def test_a_public_name_lives_where_it_is_said_to(name: str) -> None:
    value, home = getattr(potstill, name), potstill._homes()[name]
    if home != "potstill":
        assert inspect.getmodule(value).__name__ == home


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
