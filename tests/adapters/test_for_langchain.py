"""The retriever and the compressor, with the real langchain-core."""

from __future__ import annotations

import warnings

import pytest

from potstill.documents.document import Document as Text
from potstill.retrieval.index import Index

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what langchain imports warns
    documents = pytest.importorskip(
        "langchain_core.documents", reason="langchain-core is not installed"
    )
    from potstill.adapters.for_langchain import PotstillRetriever, SentenceCompressor

pytestmark = pytest.mark.filterwarnings("ignore")


def test_passages_with_their_places(reader):
    text = "The king built a tower.\n\nDenver won the game."
    index = Index.of([Text(name="a.txt", text=text, lines=True), Text(name="b", text="Paris.")])
    for chosen in (None, reader):
        (found,) = PotstillRetriever(index=index, reader=chosen, k=3).invoke("Which towers?")
        assert found.page_content == text
        assert found.metadata == {"source": "a.txt", "start": 0, "end": len(text), "line": 1}


def test_sentences_are_kept_word_for_word(reader):
    texts = ["The king built a tower. The queen wrote a book.", " ", "Denver won. Paris lost."]
    given = [documents.Document(page_content=t, metadata={"n": i}) for i, t in enumerate(texts)]
    compressor = SentenceCompressor(reader=reader, tokens=6)
    found = compressor.compress_documents(given, "Who built it?")
    assert found
    for one in found:
        text = texts[one.metadata["n"]]
        sentences = [text[place["start"] : place["end"]] for place in one.metadata["kept"]]
        assert one.page_content == " ".join(sentences)
    assert compressor.compress_documents([], "Who?") == []
    whole = SentenceCompressor(reader=reader, tokens=1000).compress_documents(given, "Who?")
    assert [one.page_content for one in whole] == [texts[0], texts[2]]
