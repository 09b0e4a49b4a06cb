"""The logits of a teacher of labels, kept on disk by example."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from potstill.training.kept.columns import Columns
from potstill.training.kept.shards import ShardCache

FloatArray: TypeAlias = "npt.NDArray[np.float32]"


class LogitCache(ShardCache[Any, FloatArray]):
    """The logits of one teacher by example; those of an example are an array of any shape."""

    shard_len = 1024

    def __init__(
        self,
        root: Path,
        facts: Mapping[str, Any],
        texts: Callable[[Any], tuple[str, ...]],
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """As `ShardCache`, where ``texts`` gives all that a teacher reads of an example."""
        self._texts_of = texts
        self._said: dict[bytes, FloatArray] = {}
        super().__init__(root, facts, note)

    @property
    def _known(self) -> Collection[bytes]:
        return self._said

    def _texts(self, example: Any) -> tuple[str, ...]:
        return self._texts_of(example)

    def __getitem__(self, example: Any) -> FloatArray:
        """The logits of an example, float32.

        Raises:
            KeyError: they are not in the cache.
        """
        return self._said[self.key_of(example)].astype(np.float32)

    def _columns(self, said: Sequence[FloatArray]) -> Columns:
        return {
            "bounds": np.cumsum([0, *(one.size for one in said)], dtype=np.int64),
            "width": np.array([one.shape[-1] for one in said], np.int32),
            "dims": np.array([one.ndim for one in said], np.int32),
            "logits": np.concatenate([one.reshape(-1) for one in said]).astype(np.float16),
        }

    def _take(self, columns: Columns) -> None:
        bounds: list[int] = columns["bounds"].tolist()
        for row, key in enumerate(columns["keys"]):
            own = columns["logits"][bounds[row] : bounds[row + 1]]
            if columns["dims"][row] > 1:
                own = own.reshape(-1, int(columns["width"][row]))
            self._said[key.tobytes()] = own
