"""JSON files of a model folder, which may be anyone's: one object each, of bounded size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from potstill.errors import PotstillError

_MOST = 1 << 26
"""Bytes of such a file: the indexes and manifests of the largest models have less."""


def read_object(path: Path, error: type[PotstillError]) -> dict[str, Any]:
    """The JSON object that a file holds.

    Args:
        path: the file.
        error: what is raised where it cannot be used.

    Raises:
        FileNotFoundError: there is no such file.
        PotstillError: ``error``: it is no JSON object, is nested too deeply, or is too large.
    """
    try:
        if path.stat().st_size > _MOST:
            raise error(f"{path} has more than {_MOST >> 20} MB, too much for such a file")
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except RecursionError:
        raise error(f"{path} is nested too deeply to be read as JSON") from None
    except (ValueError, OSError) as fault:
        raise error(f"{path} cannot be read as JSON: {fault!s:.160}") from None
    if not isinstance(values, dict):
        raise error(f"{path} holds a {type(values).__name__}, not a JSON object")
    return values
