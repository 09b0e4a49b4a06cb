"""Every task, under the name of its head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from potstill.bundle.config import read_config
from potstill.bundle.heads import HeadName
from potstill.bundle.manifest import head_of_folder
from potstill.tasks.choice import MultipleChoice
from potstill.tasks.classification import Classification
from potstill.tasks.mlm import MaskedLM
from potstill.tasks.qa import QuestionAnswering
from potstill.tasks.tagging import Tagging
from potstill.tasks.task import Task

TASKS: Mapping[HeadName, Task[Any]] = {
    task.head: task
    for task in (QuestionAnswering(), Classification(), Tagging(), MultipleChoice(), MaskedLM())
}


def task_of(folder: Path) -> Task[Any]:
    """The task that a model folder is for.

    Raises:
        ModelError: its config or manifest is damaged.
    """
    return TASKS[head_of_folder(folder, read_config(folder))]


def named(name: str) -> Task[Any]:
    """The task that recipes and manifests call so.

    Raises:
        KeyError: there is none.
    """
    return {task.name: task for task in TASKS.values()}[name]
