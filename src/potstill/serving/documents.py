"""The documents of a server: an index, as it is now."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from potstill.retrieval.index import Index
from potstill.retrieval.store import Hit
from potstill.runtime.qa import QAClient
from potstill.text.tokenizer import Encoded

_STALE_S = 1.0
"""Seconds after which it is looked whether an index was changed."""


class Documents:
    """An index that goes on with what is written to it. Safe to share between threads."""

    def __init__(self, folder: str) -> None:
        """Opens it.

        Raises:
            IndexDataError: there is none in ``folder``, or a damaged one.
        """
        self._index = Index.open(folder)
        self._looked = time.monotonic()
        self._lock = threading.Lock()

    def likely(self, question: str, reader: QAClient, n: int) -> tuple[list[Hit], list[Encoded]]:
        """As `Index.likely`."""
        return self._now().likely(question, reader, n)

    def search(self, question: str, reader: QAClient, n: int) -> list[Hit]:
        """As `Index.search`, with names below the folder that the index lies in."""
        index = self._now()
        hits = index.search(question, n, reader=reader)
        return [replace(hit, name=index.name_of(hit.name)) for hit in hits]

    @property
    def n_passages(self) -> int:
        """Passages that can be found."""
        return self._now().n_passages

    def _now(self) -> Index:
        with self._lock:
            if time.monotonic() - self._looked > _STALE_S:
                self._index.refresh()
                self._looked = time.monotonic()
        return self._index
