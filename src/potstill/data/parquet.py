"""Parquet files, by pyarrow where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from potstill.errors import DataError, MissingExtraError

_ROWS = 1024
"""Rows that are in memory at a time."""


def parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Every row by column, as Python's own values.

    Raises:
        MissingExtraError: pyarrow is not installed.
        DataError: it is not a Parquet file, or is damaged.
    """
    file = open_parquet(path)
    try:
        for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
            yield from batch.to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own are both
        raise DataError(f"{path} is damaged ({error}): fetch it again") from None


def open_parquet(path: Path) -> Any:
    """A Parquet file, opened by pyarrow.

    Raises:
        MissingExtraError: pyarrow is not installed.
        DataError: it is not a Parquet file.
    """
    parquet = arrow("pyarrow.parquet")
    try:
        return parquet.ParquetFile(path)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: check the path") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a Parquet file ({error}): fetch it again") from None


def arrow(name: str = "pyarrow") -> Any:
    """pyarrow, or a module of it.

    Raises:
        MissingExtraError: it is not installed.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise MissingExtraError("pyarrow", "bulk", "reading and writing Parquet") from None
