"""Texts, or pairs of texts, as rows of tokens with a label each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from potstill.runtime.texts import TextOrPair, make_rows
from potstill.text.tokenizer import Tokenizer
from potstill.training.run.packed import PackedRows, packed
from potstill.training.run.task import FloatArray

CHUNK = 2000
"""Texts tokenized at once."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TextRows(PackedRows):
    """Every example as one row.

    Attributes:
        second_at: where the second text of each row starts, int32 ``[n_rows]``.
        gold: labels as numbers, see `potstill.data.classification.gold_array`.
        weight: of each row in the loss ``[n_rows]``, or of each label where a row has it
            ``[n_rows, n_labels]``; ``None`` where all weigh 1.
        truncated: rows that lost their end.
    """

    second_at: npt.NDArray[np.int32]
    gold: npt.NDArray[Any]
    weight: npt.NDArray[np.float32] | None
    truncated: int

    def __len__(self) -> int:
        return len(self.second_at)

    @property
    def example(self) -> npt.NDArray[np.int64]:
        """Which example each row is of: they are one to one."""
        return np.arange(len(self))

    def batch(self, rows: list[int]) -> dict[str, Tensor]:
        """Rows as padded tensors: the model's inputs, ``labels``, and ``weight`` where given."""
        arrays = {**self.inputs(rows, self.second_at[rows]), "labels": self.gold[rows]}
        if self.weight is not None:
            arrays["weight"] = self.weight[rows]
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def targets(self, rows: list[int], said: Sequence[FloatArray]) -> Tensor:
        """The teachers' logits of the rows' examples, ``[n, n_labels]``."""
        return torch.from_numpy(np.stack(said))


def pack_texts(
    texts: Sequence[TextOrPair],
    gold: npt.NDArray[Any],
    tokenizer: Tokenizer,
    *,
    seq_len: int,
    weight: npt.NDArray[np.float32] | None = None,
) -> TextRows:
    """Texts, or pairs of texts, as rows.

    Args:
        texts: to be read.
        gold: the label of each as numbers, see `TextRows`.
        tokenizer: of the model to train.
        seq_len: longest row, in tokens; what is longer loses its end.
        weight: see `TextRows`.
    """
    ids: list[npt.NDArray[np.int64]] = []
    second_at: list[int] = []
    truncated = 0
    for at in range(0, len(texts), CHUNK):
        rows, cut = make_rows(tokenizer, texts[at : at + CHUNK], seq_len)
        ids += [row.ids for row in rows]
        second_at += [row.second_at for row in rows]
        truncated += sum(cut)
    return TextRows(
        **packed(ids, tokenizer),
        second_at=np.array(second_at, np.int32),
        gold=gold,
        weight=weight,
        truncated=truncated,
    )
