"""Which run a recipe asks for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from potstill.bundle.added import late
from potstill.bundle.atomic import locked
from potstill.bundle.cache import cache_folder
from potstill.errors import CheckpointError, OutputError
from potstill.tasks.table import named
from potstill.training.recipe.run import RunRecipe
from potstill.training.run.course import carry_out
from potstill.training.run.report import Listeners


def start(
    recipe: RunRecipe,
    *,
    resume: bool | str = False,
    cache_only: bool = False,
    dry_run: bool = False,
    listeners: Listeners | None = None,
) -> dict[str, float]:
    """Does the run of a recipe, whatever its task; see `carry_out` for its errors.

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
        return carry_out(
            recipe,
            late(named(recipe.task).trained)(),
            resume=resume,
            cache_only=cache_only,
            dry_run=dry_run,
            listeners=listeners,
        )


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
