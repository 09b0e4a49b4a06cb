"""Rows of one text, or of a pair, and what a model says about each: every task but reading."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from potstill.runtime.plans import TOKEN_BUDGET, Row, run_in_batches
from potstill.runtime.session import Logits, Session
from potstill.text.cutting import longest_first
from potstill.text.tokenizer import Encoded, PairLayout, Tokenizer

TextOrPair: TypeAlias = "str | tuple[str, str]"

_CHARACTERS = 16
"""Code points a token of a row that are looked at first: the rest of a long text rarely matters."""
_SPACE = re.compile(r"\s\S")


def join(
    tokenizer: Tokenizer, first: Encoded, second: Encoded | None = None, *, seq_len: int
) -> tuple[Row, bool]:
    """The row of a text or a pair, and whether tokens were taken off its end; see `cut`."""
    (row,), truncated = cut(tokenizer, first, second, seq_len=seq_len, max_windows=1)
    return row, truncated


def cut(
    tokenizer: Tokenizer,
    first: Encoded,
    second: Encoded | None = None,
    *,
    seq_len: int,
    max_windows: int,
) -> tuple[list[Row], bool]:
    """Puts special tokens around a text or a pair, as the model was trained to see it.

    What does not fit into one row is read in several, windows that are spread evenly from the
    beginning of the text to its end. Of a pair whichever text is the longer at that moment gives
    way to the other, as Hugging Face's ``longest_first`` shares out a row; where both are too long,
    their windows move on together.

    Args:
        tokenizer: that the tokens are of.
        first: the text, or the first of a pair.
        second: the second of a pair.
        seq_len: longest row, in tokens.
        max_windows: most rows, 0 for as many as it takes. A lone one is the beginning.

    Returns:
        The rows, and whether they leave tokens out.
    """
    n_special = 2 if second is None else tokenizer.layout.n_special
    n_first, n_second = len(first), 0 if second is None else len(second)
    room = max(0, seq_len - n_special)
    kept_first, kept_second = n_first, n_second
    if n_first + n_second > room:
        kept_first, kept_second = longest_first(n_first, n_second, room)
    needed = max(_rows_needed(n_first, kept_first), _rows_needed(n_second, kept_second))
    n = min(needed, max_windows) if max_windows else needed
    cls, sep = [tokenizer.cls_id], [tokenizer.sep_id]
    between = sep * tokenizer.layout.n_between
    rows: list[Row] = []
    for i in range(n):
        part = _window(first, kept_first, i, n)
        parts, second_at = [cls, part, sep], len(part) + 2
        if second is not None:
            parts = [cls, part, between, _window(second, kept_second, i, n), sep]
            second_at = 1 + len(part) + len(between)
        rows.append(Row(np.concatenate(parts).astype(np.int64), second_at))
    return rows, n * kept_first < n_first or n * kept_second < n_second


def _rows_needed(n_tokens: int, room: int) -> int:
    return max(1, -(-n_tokens // room)) if room else 1


def _window(text: Encoded, room: int, i: int, n: int) -> npt.NDArray[np.integer]:
    start = i * (len(text) - room) // (n - 1) if n > 1 else 0
    return text.ids[start : start + room]


def make_rows(
    tokenizer: Tokenizer, texts: Sequence[TextOrPair], seq_len: int
) -> tuple[list[Row], list[bool]]:
    """The row of each text or pair, and whether it was longer than ``seq_len`` tokens."""
    found = cut_texts(tokenizer, texts, seq_len=seq_len, max_windows=1)
    return [row for (row,), _ in found], [truncated for _, truncated in found]


def cut_texts(
    tokenizer: Tokenizer, texts: Sequence[TextOrPair], *, seq_len: int, max_windows: int
) -> list[tuple[list[Row], bool]]:
    """The rows of each text or pair, and whether they leave tokens out; see `cut`."""
    beginnings = seq_len if max_windows == 1 else None
    firsts = [text if isinstance(text, str) else text[0] for text in texts]
    seconds = [text[1] for text in texts if not isinstance(text, str)]
    encoded = iter(_encode(tokenizer, firsts, beginnings))
    others = iter(_encode(tokenizer, seconds, beginnings))
    return [
        cut(
            tokenizer,
            next(encoded),
            None if isinstance(text, str) else next(others),
            seq_len=seq_len,
            max_windows=max_windows,
        )
        for text in texts
    ]


def _encode(tokenizer: Tokenizer, texts: Sequence[str], seq_len: int | None) -> list[Encoded]:
    """Tokens of texts; with ``seq_len``, of a long one only the first, but more than that many."""
    if seq_len is None:
        return tokenizer.encode_batch(texts)
    found = tokenizer.encode_batch([_beginning(text, seq_len) for text in texts])
    for i, text in enumerate(texts):
        if len(found[i]) < seq_len and len(_beginning(text, seq_len)) < len(text):
            found[i] = tokenizer.encode(text)
    return found


def _beginning(text: str, seq_len: int) -> str:
    if len(text) <= _CHARACTERS * seq_len:
        return text
    # Cut before white space, so that no token can straddle the cut.
    match = _SPACE.search(text, _CHARACTERS * seq_len)
    return text if match is None else text[: match.start()]


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
