"""The pipeline by itself and under txtai's own RAG."""

from __future__ import annotations

import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what txtai imports warns
    pytest.importorskip("txtai", reason="txtai is not installed")
    from txtai.pipeline import RAG, Similarity

    from potstill.adapters.for_txtai import Questions

# txtai's own use of other libraries is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")

FILLER = "The river was high that year, and the old mill stood still for weeks. " * 40


def test_each_question_has_its_context() -> None:
    questions = Questions(threads=1)
    contexts = ["Aeneas Coffey patented the column still.", "", "Pot stills are made of copper."]
    asked = ["Who patented the column still?", "Who?", "What are pot stills made of?"]
    assert questions(asked, contexts) == ["Aeneas Coffey", None, "copper"]
    with pytest.raises(ValueError, match="zip"):
        questions(asked, contexts[:1])


def test_the_end_of_a_long_context_is_read() -> None:
    context = FILLER + "Aeneas Coffey patented the column still."
    assert Questions(threads=1)(["Who patented the column still?"], [context]) == ["Aeneas Coffey"]


def test_weak_answers_are_none() -> None:
    ask = ["Who patented the column still?"], ["Aeneas Coffey patented the column still."]
    assert Questions(minscore=1.1, threads=1)(*ask) == [None]


def test_rag_takes_it_for_its_own() -> None:
    class Words(Similarity):
        """Ranks texts by the words they share with each query."""

        def __init__(self):
            pass

        def __call__(self, query, texts, *_):
            sets = [set(text.lower().strip("?.").split()) for text in texts]
            asked = [set(q.lower().strip("?").split()) for q in query]
            rows = [[(i, len(words & found)) for i, found in enumerate(sets)] for words in asked]
            return [sorted(row, key=lambda found: -found[1]) for row in rows]

    rag = RAG(Words(), Questions(threads=1), context=1)
    texts = ["Pot stills are made of copper.", "Aeneas Coffey patented the column still."]
    query = "Who patented the column still?"
    assert rag([("inventor", query, query, False)], texts) == [("inventor", "Aeneas Coffey")]
