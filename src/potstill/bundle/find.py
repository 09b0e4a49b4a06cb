"""Where a model named by the user lies: inside the package, in a folder, or on the hub."""

from __future__ import annotations

import difflib
import importlib.resources
import re
from pathlib import Path

from potstill.bundle.layout import ADAPTER, CONFIG, is_adapter
from potstill.errors import HubError, ModelError, ModelNotFoundError

DEFAULT = "default"
"""Name of the reader that ships inside the package and is meant where none is named."""
SMALL = "small"
"""Name of the smaller and quicker reader that ships beside it."""
TINY = "tiny"
"""Name of the one with few word pieces, for web pages."""
EMBEDDED = (DEFAULT, SMALL, TINY)

# "owner/name" or the old bare "name"; the hub's own rule for what a repository may be called.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w][\w.-]*)?", re.ASCII)


def embedded_folder(name: str = DEFAULT) -> Path:
    """The folder inside the package that holds an embedded bundle.

    Raises:
        ModelNotFoundError: this installation carries no such bundle.
    """
    folder = Path(str(importlib.resources.files("potstill"))) / "embedded" / name
    if not (folder / CONFIG).is_file():
        raise ModelNotFoundError(
            f"this installation carries no embedded model {name!r}: "
            "reinstall potstill or name a model folder or hub id"
        )
    return folder


def find_model(model: str | Path, *, revision: str | None = None, weights: bool = True) -> Path:
    """The local folder of the model the user named.

    Args:
        model: ``"default"``, ``"small"`` or ``"tiny"`` (the embedded readers), a folder, or a hub
            id such as ``"owner/name"``, which is downloaded into the hub's cache where it is not
            there yet. A folder of PEFT's with a LoRA adapter stands for its base with the adapter
            folded in.
        revision: branch, tag or commit of a hub id; ignored for folders.
        weights: download them too; a config or a tokenizer does without.

    Raises:
        ModelNotFoundError: no such folder or hub id.
        HubError: the hub could not be reached.
        ModelError: an adapter that cannot be folded in.
    """
    folder = _located(model, revision, weights)
    if not is_adapter(folder):
        return folder
    # Imported late: most folders are models, and need none of it.
    from potstill.bundle import adapter

    base = adapter.base_of(folder)
    where = f"{folder / ADAPTER}: base_model_name_or_path is {base!r}"
    try:
        found = _located(base, None, True)
    except (ModelNotFoundError, HubError) as error:
        raise type(error)(f"{where}: {error}") from None
    if is_adapter(found):
        raise ModelError(f"{where}, which is an adapter itself: merge it into its own base first")
    return adapter.merged(folder, found)


def _located(model: str | Path, revision: str | None, weights: bool) -> Path:
    """The folder that was named, whatever it holds."""
    if not str(model).strip():
        raise ModelNotFoundError("the model's name is empty; give 'default', a folder or a hub id")
    if model in EMBEDDED and isinstance(model, str):
        return embedded_folder(model)
    folder = Path(model).expanduser()
    if _is_folder(folder):
        return folder
    meant = difflib.get_close_matches(str(model).lower(), EMBEDDED, 1, 0.75)
    if meant and "/" not in str(model):
        raise ModelNotFoundError(
            f"{str(model)!r} is not a model: did you mean {meant[0]!r}? A folder or hub id of that "
            "name is written with its owner or path, such as ./name"
        )
    if not _is_hub_id(model):
        raise ModelNotFoundError(
            f"{str(model)!r} is not a model: there is no such folder"
            + (", it is a file" if _is_file(folder) else "")
            + "; give a folder, a hub id such as owner/name, 'default', 'small' or 'tiny'"
        )
    # Imported late: a local model must not pay for the hub client's import.
    from potstill.bundle.hub import download

    return download(str(model), revision=revision, weights=weights)


def _is_hub_id(model: str | Path) -> bool:
    return isinstance(model, str) and _HUB_ID.fullmatch(model) is not None and ".." not in model


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long for the file system, or with a NUL in it
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
