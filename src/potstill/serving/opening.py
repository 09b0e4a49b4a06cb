"""Opens a model as what its manifest or its config says it is."""

from __future__ import annotations

from typing import Any

from potstill.bundle.added import late
from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.bundle.manifest import read_manifest
from potstill.errors import ModelError
from potstill.runtime.opening import Opening
from potstill.serving.cache import ContextCache
from potstill.serving.options import Limits
from potstill.serving.served import Facts, Served
from potstill.tasks.table import every, task_of


def open_served(
    name: str, model: str, *, opening: Opening, limits: Limits, cache: ContextCache
) -> Served[Any, Any]:
    """Opens a model as what its manifest or its config says it is.

    Args:
        name: what requests call it.
        model: ``default``, a folder or a hub id.
        opening: what runs it.
        limits: of the service.
        cache: of the service.

    Raises:
        ModelError: there is no such model, or it is of a task that is not served.
    """
    folder = find_model(model)
    config = read_config(folder)
    facts = Facts(name, folder, config, read_manifest(folder))
    task = task_of(folder)
    if not task.served:
        known = ", ".join(one.name for one in every() if one.served)
        raise ModelError(f"{folder} is a model for {task.name}, which is not served: {known} are")
    return late(task.served)(facts, limits, cache, opening)
