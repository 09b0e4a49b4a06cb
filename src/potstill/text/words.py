"""Words that the caller has cut already ↔ the tokens of the text they make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from potstill.text.tokenizer import Encoded, IntArray


def join_words(words: Sequence[str]) -> tuple[str, IntArray]:
    """Words as one text, a blank between any two, and where each starts.

    A tokenizer that treats the first word of a text differently, as byte-level ones do, then sees
    the words as it would in running text.

    Returns:
        The text, and the first code point of each word, int32 ``[n_words]``.
    """
    lengths = [len(word) + 1 for word in words]
    return " ".join(words), np.cumsum([0, *lengths[:-1]], dtype=np.int32)[: len(words)]


def words_of(encoded: Encoded, starts: IntArray) -> IntArray:
    """Which of the joined words each token belongs to, int32 ``[n]``.

    Args:
        encoded: the text of `join_words`.
        starts: of its words.
    """
    # The last character decides: a token may begin with the blank before its word.
    at = np.maximum(encoded.offsets[:, 0], encoded.offsets[:, 1] - 1)
    return (np.searchsorted(starts, at, side="right") - 1).astype(np.int32)


def first_tokens(words: IntArray, n_words: int) -> IntArray:
    """The first token of each word, int32 ``[n_words]``; -1 for a word without one.

    Some words leave none: a tokenizer drops control characters, for instance.

    Args:
        words: of each token, as `words_of` gives them.
        n_words: number of words.
    """
    first = np.full(n_words, -1, np.int32)
    found, at = np.unique(words, return_index=True)
    first[found] = at
    return first
