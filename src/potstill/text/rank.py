"""BM25: which windows of much text are worth reading for a question.

Terms are the model's own token ids, so ranking needs no word splitting of its own, follows the
model's lower-casing, and works in every language the tokenizer knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

IdArray = npt.NDArray[np.int32]

K1 = 1.5
B = 0.75
"""The usual constants: k1 and b of Robertson and Zaragoza, 2009, section 3.2."""


def bm25(question: IdArray, pieces: Sequence[IdArray]) -> npt.NDArray[np.float64]:
    """Score of each piece of text for one question, float64 ``[n]``; 0 where no term matches.

    One question is asked of text that is seen once, so no index is built: only the question's own
    terms are counted.

    Args:
        question: token ids of the question; a repeated term counts once.
        pieces: token ids of each piece.

    Source:
        Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009,
        with the idf that Lucene uses, ``ln(1 + (N - df + 0.5) / (df + 0.5))``, never negative.
    """
    n = len(pieces)
    if not n:
        return np.zeros(0)
    lengths = np.array([len(piece) for piece in pieces], np.int64)
    terms = np.unique(question)
    if not len(terms) or not lengths.sum():
        return np.zeros(n)
    ids = np.concatenate(pieces)
    at = np.minimum(np.searchsorted(terms, ids), len(terms) - 1)
    hits = np.flatnonzero(terms[at] == ids)
    owner = np.repeat(np.arange(n), lengths)[hits]
    counts = np.bincount(owner * len(terms) + at[hits], minlength=n * len(terms))
    tf = counts.reshape(n, len(terms)).astype(np.float64)
    df = (tf > 0).sum(axis=0)
    idf = np.log1p((n - df + 0.5) / (df + 0.5))
    saturation = K1 * (1 - B + B * lengths / lengths.mean())
    return (idf * tf / (tf + saturation[:, None])).sum(axis=1)


def best_windows(question: IdArray, pieces: Sequence[IdArray], n: int) -> list[int]:
    """Indices of the ``n`` pieces that BM25 scores highest, in the order of ``pieces``.

    Equal scores go to the earlier piece: where no term matches, the first ``n`` are taken.
    """
    order = np.argsort(-bm25(question, pieces), kind="stable")
    return sorted(int(i) for i in order[:n])
