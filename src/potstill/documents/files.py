"""Paths → documents: files, and all files of folders, each read or named with a reason."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import local

from potstill.documents.document import Document, Skipped
from potstill.documents.formats import HEAD, Format, format_of, read_bytes
from potstill.documents.workers import Worker
from potstill.errors import PotstillError

_PASSED_OVER = frozenset(("node_modules", "__pycache__", "__MACOSX"))
"""Folders that hold what programs keep for themselves, as hidden ones do."""
_AT_ONCE = 2
_AHEAD = 16
_HELD = 64_000_000
"""Files, and bytes of them, that are read before the first of them is taken."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that was found, before it is read."""

    name: str
    size: int
    changed: int
    """When it was changed last, in nanoseconds."""


def find(paths: Iterable[str | Path]) -> Iterator[FoundFile | Skipped]:
    """All files below some paths, in an order that does not depend on the machine.

    Hidden files and folders are passed over below a path, links to folders are not followed.

    Args:
        paths: files and folders.
    """
    for path in map(str, paths):
        if path.startswith(("http://", "https://")):
            yield Skipped(path, "addresses are not fetched: download it")
            continue
        try:
            is_folder = stat.S_ISDIR(os.stat(path).st_mode)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            missing = isinstance(error, FileNotFoundError)
            yield Skipped(path, "it does not exist" if missing else f"{reason}".lower())
            continue
        if is_folder:
            yield from _below(path)
        else:
            yield _found(path)


def _below(folder: str) -> Iterator[FoundFile | Skipped]:
    faults: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=faults.append):
        kept = sorted(one for one in folders if one[0] != "." and one not in _PASSED_OVER)
        folders[:] = [one for one in kept if not os.path.islink(os.path.join(parent, one))]
        for link in sorted(set(kept) - set(folders)):
            # Followed it might lead back here, or to all of the disk.
            yield Skipped(os.path.join(parent, link), "it is a link to a folder: name that itself")
        for name in sorted(names):
            if not name.startswith((".", "~$")):
                yield _found(os.path.join(parent, name))
        for fault in faults:
            yield Skipped(str(fault.filename), (fault.strerror or "cannot be opened").lower())
        faults.clear()


def _found(path: str) -> FoundFile | Skipped:
    try:
        said = os.stat(path)
    except OSError as error:
        if os.path.islink(path):
            return Skipped(path, "it is a link that leads nowhere")
        return Skipped(path, (error.strerror or str(error)).lower())
    if not stat.S_ISREG(said.st_mode):
        return Skipped(path, "it is not a regular file")
    return FoundFile(path, said.st_size, said.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Read:
    """What came of reading a file."""

    file: FoundFile
    sha256: str
    """Of its bytes; empty where they could not be read."""
    result: Document | Skipped | None
    """``None`` where the bytes are those that were known before."""


def read(file: FoundFile, worker: Worker, known: str = "") -> Read:
    """Reads a file, or says why it is not read.

    Args:
        file: to read.
        worker: for formats that a process of its own reads.
        known: SHA-256 of bytes that need not be read again.
    """
    sha256 = ""
    try:
        with open(file.name, "rb") as opened:
            head = opened.read(HEAD)
            kind = format_of(file.name, head)
            data = head + opened.read(kind.largest + 1 - len(head))
        sha256 = hashlib.sha256(data).hexdigest()
        result = None if sha256 == known else _read(data, file.name, kind, worker)
    except PotstillError as error:
        result = Skipped(file.name, str(error))
    except OSError as error:
        result = Skipped(file.name, (error.strerror or str(error)).lower())
    return Read(file, sha256, result)


def _read(data: bytes, name: str, kind: Format, worker: Worker) -> Document | Skipped:
    if len(data) > kind.largest:
        return Skipped(name, f"it is larger than {kind.largest / 1e6:,.0f} MB: split it")
    document = worker.read(data, name) if kind.alone else read_bytes(data, name)
    if not document.text.strip():
        return Skipped(name, "it is empty" if not data.strip() else "it holds no text")
    return document


def read_files(
    files: Iterable[FoundFile | Skipped], known: Mapping[str, str] | None = None
) -> Iterator[Read | Skipped]:
    """Reads files, some at the same time, and gives what came of each, in order.

    Only a few are held at a time.

    Args:
        files: as `find` gives them; one that was skipped already is passed on.
        known: SHA-256 by name, of files whose bytes need not be read again if they are the same.
    """
    own = local()
    workers: list[Worker] = []
    shas = known or {}

    def one(file: FoundFile | Skipped) -> Read | Skipped:
        if isinstance(file, Skipped):
            return file
        if not hasattr(own, "worker"):
            own.worker = Worker()
            workers.append(own.worker)
        return read(file, own.worker, shas.get(file.name, ""))

    def close() -> None:
        for worker in workers:
            worker.close()

    waiting: deque[tuple[int, Future[Read | Skipped]]] = deque()
    held = 0
    try:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="potstill-documents") as pool:
            try:
                for file in files:
                    size = 0 if isinstance(file, Skipped) else file.size
                    waiting.append((size, pool.submit(one, file)))
                    held += size
                    while len(waiting) > _AHEAD or (held > _HELD and len(waiting) > 1):
                        size, future = waiting.popleft()
                        held -= size
                        yield future.result()
                while waiting:
                    yield waiting.popleft()[1].result()
            finally:
                for _, future in waiting:
                    future.cancel()
                close()  # ends what is being read, where whoever asked has gone
    finally:
        close()


def read_documents(paths: str | Path | Iterable[str | Path]) -> Iterator[Document | Skipped]:
    """Reads files and all files of folders.

    Text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, ODT, EPUB, EML, CSV, JSON, notebooks, source code;
    see docs/documents.md.

    Args:
        paths: a file, a folder, or several of them.

    Yields:
        A `Document` for each file that was read, and a `Skipped` with the reason for any other.
        One bad file never stops the others.
    """
    several = [paths] if isinstance(paths, (str, Path)) else paths
    for one in read_files(find(several)):
        result = one.result if isinstance(one, Read) else one
        assert result is not None
        yield result
