import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from potstill.text.rank import K1, B, best_windows, bm25

piece = st.lists(st.integers(0, 9), max_size=12).map(lambda ids: np.array(ids, np.int32))
pieces = st.lists(piece, max_size=12)


def ids(*values):
    return np.array(values, np.int32)


def by_hand(question, texts):
    """The formula of Lucene's BM25, term by term."""
    lengths = [len(text) for text in texts]
    scores = []
    for text in texts:
        total = 0.0
        for term in set(question.tolist()):
            df = sum(term in other for other in texts)
            tf = text.tolist().count(term)
            idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
            length = len(text) / (sum(lengths) / len(texts))
            total += idf * tf / (tf + K1 * (1 - B + B * length))
        scores.append(total)
    return scores


@given(question=piece.filter(len), texts=pieces.filter(lambda p: sum(map(len, p)) > 0))
def test_scores_are_those_of_the_formula(question, texts):
    expected = by_hand(question, texts)
    np.testing.assert_allclose(bm25(question, texts), expected, rtol=1e-5, atol=1e-6)


@given(question=piece, texts=pieces, n=st.integers(0, 15))
def test_the_best_are_chosen_and_stay_in_order(question, texts, n):
    chosen = best_windows(question, texts, n)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(n, len(texts))
    scores = bm25(question, texts)
    left_out = [scores[i] for i in range(len(texts)) if i not in chosen]
    assert not chosen or not left_out or min(scores[chosen]) >= max(left_out)


def test_a_rare_term_outweighs_a_common_one():
    texts = [ids(1, 1, 1, 2), ids(1, 1, 2, 2), ids(7, 2, 2, 2), ids(1, 2, 2, 2)]
    assert best_windows(ids(1, 7), texts, 1) == [2]


def test_where_no_term_matches_the_first_are_taken():
    texts = [ids(1), ids(2), ids(3)]
    assert best_windows(ids(9), texts, 2) == [0, 1]
    assert bm25(ids(9), texts).tolist() == [0, 0, 0]


def test_nothing_to_rank():
    assert best_windows(ids(1), [], 3) == []
    assert bm25(ids(), [ids(1)]).tolist() == [0]
    assert bm25(ids(1), [ids(), ids()]).tolist() == [0, 0]
