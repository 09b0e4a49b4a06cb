"""Flat arrays in one safetensors file: written in one step, memory-mapped when read, checked."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from potstill.bundle.atomic import write_bytes

Columns: TypeAlias = "dict[str, npt.NDArray[Any]]"
_TYPES = {"U8": np.uint8, "I32": np.int32, "I64": np.int64, "F16": np.float16}


class UnusableFileError(Exception):
    """Says why a file cannot be read: for whoever computes it again, not for users."""


def write_columns(file: Path, columns: Columns, key: str) -> None:
    """Writes columns of 8-bit, 32-bit and 64-bit integers and float16.

    Args:
        file: what to write.
        columns: name → array.
        key: of all that they follow from.

    Raises:
        OutputError: the file could not be written; what was there before still is.
    """
    # The buffer is written as it lies in memory: a view of every other number would be scrambled.
    dense = {name: np.ascontiguousarray(array) for name, array in columns.items()}
    write_bytes(file, save(dense, metadata={"cache": key, "crc32": str(_checksum(dense))}))


def read_columns(file: Path, key: str) -> Columns:
    """The columns as views of the mapped file.

    Raises:
        UnusableFileError: the file is damaged, or was written under another key.
    """
    try:
        columns, facts = _map(file)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusableFileError(f"it is damaged ({error})") from None
    if facts.get("cache") != key:
        raise UnusableFileError("it is stale: made from something else")
    if facts.get("crc32") != str(_checksum(columns)):
        raise UnusableFileError("it is damaged (its checksum is wrong)")
    return columns


def _checksum(columns: Mapping[str, npt.NDArray[Any]]) -> int:
    total = 0
    for name in sorted(columns):
        total = zlib.crc32(np.ascontiguousarray(columns[name]).data, total)
    return total


def _map(file: Path) -> tuple[Columns, dict[str, str]]:
    data = np.memmap(file, np.uint8, "r")
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8:start].tobytes())
    facts = header.pop("__metadata__")
    columns = {
        name: np.frombuffer(
            data[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]],
            _TYPES[entry["dtype"]],
        ).reshape(entry["shape"])
        for name, entry in header.items()
    }
    return columns, facts
