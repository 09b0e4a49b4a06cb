"""Which run a recipe asks for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from potstill.bundle.atomic import locked
from potstill.bundle.cache import cache_folder
from potstill.errors import CheckpointError, OutputError
from potstill.training.choice import Choice
from potstill.training.classification import Classification
from potstill.training.distil import distil
from potstill.training.distil_recipe import DistilRecipe
from potstill.training.finetune import finetune
from potstill.training.lm import train_lm
from potstill.training.lm_distil import distil_lm
from potstill.training.recipe import LMDistilRecipe, LMRecipe, Recipe, RunRecipe
from potstill.training.runs import Listeners
from potstill.training.tagging import Tagging
from potstill.training.task import Task, finetune_task
from potstill.training.task_distil import distil_task
from potstill.training.task_recipe import TaskRecipe, TeachingKeys

TASKS: dict[str, Task] = {task.name: task for task in (Classification(), Tagging(), Choice())}
"""Name → task, of those that label texts."""


def start(
    recipe: RunRecipe,
    *,
    resume: bool | str = False,
    cache_only: bool = False,
    dry_run: bool = False,
    listeners: Listeners | None = None,
) -> dict[str, float]:
    """Does the run of a recipe, whatever its task; see the function of each for its errors.

    Args:
        recipe: of any kind.
        resume: go on from the newest checkpoint, or from that of this name.
        cache_only: only have the teachers label what the run needs, where it has teachers whose
            outputs are kept.
        dry_run: check everything and say what would be done, and train and write nothing.
        listeners: told how it goes.

    Returns:
        The scores by name, where the recipe names data to score on.
    """
    with _alone(recipe):
        return _start(recipe, cache_only, resume=resume, dry_run=dry_run, listeners=listeners)


@contextmanager
def _alone(recipe: RunRecipe) -> Generator[None, None, None]:
    """Keeps a second run on this machine out of the folder; of several processes, by the first."""
    if any(os.environ.get(name, "0") != "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK")):
        yield
        return
    name = hashlib.sha256(str(Path(recipe.out).resolve()).encode()).hexdigest()
    folder = cache_folder() / "runs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}") from None
    with locked(folder / f"{name}.lock") as ours:
        if not ours:
            raise CheckpointError(
                f"another process is training into {recipe.out}: wait for it, or name another out"
            )
        yield


def _start(recipe: RunRecipe, cache_only: bool, **how: Any) -> dict[str, float]:
    if isinstance(recipe, DistilRecipe):  # first: it is a `Recipe` too
        return distil(recipe, cache_only=cache_only, **how)
    if isinstance(recipe, Recipe):
        return finetune(recipe, **how)
    if isinstance(recipe, TaskRecipe):
        task = TASKS[recipe.task]
        if isinstance(recipe, TeachingKeys):
            return distil_task(recipe, task, cache_only=cache_only, **how)
        return finetune_task(recipe, task, **how)
    if isinstance(recipe, LMDistilRecipe):
        return distil_lm(recipe, **how)
    assert isinstance(recipe, LMRecipe)
    return train_lm(recipe, **how)
