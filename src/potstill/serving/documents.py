"""The documents that a server is asked of: an index, as it is now, or what a request brings."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from potstill.documents.document import Document
from potstill.retrieval.asking import passages_of
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

    def search(
        self, question: str, reader: QAClient, n: int, known: dict[str, Encoded] | None = None
    ) -> list[Hit]:
        """As `Index.search`, with names below the folder that the index lies in."""
        index = self._now()
        hits = index.search(question, n, reader=reader, known=known)
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


Texts: TypeAlias = "tuple[tuple[str, str], ...]"
"""Names and texts of documents."""


class SentDocuments:
    """Documents that a request brought."""

    def __init__(self, texts: Texts) -> None:
        """Indexes them."""
        self.n_characters = sum(len(text) for _, text in texts)
        documents = [Document(name=name, text=text) for name, text in texts]
        self._passages = passages_of(documents)
        self._index = Index.of(documents)

    def likely(self, question: str, reader: QAClient, n: int) -> tuple[list[Hit], list[Encoded]]:
        """As `Index.likely`; all passages where there are not more than ``n``."""
        if len(self._passages) > n:
            return self._index.likely(question, reader, n)
        texts = [hit.text for hit in self._passages]
        return self._passages, reader.tokenizer.encode_batch(texts) if texts else []


class SentCache:
    """Documents that requests brought, kept for the next question of them.

    Safe to share between threads. Two threads that miss the same documents both index them.
    """

    def __init__(self, capacity: int) -> None:
        """``capacity``: code points of documents that are kept; 0 keeps nothing."""
        self._capacity = capacity
        self._held: OrderedDict[Texts, SentDocuments] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, texts: Sequence[tuple[str, str]]) -> SentDocuments:
        """Documents by their names and texts, indexed now or kept from before."""
        key = tuple(texts)
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
                return found
        made = SentDocuments(key)
        if made.n_characters <= self._capacity:
            with self._lock:
                self._held[key] = made
                while sum(one.n_characters for one in self._held.values()) > self._capacity:
                    self._held.popitem(last=False)
        return made
