"""The texts that a question is asked of: files, folders of files, an argument, standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from potstill.data.files import open_text
from potstill.errors import DataError

_SNIFFED = 8192


@dataclass(frozen=True, slots=True)
class Source:
    """One text and what to call it."""

    name: str
    text: str


@dataclass(slots=True)
class Sources:
    """The texts found, and the files of folders that hold none."""

    found: list[Source] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Files that are empty, or binary, or not UTF-8."""

    def add(self, name: str, text: str) -> None:
        if text.strip():
            self.found.append(Source(name, text))
        else:
            self.skipped.append(name)


def collect(paths: Iterable[str], context: str | None) -> Sources:
    """Reads all texts; ``-`` is standard input, a folder stands for the text files in it.

    Raises:
        DataError: a named file is missing, damaged or not UTF-8.
    """
    sources = Sources()
    if context is not None:
        sources.add("context", context)
    for path in paths:
        if path == "-":
            sources.add("stdin", standard_input())
        elif _is_folder(path):
            _add_folder(sources, path)
        else:
            with open_text(path) as file:
                sources.add(path, file.read())
    return sources


def standard_input() -> str:
    """All of standard input.

    Raises:
        DataError: it is not UTF-8.
    """
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"standard input is not UTF-8 ({error.reason} at byte {error.start}): "
            "convert it, for example with iconv"
        ) from None


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # a name that no file can have; opening it says what is wrong
        return False


def _add_folder(sources: Sources, folder: str) -> None:
    for parent, folders, names in os.walk(folder):
        # Hidden folders hold what programs keep for themselves.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or not path.is_file():
                continue
            try:
                with open_text(path) as file:
                    text = file.read(_SNIFFED)
                    # No text has NUL bytes; many binary files are UTF-8 by chance.
                    text = "" if "\0" in text else text + file.read()
            except DataError:
                text = ""
            sources.add(str(path), text)
