"""Which paragraphs of many are most like a question: BM25 over words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from potstill.data.normal import normalize_answer


class Nearest:
    """Paragraphs that can be ranked for any number of questions.

    Words are those of the form in which answers are scored: lower case, without punctuation and
    articles.

    Source:
        Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009,
        in the variant of Lucene, with its usual constants; computed by ``bm25s``.
    """

    def __init__(self, paragraphs: Sequence[str]) -> None:
        import bm25s  # late: ranking is for those who make training data or benchmarks
        from bm25s.tokenization import Tokenized

        self._words: dict[str, int] = {}
        ids = [
            [self._words.setdefault(word, len(self._words)) for word in normal.split()]
            for normal in map(normalize_answer, paragraphs)
        ]
        self._index = bm25s.BM25(method="lucene")
        self._n = len(paragraphs)
        if self._words:
            self._index.index(Tokenized(ids=ids, vocab=self._words), show_progress=False)

    def best(self, question: str, n: int) -> list[int]:
        """Indices of the ``n`` paragraphs most like a question, best first.

        Fewer where fewer share a word with it; equal ones in their order.
        """
        words = dict.fromkeys(normalize_answer(question).split())
        terms = [self._words[word] for word in words if word in self._words]
        if not terms:
            return []
        scores = np.asarray(self._index.get_scores_from_ids(terms))
        n = min(n, self._n)
        # Whatever scores as much as the n-th comes along, so that order alone settles ties.
        least = np.partition(scores, -n)[-n]
        found = np.flatnonzero((scores >= least) & (scores > 0))
        return found[np.argsort(-scores[found], kind="stable")][:n].tolist()
