"""What machine this is, and what was typed on it: the facts that a run keeps beside its figures."""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

from potstill.bundle.layout import COMMANDS
from potstill.errors import OutputError


def describe_machine() -> dict[str, Any]:
    """``processor``, ``cores`` (those this process may use) and ``system``."""
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    return {"processor": _processor(), "cores": cores, "system": platform.system()}


def today() -> str:
    """The date, as records of this package write it: ``2026-11-21``, in UTC."""
    return datetime.now(timezone.utc).date().isoformat()


def without_folders(words: Sequence[str]) -> str:
    """A command line that tells nothing of the disk: absolute paths become their last name."""
    return shlex.join(_published(word) for word in words)


def note_command(folder: Path, words: Sequence[str]) -> None:
    """Adds a command line to those that made a folder (``commands.jsonl``).

    Raises:
        OutputError: the file could not be written.
    """
    line = json.dumps({"date": today(), "command": without_folders(words)}, ensure_ascii=False)
    path = folder / COMMANDS
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise OutputError(f"{path} could not be written: {error.strerror}") from error


def _published(word: str) -> str:
    key, equals, value = word.partition("=")
    if equals and key.isidentifier():
        return f"{key}={_published(value)}"
    prefix, colon, rest = word.partition(":")
    if colon and _is_absolute(rest):  # such as cloze:FILE
        return f"{prefix}:{PurePath(rest).name}"
    return PurePath(word.replace("\\", "/")).name if _is_absolute(word) else word


def _is_absolute(word: str) -> bool:
    absolute = PurePath(word).is_absolute() or PureWindowsPath(word).is_absolute()
    return absolute or word.startswith("~")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
