"""Passages that have a question's words → those first that are likely to answer it.

Three kinds of evidence, each between 0 and 1: BM25 of words without endings, BM25 of the model's
word pieces (names and numbers that a stemmer bends or a word list lacks), and how many of the
question's words stand close together somewhere in the passage.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from potstill.retrieval.words import ALIKE, words
from potstill.text.tokenizer import Encoded

FloatArray = npt.NDArray[np.float32]

HEADS = 0.3
"""Weight of a word in title, heading or file name, beside that of one in the text."""
_PIECES = 0.5
_NEARNESS = 0.5
"""Weights beside that of the words, 1: chosen on SQuAD's training articles (docs/log.md)."""
_EACH = 0.25
"""What all of the question's words are worth that stand close together, each as much as any other:
one long file can make a word common that is rare elsewhere."""
_NEAR = 30
"""Words within which the question's words count as close together."""
_K1 = 1.2
_B = 0.75


def rank(
    terms: Mapping[str, float],
    texts: Sequence[str],
    heads: Sequence[str],
    question: Encoded | None = None,
    pieces: Sequence[Encoded] = (),
) -> FloatArray:
    """How likely each passage answers a question, float32 ``[n]``; the best comes near 2.25.

    Args:
        terms: its words without endings, with the weight of each.
        texts: the passages.
        heads: what stands above each: titles and headings.
        question: its word pieces, where they count.
        pieces: those of the passages.
    """
    if not texts:
        return np.zeros(0, np.float32)
    total = sum(terms.values()) or 1.0
    found = [[ALIKE.get(word, word) for word in words(text)] for text in texts]
    worth = {t: _NEARNESS * weight / total + _EACH / len(terms) for t, weight in terms.items()}
    near = np.array([nearness(worth, one) for one in found], np.float32)
    ranks = _share(_words(terms, found, heads)) + near
    if question is not None:
        ranks = ranks + _PIECES * _share(_pieces(question, pieces))
    return ranks.astype(np.float32)


def _words(
    terms: Mapping[str, float], found: Sequence[Sequence[str]], heads: Sequence[str]
) -> FloatArray:
    """BM25 of words: their weights are of all passages, the usual length is that of these."""
    usual = max(1.0, sum(map(len, found)) / len(found))
    scores: list[float] = []
    for own, head in zip(found, heads, strict=True):
        norm = _K1 * (1 - _B + _B * len(own) / usual)
        counts = Counter(word for word in own if word in terms)
        score = sum(terms[word] * n * (_K1 + 1) / (n + norm) for word, n in counts.items())
        above = {ALIKE.get(word, word) for word in words(head)}
        scores.append(score + HEADS * sum(terms.get(word, 0.0) for word in above))
    return np.asarray(scores, np.float32)


def nearness(terms: Mapping[str, float], found: Sequence[str]) -> float:
    """The largest weight of different terms within `_NEAR` words."""
    hits = [(at, word) for at, word in enumerate(found) if word in terms]
    counts: dict[str, int] = {}
    weight = best = 0.0
    first = 0
    for at, word in hits:
        counts[word] = counts.get(word, 0) + 1
        weight += terms[word] if counts[word] == 1 else 0.0
        while at - hits[first][0] > _NEAR:
            left = hits[first][1]
            counts[left] -= 1
            weight -= terms[left] if counts[left] == 0 else 0.0
            first += 1
        best = max(best, weight)
    return best


def idf(n_passages: int, n_having: int) -> float:
    """Weight of a word that so many passages have, as BM25 of Lucene has it; never negative."""
    return math.log(1 + (n_passages - min(n_having, n_passages) + 0.5) / (n_having + 0.5))


def _pieces(question: Encoded, pieces: Sequence[Encoded]) -> FloatArray:
    """BM25 among these passages alone, of word pieces."""
    asked = np.unique(question.ids)
    n = len(pieces)
    lengths = np.array([len(one) for one in pieces])
    ids = np.concatenate([one.ids for one in pieces])
    owners = np.repeat(np.arange(n), lengths)
    at = np.searchsorted(asked, ids)
    at[at == len(asked)] = 0
    hits = asked[at] == ids
    counts = np.zeros((n, len(asked)), np.float32)
    np.add.at(counts, (owners[hits], at[hits]), 1)
    having = (counts > 0).sum(axis=0)
    weights = np.log(1 + (n - having + 0.5) / (having + 0.5))
    norm = _K1 * (1 - _B + _B * lengths / max(1.0, float(lengths.mean())))
    return ((counts / (counts + norm[:, None])) @ weights).astype(np.float32)


def _share(scores: FloatArray) -> FloatArray:
    """Scores as shares of the best one."""
    best = float(scores.max(initial=0.0))
    return (scores / best).astype(np.float32) if best > 0 else scores
