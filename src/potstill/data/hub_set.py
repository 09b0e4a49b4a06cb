"""Data sets of the Hugging Face hub by name, ``hf:OWNER/NAME:SPLIT``, as files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from potstill.bundle.atomic import replacing
from potstill.bundle.cache import cache_folder
from potstill.errors import DataError, MissingExtraError

PREFIX = "hf:"
_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:/([\w.+-]+))?:([\w.+-]+)")


def local_data(path: str | Path) -> Path:
    """The file to read: the path itself, or what is behind the name of a hub data set.

    ``hf:rajpurkar/squad:train`` is a split, ``hf:nyu-mll/glue/sst2:validation`` one of a
    configuration. Rows are written into the cache as JSONL, labels by name where the data set says
    what their numbers mean (a -1 is none).

    Raises:
        DataError: the name is not one, or the hub has no such data set, configuration or split.
        MissingExtraError: the package ``datasets`` is not installed.
        OutputError: the cache could not be written.
    """
    name = str(path).replace("\\", "/")
    return _fetched(name) if name.startswith(PREFIX) else Path(path)


@cache
def _fetched(name: str) -> Path:
    named = _NAME.fullmatch(name.removeprefix(PREFIX))
    if named is None:
        raise DataError(
            f"{name!r} does not name a data set: write hf:OWNER/NAME:SPLIT, or "
            "hf:OWNER/NAME/CONFIGURATION:SPLIT"
        )
    try:
        datasets: Any = import_module("datasets")
    except ModuleNotFoundError:
        raise MissingExtraError("datasets", "datasets", "a data set of the hub") from None
    owner, configuration, split = named.groups()
    try:
        found = datasets.load_dataset(owner, configuration, split=split)
    except (datasets.exceptions.DatasetsError, OSError, ValueError) as error:
        said = " ".join(str(error).split())
        raise DataError(f"{name}: {said[:200]}") from None
    stem = re.sub(r"[^\w.-]+", "-", name.removeprefix(PREFIX))
    file = cache_folder() / "datasets" / f"{stem}.jsonl"
    speak = {column: _naming(feature) for column, feature in found.features.items()}
    with replacing(file) as temporary, temporary.open("w", encoding="utf-8") as out:
        for row in found:
            values = {column: speak[column](value) for column, value in row.items()}
            out.write(json.dumps(values, ensure_ascii=False, default=str) + "\n")
    return file


def _naming(feature: Any) -> Callable[[Any], Any]:
    """What makes labels' names of their numbers in a column."""
    if hasattr(feature, "int2str"):
        return lambda value: None if value is None or value < 0 else feature.int2str(value)
    inner = getattr(feature, "feature", None)
    if hasattr(inner, "int2str"):
        name = _naming(inner)
        return lambda values: values and [name(value) for value in values]
    return lambda value: value
