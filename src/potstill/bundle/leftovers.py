"""Names of what is being written, and what becomes of it where its writer was killed.

A temporary name says which process writes under it. The next process that writes into the same
folder removes what dead ones have left there, and puts back what one had moved aside.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import sys
import time
import uuid
from functools import lru_cache
from pathlib import Path

_NAME = re.compile(
    r"\.(?P<target>.+)\.(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.(?P<kind>part|aside)"
)
_STRANGE_S = 86_400
"""Age from which another machine's leftovers are nobody's: its processes cannot be asked for."""
_AGAIN_S = 60.0
_looked: dict[Path, float] = {}


def temporary_name(path: Path, kind: str = "part") -> Path:
    """A new name beside ``path``: ``part`` for what is to become it, ``aside`` for what it was.

    In the same folder, since a rename is only one step within one file system. The folder is made,
    and freed from what dead processes have left there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    owner = f"{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    return path.with_name(f".{path.name}.{owner}.{kind}")


def sweep(folder: Path) -> None:
    """Removes what dead processes have left in a folder; looks at most once a minute."""
    now = time.monotonic()
    if now - _looked.get(folder, -_AGAIN_S) < _AGAIN_S:
        return
    _looked[folder] = now
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            found = _NAME.fullmatch(entry.name)
            if found and not _is_written(found, entry):
                _remove(Path(entry.path), found)


def _remove(path: Path, found: re.Match[str]) -> None:
    target = path.with_name(found["target"])
    with contextlib.suppress(OSError):
        if found["kind"] == "aside" and not target.exists():
            os.replace(path, target)  # killed between two renames: this is all there is of it
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _is_written(found: re.Match[str], entry: os.DirEntry[str]) -> bool:
    if found["machine"] == _machine():
        return _is_alive(int(found["pid"]))
    return time.time() - entry.stat(follow_symlinks=False).st_mtime < _STRANGE_S


@lru_cache(1)
def _machine() -> str:
    """Where a process's number means something: this machine, and on Linux this container."""
    space = ""
    with contextlib.suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        import ctypes

        query, still_active = 0x1000, 259
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(query, False, pid)
        if not handle:
            return False
        code = ctypes.c_ulong()
        known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return not known or code.value == still_active
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
