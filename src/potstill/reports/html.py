"""HTML put together so that no text of a file becomes a tag: all is escaped, unless made here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import TypeAlias

# What an HTML parser refuses or changes, and lone surrogates, which UTF-8 cannot hold.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_VOID = frozenset(("meta", "input", "br", "link"))


class Html(str):
    """Text that is HTML already; only this module and what it made may call it so."""

    __slots__ = ()


Child: TypeAlias = "Html | str | int | float | None"


def text(value: object) -> Html:
    """Any value as text: what was made here as it is, everything else escaped."""
    if isinstance(value, Html):
        return value
    return Html(escape(_UNPRINTABLE.sub("\ufffd", str(value)), quote=True))


def join(*children: Child) -> Html:
    """Children behind one another; ``None`` is left out."""
    return Html("".join(text(child) for child in children if child is not None))


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Html:
    """An element.

    Args:
        name: of the tag.
        *children: escaped unless they are `Html`.
        **attributes: ``class_`` for ``class``, ``data_run`` for ``data-run``; True for one without
            a value, None or False for none at all.
    """
    words = [name]
    for key, value in attributes.items():
        label = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(label)
        elif value is not None and value is not False:
            words.append(f'{label}="{text(value)}"')
    opening = f"<{' '.join(words)}>"
    return Html(opening if name in _VOID else f"{opening}{join(*children)}</{name}>")


def grid(heads: Sequence[str], lines: Sequence[Sequence[Child]]) -> Html:
    """A table that may be wider than the page."""
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in heads)))
    body = tag("tbody", *(tag("tr", *(tag("td", cell) for cell in line)) for line in lines))
    return tag("div", tag("table", head, body), class_="scroll", tabindex=0)


def missing(what: str) -> Html:
    """Says what is not known, and where it can be had."""
    return tag("p", f"{what}.", class_="missing")
