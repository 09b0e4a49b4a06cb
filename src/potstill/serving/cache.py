"""Contexts seen lately, tokenized once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from potstill.runtime.asking import PreparedContext


class ContextCache:
    """Holds at most so many code points of contexts, and drops those not used for longest.

    Safe to share between threads. Two threads that miss the same text at once both tokenize it.
    """

    def __init__(self, capacity: int) -> None:
        """``capacity``: code points; 0 keeps nothing."""
        self.capacity = capacity
        self.size = 0
        self._held: OrderedDict[tuple[str, str], PreparedContext] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._held)

    def get(
        self, model: str, text: str, prepare: Callable[[str], PreparedContext]
    ) -> PreparedContext:
        """The context as ``prepare`` makes it for this model, made now or kept from before."""
        key = model, text
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
                return found
        made = prepare(text)
        if len(text) <= self.capacity:
            with self._lock:
                if key not in self._held:
                    self._held[key] = made
                    self.size += len(text)
                while self.size > self.capacity:
                    (_, dropped), _ = self._held.popitem(last=False)
                    self.size -= len(dropped)
        return made
