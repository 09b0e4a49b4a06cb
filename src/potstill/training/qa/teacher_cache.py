"""What teachers said of questions: the logits of every window, memory-mapped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from potstill.records import QAExample
from potstill.training.kept.columns import Columns
from potstill.training.kept.shards import ShardCache


@dataclass(frozen=True, slots=True, eq=False)
class WindowOutput:
    """A teacher's logits for one window.

    Attributes:
        start: first token of the context slice.
        stop: one past its last token.
        context_at: position of the slice's first token in the row.
        start_logits: of every position of the row, float16 ``[row_len]``.
        end_logits: as ``start_logits``.
    """

    start: int
    stop: int
    context_at: int
    start_logits: npt.NDArray[np.float16]
    end_logits: npt.NDArray[np.float16]


Outputs = list[WindowOutput]
"""The windows of one question, in the order of its context."""


@dataclass(frozen=True, slots=True, eq=False)
class _Shard:
    columns: Columns
    first_window: npt.NDArray[np.int64]


class TeacherCache(ShardCache[QAExample, Outputs]):
    """The outputs of one teacher for one way of cutting windows."""

    shard_len = 256

    def __init__(
        self, root: Path, facts: Mapping[str, Any], note: Callable[[str], None] = lambda _: None
    ) -> None:
        self._shards: list[_Shard] = []
        self._places: dict[bytes, tuple[int, int]] = {}
        super().__init__(root, facts, note)

    @property
    def _known(self) -> Collection[bytes]:
        return self._places

    def _texts(self, example: QAExample) -> tuple[str, ...]:
        return example.question, example.context

    def __getitem__(self, example: QAExample) -> Outputs:
        """The windows of a question; they lie in the file, not in memory.

        Raises:
            KeyError: the question is not in the cache.
        """
        number, row = self._places[self.key_of(example)]
        shard = self._shards[number]
        columns, first = shard.columns, shard.first_window
        return [
            WindowOutput(
                int(columns["slices"][w, 0]),
                int(columns["slices"][w, 1]),
                int(columns["context_at"][w]),
                columns["start"][columns["bounds"][w] : columns["bounds"][w + 1]],
                columns["end"][columns["bounds"][w] : columns["bounds"][w + 1]],
            )
            for w in range(first[row], first[row + 1])
        ]

    def _columns(self, said: Sequence[Outputs]) -> Columns:
        windows = [window for own in said for window in own]
        return {
            "n_windows": np.array([len(own) for own in said], np.int32),
            "slices": np.array([(w.start, w.stop) for w in windows], np.int32).reshape(-1, 2),
            "context_at": np.array([w.context_at for w in windows], np.int32),
            "bounds": np.cumsum([0, *(len(w.start_logits) for w in windows)], dtype=np.int64),
            "start": np.concatenate([w.start_logits for w in windows]).astype(np.float16),
            "end": np.concatenate([w.end_logits for w in windows]).astype(np.float16),
        }

    def _take(self, columns: Columns) -> None:
        first = np.concatenate([[0], np.cumsum(columns["n_windows"], dtype=np.int64)])
        for row, key in enumerate(columns["keys"]):
            self._places[key.tobytes()] = len(self._shards), row
        self._shards.append(_Shard(columns, first))
