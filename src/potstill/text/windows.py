"""Windows: a question and a slice of its context, one row of a batch.

The row is ``[CLS] question [SEP] context slice [SEP]``, or as else the tokenizer's layout says
(RoBERTa's has two separators in the middle). Stride is *overlap*, as in Hugging Face's scripts:
consecutive slices of one context share ``stride`` tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from potstill.errors import QuestionTooLongError
from potstill.text.tokenizer import BERT_PAIR, Encoded, PairLayout, Tokenizer


@dataclass(frozen=True, slots=True)
class Window:
    """One row of a batch: tokens ``[start, stop)`` of a context behind a question."""

    question: int
    """Index of the question in the caller's list."""
    context: int
    """Index of the context in the caller's list."""
    start: int
    stop: int
    n_question: int
    """Tokens of the question."""
    layout: PairLayout = BERT_PAIR
    """Of the tokenizer that the tokens are of."""

    def __len__(self) -> int:
        """Length of the row in tokens, special tokens included."""
        return self.n_question + self.stop - self.start + self.layout.n_special

    @property
    def context_at(self) -> int:
        """Position of the slice's first token in the row."""
        return self.n_question + 1 + self.layout.n_between


def split(
    n_question: int,
    n_context: int,
    *,
    seq_len: int = 384,
    stride: int = 128,
    layout: PairLayout = BERT_PAIR,
) -> list[tuple[int, int]]:
    """Token slices ``[start, stop)`` of a context that together cover it.

    Every slice leaves room for the question in a row of ``seq_len`` tokens. Where a question is so
    long that ``stride`` would not fit, the overlap is half of the room that is left.

    Args:
        n_question: tokens of the question.
        n_context: tokens of the context.
        seq_len: longest row, in tokens, special tokens included.
        stride: tokens shared by consecutive slices.
        layout: of the tokenizer that counted the tokens.

    Returns:
        At least one slice; ``[(0, 0)]`` for a context without tokens.

    Raises:
        QuestionTooLongError: the question leaves no room for context.
    """
    room = seq_len - n_question - layout.n_special
    if room < 1:
        raise QuestionTooLongError(
            f"the question has {n_question} tokens, but a window of {seq_len} takes "
            f"{seq_len - layout.n_special - 1} at most: shorten the question"
        )
    step = room - (stride if stride < room else room // 2)
    slices: list[tuple[int, int]] = []
    start = 0
    while True:
        stop = min(start + room, n_context)
        slices.append((start, stop))
        if stop == n_context:
            return slices
        start += step


def windows(
    question: int,
    context: int,
    n_question: int,
    n_context: int,
    *,
    seq_len: int = 384,
    stride: int = 128,
    layout: PairLayout = BERT_PAIR,
) -> list[Window]:
    """The windows of question number ``question`` over context number ``context``.

    Raises:
        QuestionTooLongError: as `split` does.
    """
    slices = split(n_question, n_context, seq_len=seq_len, stride=stride, layout=layout)
    return [Window(question, context, start, stop, n_question, layout) for start, stop in slices]


def assemble(
    tokenizer: Tokenizer, question: Encoded, context: Encoded, window: Window
) -> npt.NDArray[np.int64]:
    """Input ids of a window, int64 ``[len(window)]``."""
    row = np.full(len(window), tokenizer.sep_id, np.int64)
    at = window.context_at
    row[0] = tokenizer.cls_id
    row[1 : 1 + window.n_question] = question.ids
    row[at:-1] = context.ids[window.start : window.stop]
    return row


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows padded to the longest of them; every array is int64 ``[n, batch_len]``."""

    input_ids: npt.NDArray[np.int64]
    attention_mask: npt.NDArray[np.int64]
    token_type_ids: npt.NDArray[np.int64]


def pad(
    rows: Sequence[npt.NDArray[np.integer]],
    context_at: Sequence[int],
    pad_id: int,
    layout: PairLayout = BERT_PAIR,
) -> Batch:
    """Stacks rows of different lengths into one batch.

    Args:
        rows: input ids of each window.
        context_at: where each row's context slice starts; token type 1 from there on, where the
            layout has types.
        pad_id: the padding token.
        layout: of the tokenizer that the tokens are of.
    """
    shape = len(rows), max(len(row) for row in rows)
    ids = np.full(shape, pad_id, np.int64)
    mask = np.zeros(shape, np.int64)
    types = np.zeros(shape, np.int64)
    for i, (row, at) in enumerate(zip(rows, context_at, strict=True)):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
        types[i, at : len(row)] = layout.token_types
    return Batch(ids, mask, types)


def by_token_budget(lengths: Iterable[int], budget: int) -> list[list[int]]:
    """Groups rows of similar length so that no padded batch holds more than ``budget`` tokens.

    Args:
        lengths: length of each row, in tokens.
        budget: most tokens of a batch, padding included; a longer row gets a batch of its own.

    Returns:
        Row indices of each batch, longest rows first; equal lengths keep their order.
    """
    sizes = list(lengths)
    batches: list[list[int]] = []
    for index in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        # The first row of a batch is its longest, so it alone decides what one more row costs.
        if batches and (len(batches[-1]) + 1) * sizes[batches[-1][0]] <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
