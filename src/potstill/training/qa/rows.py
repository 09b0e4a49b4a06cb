"""Question answering for the training loop: examples → labelled rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from potstill.records import QAExample
from potstill.text.tokenizer import Encoded, Tokenizer
from potstill.text.windows import Window, assemble, windows
from potstill.training.run.packed import PackedRows, packed

_CHUNK = 2000
"""Examples tokenized at once."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class QARows(PackedRows):
    """Every training window with its label.

    Attributes:
        context_at: position of each row's first context token, int32 ``[n_rows]``.
        start: position of the answer's first token in its row, int64 ``[n_rows]``; 0 (``[CLS]``)
            where the row does not hold the whole answer.
        end: position of the answer's last token, int64 ``[n_rows]``.
        example: which example each row asks, int32 ``[n_rows]``.
        slices: first and one past the last context token of each row, int32 ``[n_rows, 2]``.
    """

    context_at: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    example: npt.NDArray[np.int32]
    slices: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.start)

    @property
    def truncated(self) -> int:
        """Rows that lost their end: none, as long contexts are cut into windows."""
        return 0

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Rows ``rows`` as padded tensors: the model's inputs, the labels and ``allowed``."""
        first = self.context_at[list(rows)]
        inputs = self.inputs(rows, first)
        last = self.lengths[list(rows)] - 1  # the [SEP] behind the context
        at = np.arange(inputs["input_ids"].shape[1])
        allowed = (at >= first[:, None]) & (at < last[:, None])
        allowed[:, 0] = True
        arrays = {
            **inputs,
            "start": self.start[list(rows)],
            "end": self.end[list(rows)],
            "allowed": allowed,
        }
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def label(context: Encoded, start: int, stop: int) -> tuple[int, int] | None:
    """The tokens that cover characters ``[start, stop)``: first and last, or ``None``."""
    first = int(np.searchsorted(context.offsets[:, 1], start, side="right"))
    last = int(np.searchsorted(context.offsets[:, 0], stop, side="left")) - 1
    return (first, last) if first <= last else None


def make_rows(
    examples: Sequence[QAExample], tokenizer: Tokenizer, *, seq_len: int = 384, stride: int = 128
) -> QARows:
    """Splits examples into labelled windows.

    The first answer of an example is its label. A window that holds it only in part is labelled
    as having none; a span at a window's very first or last token counts.

    Args:
        examples: with offsets that are right.
        tokenizer: of the model to train.
        seq_len: longest row, in tokens.
        stride: tokens that neighbouring windows share.

    Raises:
        QuestionTooLongError: a question leaves no room for context.
    """
    ids: list[npt.NDArray[np.int64]] = []
    facts: list[tuple[int, ...]] = []
    cut: dict[str, Any] = {"seq_len": seq_len, "stride": stride, "layout": tokenizer.layout}
    for at in range(0, len(examples), _CHUNK):
        chunk = examples[at : at + _CHUNK]
        texts = list(dict.fromkeys(example.context for example in chunk))
        contexts = dict(zip(texts, tokenizer.encode_batch(texts), strict=True))
        questions = tokenizer.encode_batch([example.question for example in chunk])
        for i, (example, question) in enumerate(zip(chunk, questions, strict=True)):
            context = contexts[example.context]
            gold = _gold(example, context)
            n = len(question), len(context)
            for window in windows(i, i, *n, **cut):
                ids.append(assemble(tokenizer, question, context, window))
                where = at + i, window.start, window.stop
                facts.append((window.context_at, *_within(window, gold), *where))
    columns = np.array(facts, np.int64).reshape(-1, 6)
    return QARows(
        **packed(ids, tokenizer),
        context_at=columns[:, 0].astype(np.int32),
        start=columns[:, 1],
        end=columns[:, 2],
        example=columns[:, 3].astype(np.int32),
        slices=columns[:, 4:].astype(np.int32),
    )


def _gold(example: QAExample, context: Encoded) -> tuple[int, int] | None:
    if example.is_impossible or not example.answers or example.starts[0] is None:
        return None
    start = example.starts[0]
    return label(context, start, start + len(example.answers[0]))


def _within(window: Window, gold: tuple[int, int] | None) -> tuple[int, int]:
    if gold is None or gold[0] < window.start or gold[1] >= window.stop:
        return 0, 0
    shift = window.context_at - window.start
    return gold[0] + shift, gold[1] + shift
