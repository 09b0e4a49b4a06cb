"""Writing files so that a reader never meets half of one.

Everything is written under a temporary name in the target's own folder and then moved into place
with one rename. A failure (a full disk, a missing permission) removes the temporary name and
leaves whatever stood there before; of a process that was killed it is removed by the next one that
writes there (`bundle.leftovers`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from potstill.bundle.leftovers import temporary_name
from potstill.errors import OutputError, PotstillError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``; moves it to ``path`` when the block succeeds.

    The yielded file does not exist yet. Missing parent folders are made.

    Raises:
        OutputError: the file could not be written; ``path`` is as it was before.
    """
    path = Path(path)
    with _reported(path):
        if path.is_dir():
            raise OutputError(f"{path} is a directory; name a file to write to")
        temporary = temporary_name(path)
        try:
            yield temporary
            _sync(temporary)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def replacing_folder(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yields a new empty folder beside ``path``; moves it to ``path`` when the block succeeds.

    Args:
        path: folder to make; its missing parents are made too.
        overwrite: replace a folder that stands there already; ``False`` refuses unless it is empty.

    Raises:
        OutputError: the folder could not be written; ``path`` is as it was before.
    """
    path = Path(path)
    with _reported(path):
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file; name a folder to write to")
        if not overwrite and path.is_dir() and any(path.iterdir()):
            raise OutputError(f"{path} already exists and is not empty; remove it or name another")
        temporary = temporary_name(path)
        temporary.mkdir()
        try:
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _sync(file)
            _move_folder(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def write_bytes(path: Path, data: bytes) -> None:
    """Writes ``data`` to ``path`` in one step.

    Raises:
        OutputError: the file could not be written; ``path`` is as it was before.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Writes ``text`` to ``path`` as UTF-8 with the newlines it has, in one step."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Writes ``value`` to ``path`` as indented UTF-8 JSON, in one step."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _move_folder(temporary: Path, path: Path) -> None:
    if not path.exists():
        os.replace(temporary, path)
        return
    # A folder cannot be renamed over a full one: the old one steps aside and is put back should
    # the second rename fail.
    aside = temporary_name(path, "aside")
    os.replace(path, aside)
    try:
        os.replace(temporary, path)
    except OSError:
        os.replace(aside, path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync(file: Path) -> None:
    # Without it a power cut after the rename may leave a file of the right name and no bytes.
    # Windows only flushes a descriptor opened for writing, hence r+.
    with open(file, "r+b") as handle:
        os.fsync(handle.fileno())


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except PotstillError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path} could not be written: {reason}; nothing was changed") from error


@contextlib.contextmanager
def locked(file: Path) -> Iterator[bool]:
    """Holds a lock; it goes with the process, however that ends, and the file stays.

    Args:
        file: in a folder that is there.

    Yields:
        Whether it was had: another process holds it otherwise.

    Raises:
        OutputError: the file cannot be made.
    """
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OutputError(f"{file} cannot be written: {error.strerror or error}") from None
    try:
        yield _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
