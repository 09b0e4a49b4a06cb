"""Every task, under the name of its head: ours, and those that other packages add."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from potstill.bundle.added import load_added
from potstill.bundle.config import read_config
from potstill.bundle.heads import HEADS, HeadName, head_of_task
from potstill.bundle.manifest import head_of_folder
from potstill.errors import InputError
from potstill.tasks.choice import MultipleChoice
from potstill.tasks.classification import TextClassification
from potstill.tasks.mlm import MaskedLanguageModelling
from potstill.tasks.qa import QuestionAnswering
from potstill.tasks.tagging import Tagging
from potstill.tasks.task import Task

TASKS: dict[HeadName, Task[Any]] = {
    task.head: task
    for task in (
        QuestionAnswering(),
        TextClassification(),
        Tagging(),
        MultipleChoice(),
        MaskedLanguageModelling(),
    )
}
"""Those that are known so far; `every` asks for the others too."""


def add(task: Task[Any]) -> None:
    """Adds a task, and its head: every verb, client and format then has it.

    A package does so in a function that it names as an entry point of the group ``potstill.tasks``
    (docs/extending.md). Adding the same once more changes nothing.

    Raises:
        InputError: there is another task, or another head, of that name, or the task has no head.
    """
    known = TASKS.get(task.head)
    if type(known) is type(task):
        return
    name = task.spec.task if task.spec else ""
    if known is not None or task.head in HEADS or name in {one.name for one in TASKS.values()}:
        raise InputError(f"there is a task {name!r} with the head {task.head!r}: take other names")
    if task.spec is None or not name:
        raise InputError(f"{type(task).__name__} describes no head with a task: give it a spec")
    HEADS[task.head] = task.spec
    TASKS[task.head] = task


def every() -> tuple[Task[Any], ...]:
    """All tasks, ours first.

    Raises:
        InputError: the entry point of a task that was added cannot be loaded.
    """
    load_added()
    return tuple(TASKS.values())


def task_of(folder: Path) -> Task[Any]:
    """The task that a model folder is for.

    Raises:
        ModelError: its config or manifest is damaged.
    """
    return TASKS[head_of_folder(folder, read_config(folder))]


def named(name: str) -> Task[Any]:
    """The task that recipes and manifests call so.

    Raises:
        InputError: there is none.
    """
    head = head_of_task(name)
    if head is None:
        known = ", ".join(task.name for task in every())
        raise InputError(f"task must be one of {known}, not {name!r}")
    return TASKS[head]
