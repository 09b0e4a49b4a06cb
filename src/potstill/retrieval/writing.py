"""What changes a store: documents as records of passages, chunks and files; see `store`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

from potstill.documents import formats
from potstill.documents.document import Document
from potstill.retrieval.packing import FIRST_LEVEL, Packing, packed_text
from potstill.retrieval.passages import chunks
from potstill.text.surrogates import without_surrogates

BITS = 12
"""Bits of a passage's number within its chunk."""
_COMMON = 2_000_000
"""Bytes of the first documents that all chunks are packed against, as if they stood before each:
files are short, and what they share would not be seen within one."""
_OF_EACH = 8_000
"""Of which so many are taken from the beginning of a document."""
_WAITING = 16_000_000
"""Code points that may wait for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """What a store knows of a file."""

    name: str
    size: int = 0
    changed: int = 0
    """When it was changed last, in nanoseconds."""
    sha256: str = ""
    reason: str = ""
    """Why it was skipped; empty where it was read."""
    note: str = ""
    """What could not be read of it."""
    n_passages: int = 0
    n_characters: int = 0
    reading: int = 0
    """By which `potstill.documents.formats.READING` it was read."""


@dataclass(frozen=True, slots=True)
class StoreState:
    """What a store knows of itself."""

    next: int = 1
    """Number of the next chunk."""
    reading: int = 0
    """Of its files that were read longest ago, as `StoredFile.reading`."""


def head_of(title: str, name: str, heading: str) -> str:
    """What stands above a passage: title and name of its file, and headings."""
    return f"{title} {PurePath(name).stem.replace('_', ' ')} {heading}"


class StoreWriter:
    """Changes a store; nothing is seen of it before `commit`."""

    def __init__(
        self, writer: Any, state: StoreState, packing: Packing, *, settled: bool = True
    ) -> None:
        self._writer = writer
        self._next = state.next
        self._reading = state.reading
        self._packing = packing
        self._settled = settled
        self._waiting: list[tuple[Document, StoredFile]] = []
        self._common: list[bytes] = []
        self._held = 0

    def add(self, document: Document, record: StoredFile) -> None:
        """Adds a document in place of the file of that name.

        Args:
            document: to add.
            record: of its file; the numbers of passages and characters are filled in.
        """
        if self._settled:
            self._add(document, record)
            return
        self._waiting.append((document, record))
        head = document.text[:_OF_EACH].encode("utf-8", "surrogatepass")
        self._common.append(head[:_OF_EACH])
        self._held += len(document.text)
        if sum(map(len, self._common)) >= _COMMON or self._held > _WAITING:
            self._settle()

    def _settle(self) -> None:
        """Keeps what all chunks are packed against, and adds the documents that waited for it."""
        self._settled = True
        common = b"".join(self._common)
        if len(common) >= 2 * _OF_EACH:
            self._packing = Packing(common, FIRST_LEVEL)
            self._write(kind="common", packed=packed_text(common))
        for document, record in self._waiting:
            self._add(document, record)
        self._waiting.clear()
        self._common.clear()

    def _add(self, document: Document, record: StoredFile) -> None:
        self._remove(record.name)
        n_passages = 0
        for chunk in chunks(document):
            number = self._next
            self._next += 1
            packed = self._packing.packed(document, chunk)
            self._write(path=record.name, chunk=number, packed=packed)
            for i, (start, end) in enumerate(chunk.passages):
                self._write(
                    kind="passage",
                    path=record.name,
                    passage=number << BITS | i,
                    body=without_surrogates(chunk.text[start:end]),
                    head=without_surrogates(
                        head_of(document.title, record.name, chunk.heading(start))
                    ),
                )
            n_passages += len(chunk.passages)
        self._record(record, n_passages=n_passages, n_characters=len(document.text))

    def skip(self, record: StoredFile) -> None:
        """Keeps what is known of a file that cannot be read."""
        self._remove(record.name)
        self._record(record)

    def touch(self, record: StoredFile) -> None:
        """Keeps what is known of a file whose text is as it was."""
        self._writer.delete_documents_by_term("file", record.name)
        self._record(record)

    def remove(self, name: str) -> None:
        """Takes a file out."""
        self._remove(name)

    def commit(self) -> None:
        """Makes all of it be seen, at once."""
        if self._waiting:
            self._settle()
        self._writer.delete_documents_by_term("kind", "store")
        state = StoreState(self._next, self._reading)
        self._write(kind="store", about=json.dumps(asdict(state)).encode())
        self._writer.commit()

    def finish(self) -> None:
        """Commits when all files are up to date, and waits until segments are merged."""
        self._reading = formats.READING
        self.commit()
        self._writer.wait_merging_threads()

    def _remove(self, name: str) -> None:
        self._writer.delete_documents_by_term("path", name)
        self._writer.delete_documents_by_term("file", name)

    def _record(self, record: StoredFile, **counted: int) -> None:
        about = json.dumps({**asdict(record), **counted}).encode()
        self._write(kind="file", file=record.name, about=about)

    def _write(self, **values: Any) -> None:
        from tantivy import Document as Record

        record = Record()
        for field, value in values.items():
            if isinstance(value, bytes):
                record.add_bytes(field, value)
            elif isinstance(value, int):
                record.add_unsigned(field, value)
            else:
                record.add_text(field, value)
        self._writer.add_document(record)
