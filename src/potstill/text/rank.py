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


def bm25(question: IdArray, pieces: Sequence[IdArray]) -> npt.NDArray[np.float32]:
    """Score of each piece of text for one question, float32 ``[n]``; 0 where no term matches.

    Args:
        question: token ids of the question; a repeated term counts once.
        pieces: token ids of each piece.

    Source:
        Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009,
        in the variant of Lucene, whose idf is never negative; computed by ``bm25s``.
    """
    n_terms = max((int(piece.max(initial=-1)) for piece in pieces), default=-1) + 1
    terms = [int(term) for term in np.unique(question) if term < n_terms]
    if not terms:
        return np.zeros(len(pieces), np.float32)
    # Imported here: only much text is ranked, and a short one should not wait for it.
    import bm25s
    from bm25s.tokenization import Tokenized

    index = bm25s.BM25(k1=K1, b=B, method="lucene")
    corpus = Tokenized(
        ids=[piece.tolist() for piece in pieces], vocab={str(i): i for i in range(n_terms)}
    )
    index.index(corpus, show_progress=False)
    return np.asarray(index.get_scores_from_ids(terms), np.float32)


def best_windows(question: IdArray, pieces: Sequence[IdArray], n: int) -> list[int]:
    """Indices of the ``n`` pieces that BM25 scores highest, in the order of ``pieces``.

    Equal scores go to the earlier piece: where no term matches, the first ``n`` are taken.
    """
    order = np.argsort(-bm25(question, pieces), kind="stable")
    return sorted(int(i) for i in order[:n])
