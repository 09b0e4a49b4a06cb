import bm25s
import numpy as np
from bm25s.tokenization import Tokenized
from hypothesis import given
from hypothesis import strategies as st

from potstill.text.rank import K1, B, best_windows, bm25

piece = st.lists(st.integers(0, 9), max_size=12).map(lambda ids: np.array(ids, np.int32))
pieces = st.lists(piece, max_size=12)


def ids(*values):
    return np.array(values, np.int32)


@given(question=piece.filter(len), texts=pieces.filter(lambda p: sum(map(len, p)) > 0))
def test_scores_are_those_of_the_library_bm25s(question, texts):
    index = bm25s.BM25(k1=K1, b=B, method="lucene", dtype="float64")
    vocabulary = {i: i for i in range(10)}
    index.index(Tokenized(ids=[p.tolist() for p in texts], vocab=vocabulary), show_progress=False)
    theirs = index.get_scores_from_ids(np.unique(question).tolist())
    np.testing.assert_allclose(bm25(question, texts), theirs, rtol=1e-6, atol=1e-9)


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
