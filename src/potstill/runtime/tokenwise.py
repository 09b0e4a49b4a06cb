"""Texts of any length → what a model says of every token: overlapping windows, put together.

Where windows overlap, each word is read where it has the most context: from the window in which
its nearer edge is the farthest away. All tokens of a word come from one window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from potstill.runtime.plans import Outputs, Plan, Row, check_finite
from potstill.runtime.session import Logits
from potstill.runtime.texts import join
from potstill.text.tokenizer import Encoded, IntArray, PairLayout, Tokenizer
from potstill.text.windows import split

_ALONE = PairLayout(n_between=0, token_types=False)
"""A row of one text: ``[CLS] text [SEP]``."""
_EDGE = np.int64(2**40)
"""Distance to an edge of the text itself, where no context is cut off."""


def slices(n_tokens: int, *, seq_len: int, stride: int) -> list[tuple[int, int]]:
    """Token slices ``[start, stop)`` of one text that together cover it.

    Args:
        n_tokens: of the text.
        seq_len: longest row in tokens, its two special tokens included; at least 3.
        stride: tokens that consecutive slices share.
    """
    return split(0, n_tokens, seq_len=seq_len, stride=stride, layout=_ALONE)


def best_slices(words: IntArray, cuts: Sequence[tuple[int, int]]) -> IntArray:
    """The slice that each token is read from, int32 ``[n]``.

    Args:
        words: of each token, int32 ``[n]``; tokens of one word stand together.
        cuts: slices that cover all tokens, as `slices` gives them.
    """
    n = len(words)
    if not n:
        return np.empty(0, np.int32)
    begins = np.flatnonzero(np.diff(words, prepend=np.int32(-2)))
    ends = np.append(begins[1:], n)
    sizes = ends - begins
    first, last = np.repeat(begins, sizes), np.repeat(ends - 1, sizes)
    best, chosen = np.full(n, -_EDGE), np.zeros(n, np.int32)
    for number, (start, stop) in enumerate(cuts):
        part = slice(start, stop)
        left = first[part] - start if start else np.full(stop - start, _EDGE)
        right = stop - 1 - last[part] if stop < n else np.full(stop - start, _EDGE)
        context = np.minimum(left, right)  # negative for a word that an edge cuts
        better = context > best[part]
        best[part][better] = context[better]
        chosen[part][better] = number
    return chosen


def rows_of(tokenizer: Tokenizer, encoded: Encoded, cuts: Sequence[tuple[int, int]]) -> list[Row]:
    """Each slice as a row of its own."""
    rows: list[Row] = []
    for start, stop in cuts:
        piece = Encoded(*(a[start:stop] for a in (encoded.ids, encoded.offsets, encoded.words)))
        rows.append(join(tokenizer, piece, seq_len=stop - start + _ALONE.n_special)[0])
    return rows


def plan(
    tokenizer: Tokenizer, encoded: Encoded, words: IntArray, *, seq_len: int, stride: int
) -> Plan[Logits]:
    """The windows of a text, and how their logits become those of its tokens.

    Args:
        tokenizer: that the tokens are of.
        encoded: the text.
        words: of each token: which belong together.
        seq_len: longest row in tokens.
        stride: tokens that consecutive windows share.
    """
    cuts = slices(len(encoded), seq_len=seq_len, stride=stride)
    chosen = best_slices(words, cuts)

    def finish(said: Sequence[Outputs]) -> Logits:
        return _together([logits for (logits,) in said], chosen, cuts)

    return Plan(rows_of(tokenizer, encoded, cuts), finish)


def softmax(logits: Logits) -> npt.NDArray[np.float64]:
    """Probabilities over the last axis, in float64: they sum to 1 however many there are."""
    scores = logits.astype(np.float64)
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    return scores / scores.sum(-1, keepdims=True)


def _together(said: Sequence[Logits], chosen: IntArray, cuts: Sequence[tuple[int, int]]) -> Logits:
    found = np.empty((len(chosen), said[0].shape[-1]), np.float32)
    for number, (logits, (start, stop)) in enumerate(zip(said, cuts, strict=True)):
        own = np.flatnonzero(chosen[start:stop] == number)
        found[start + own] = logits[1 + own]  # behind [CLS]
    check_finite(found)
    return found
