"""Rows of token ids one behind the other: what the rows of every task are packed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from potstill.text.tokenizer import PairLayout, Tokenizer
from potstill.text.windows import pad

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""What a model reads of a batch."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PackedRows:
    """Rows of tokens in a few arrays; a task adds what it learns of them.

    Attributes:
        ids: input ids of all rows one behind the other, int32 ``[n_tokens]``.
        bounds: row ``i`` is ``ids[bounds[i]:bounds[i + 1]]``, int64 ``[n_rows + 1]``.
        pad_id: the padding token.
        layout: of the tokenizer that the tokens are of.
    """

    ids: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]
    pad_id: int
    layout: PairLayout

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each row."""
        return np.diff(self.bounds)

    def inputs(self, rows: Sequence[int], second_at: npt.NDArray[Any]) -> dict[str, Any]:
        """The padded inputs of rows, by name, each int64 ``[n, seq]``.

        Args:
            rows: their numbers.
            second_at: where the second text of each of them starts, ``[n]``.
        """
        ids = [self.ids[self.bounds[i] : self.bounds[i + 1]] for i in rows]
        batch = pad(ids, second_at.tolist(), self.pad_id, self.layout)
        return {name: getattr(batch, name) for name in INPUTS}


def packed(ids: Sequence[npt.NDArray[Any]], tokenizer: Tokenizer) -> dict[str, Any]:
    """The fields of `PackedRows`, of the ids of each row."""
    return {
        "ids": np.concatenate(ids).astype(np.int32) if ids else np.empty(0, np.int32),
        "bounds": np.cumsum([0, *map(len, ids)], dtype=np.int64),
        "pad_id": tokenizer.pad_id,
        "layout": tokenizer.layout,
    }
