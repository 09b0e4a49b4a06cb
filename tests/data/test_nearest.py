"""Paragraphs ranked by BM25 over words."""

import bm25s
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.data.nearest import Nearest
from potstill.data.normal import normalize_answer

WORDS = "king queen won game paris london tower".split()
PARAGRAPHS = st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), min_size=1)


@given(paragraphs=PARAGRAPHS, question=st.lists(st.sampled_from([*WORDS, "never"]), max_size=4))
def test_as_the_library_ranks_them(paragraphs, question):
    found = Nearest(paragraphs).best(" ".join(question), 3)
    words = [normalize_answer(p).split() for p in paragraphs]
    if not any(set(question) & set(own) for own in words):
        assert found == []
        return
    index = bm25s.BM25(method="lucene")
    index.index(words, show_progress=False)
    known = [w for w in dict.fromkeys(question) if any(w in own for own in words)]
    scores = index.get_scores(known)
    order = sorted(range(len(words)), key=lambda i: (-scores[i], i))
    assert found == [i for i in order if scores[i] > 0][:3]


def test_case_marks_and_articles_do_not_matter():
    nearest = Nearest(["The tower, in London.", "A king"])
    assert nearest.best("LONDON?", 5) == [0]
    assert nearest.best("the?", 5) == nearest.best("", 5) == []
    assert Nearest(["the", "?"]).best("king", 2) == []
    assert nearest.best("a king in a tower", 1) == pytest.approx([0])
