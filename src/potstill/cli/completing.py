"""What a shell completes: names that are known, else files. The shell's part is click's."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem


class Named(click.ParamType):
    """A word that may be one of some names; it is not checked here."""

    name = "text"

    def __init__(self, names: Callable[[], Iterable[str]], *, files: bool = True) -> None:
        """How a word is completed.

        Args:
            names: gives the names; called when a shell asks.
            files: whether it may also be a file or folder.
        """
        self._names = names
        self._files = files

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin so; where there are none, whatever files do."""
        found = [CompletionItem(name) for name in self._names() if name.startswith(incomplete)]
        if found or not self._files:
            return found
        return [CompletionItem(incomplete, type="file")]


def _models() -> Iterable[str]:
    from potstill.bundle.find import EMBEDDED

    return EMBEDDED


def _recipes() -> Iterable[str]:
    from potstill.training.recipe.shipped import shipped_recipes

    return shipped_recipes()


def _runtimes() -> Iterable[str]:
    from potstill.runtime.runtimes import AUTO, RUNTIMES

    return (AUTO, *RUNTIMES)


def _tasks() -> Iterable[str]:
    from potstill.tasks.table import every

    return [task.name for task in every()]


MODEL = Named(_models)
RECIPE = Named(_recipes)
RUNTIME = Named(_runtimes, files=False)
TASK = Named(_tasks, files=False)
FILE = click.Path()
"""A file or folder that may be missing: what is wrong with it is said by who reads it."""
