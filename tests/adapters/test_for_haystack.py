"""The component, in a pipeline of the real haystack."""

from __future__ import annotations

import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what haystack imports warns
    haystack = pytest.importorskip("haystack", reason="haystack-ai is not installed")
    from potstill.adapters.for_haystack import ExtractiveReader, SentencePruner

from potstill.errors import ModelNotFoundError

# haystack's own use of other libraries is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")

TEXTS = ["Robert Stein built a still in 1828.", "", "Aeneas Coffey patented the column still."]


@pytest.fixture(scope="module")
def documents():
    return [haystack.Document(content=text or None, meta={"n": i}) for i, text in enumerate(TEXTS)]


def test_a_pipeline_answers_and_survives_its_yaml(documents) -> None:
    pipeline = haystack.Pipeline()
    pipeline.add_component("reader", ExtractiveReader(top_k=3, threads=1))
    pipeline = haystack.Pipeline.loads(
        pipeline.dumps(), allowed_modules=[ExtractiveReader.__module__]
    )
    query = "Who patented the column still?"
    answers = pipeline.run({"reader": {"query": query, "documents": documents}})["reader"][
        "answers"
    ]
    best = answers[0]
    assert (best.data, best.query, best.document.meta["n"]) == ("Aeneas Coffey", query, 2)
    span = best.document_offset
    assert best.document.content[span.start : span.end] == best.data
    assert [a.score for a in answers] == sorted((a.score for a in answers), reverse=True)
    assert best.score <= sum(a.score for a in answers) <= 1 + 1e-6


def test_few_answers_and_none(documents) -> None:
    reader = ExtractiveReader(threads=1)
    query = "Who patented the column still?"
    assert len(reader.run(query=query, documents=documents, top_k=1)["answers"]) == 1
    assert reader.run(query=query, documents=documents, score_threshold=1.1) == {"answers": []}
    assert reader.run(query=query, documents=documents[1:2]) == {"answers": []}


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ModelNotFoundError):
        ExtractiveReader("/no/such/model").warm_up()


def test_documents_are_pruned_to_sentences(documents) -> None:
    pipeline = haystack.Pipeline()
    pipeline.add_component("pruner", SentencePruner(tokens=9, threads=1))
    pipeline = haystack.Pipeline.loads(
        pipeline.dumps(), allowed_modules=[SentencePruner.__module__]
    )
    query = "Who patented the column still?"
    given = {"pruner": {"query": query, "documents": documents}}
    (found,) = pipeline.run(given)["pruner"]["documents"]
    assert (found.content, found.meta["n"]) == (TEXTS[2], 2)
    (kept,) = found.meta["kept"]
    assert TEXTS[2][kept["start"] : kept["end"]] == TEXTS[2]
    assert SentencePruner().run(query, documents[1:2]) == {"documents": []}
