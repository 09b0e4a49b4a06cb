"""Rows of one text, or of a pair, and what a model says about each: every task but reading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from potstill.runtime.plans import TOKEN_BUDGET, Row, run_in_batches
from potstill.runtime.session import Logits, Session
from potstill.text.cutting import longest_first
from potstill.text.tokenizer import Encoded, PairLayout, Tokenizer


def join(
    tokenizer: Tokenizer, first: Encoded, second: Encoded | None = None, *, seq_len: int
) -> tuple[Row, bool]:
    """Puts special tokens around a text or a pair, as the model was trained to see it.

    Tokens that do not fit are taken off the end of whichever text is the longer at that moment,
    as Hugging Face's ``longest_first`` does.

    Args:
        tokenizer: that the tokens are of.
        first: the text, or the first of a pair.
        second: the second of a pair.
        seq_len: longest row, in tokens.

    Returns:
        The row, and whether tokens were taken off.
    """
    n_special = 2 if second is None else tokenizer.layout.n_special
    n_first, n_second = len(first), 0 if second is None else len(second)
    room = max(0, seq_len - n_special)
    kept_first, kept_second = n_first, n_second
    if n_first + n_second > room:
        kept_first, kept_second = longest_first(n_first, n_second, room)
    cls, sep = [tokenizer.cls_id], [tokenizer.sep_id]
    parts = [cls, first.ids[:kept_first], sep]
    second_at = len(cls) + kept_first + len(sep)
    if second is not None:
        second_at += tokenizer.layout.n_between - 1
        parts += [sep * (tokenizer.layout.n_between - 1), second.ids[:kept_second], sep]
    row = Row(np.concatenate(parts).astype(np.int64), second_at)
    return row, kept_first + kept_second < n_first + n_second


def run_rows(
    session: Session,
    rows: Sequence[Row],
    *,
    pad_id: int,
    layout: PairLayout,
    token_budget: int = TOKEN_BUDGET,
) -> list[Logits]:
    """Runs a model with the one output ``logits`` over rows of any lengths.

    Args:
        session: of the model.
        rows: to run.
        pad_id: the padding token.
        layout: of the tokenizer that the tokens are of.
        token_budget: most tokens of a batch, padding included; a longer row runs alone.

    Returns:
        The logits of each row, in the order of ``rows``: ``[n_labels]`` where the head speaks of
        the whole row, ``[len(row), n_labels]`` where it speaks of its tokens.
    """
    said = run_in_batches(session, rows, pad_id=pad_id, layout=layout, token_budget=token_budget)
    return [
        logits[: len(row)] if logits.ndim > 1 else logits
        for (logits,), row in zip(said, rows, strict=True)
    ]
