"""Tasks that other packages add, by entry points of the group ``potstill.tasks``.

An entry point is a function without arguments that calls `potstill.tasks.table.add`. It is called
where a task is asked for that Potstill does not have, and where all are listed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from potstill.errors import InputError

GROUP = "potstill.tasks"
_loaded: list[str] = []


def load_added() -> bool:
    """Calls every entry point that was not called before; whether there are any at all.

    Raises:
        InputError: one cannot be loaded.
    """
    # Imported late: it takes longer than a good part of a cold start.
    from importlib.metadata import entry_points

    points = entry_points(group=GROUP)
    for point in points:
        if point.value in _loaded:
            continue
        try:
            add = point.load()
        except (ImportError, AttributeError) as error:
            raise InputError(
                f"the entry point {point.name} = {point.value} of {GROUP} cannot be loaded "
                f"({error}): install its package again, or uninstall it"
            ) from None
        _loaded.append(point.value)
        add()
    return bool(points)


def late(place: str) -> Any:
    """What is called ``module:name``, imported now."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
