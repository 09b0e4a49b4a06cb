# pyright: reportMissingImports=false, reportUntypedBaseClass=false
# (langchain-core is the user's own, and no dependency of ours)
"""LangChain: a retriever over an index, and a compressor that keeps what answers a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field

from potstill.retrieval.index import Index
from potstill.runtime.qa import QAClient


class PotstillRetriever(BaseRetriever):
    """Passages of an index that are likely to answer a question, best first.

    A document's metadata are ``source``, ``start`` and ``end`` (offsets into the text that was
    read) and its place: ``page``, ``heading``, ``sheet``, ``row`` or ``line``.

    Examples:
        >>> retriever = PotstillRetriever(index=Index.open("reports"), k=8)  # doctest: +SKIP
        >>> retriever.invoke("What was the revenue?")  # doctest: +SKIP
    """

    index: Any
    """A `potstill.Index`."""
    reader: Any = None
    """A `potstill.QAClient`, whose word pieces are searched, too."""
    k: int = Field(default=8, ge=1)
    """Most passages."""

    def _get_relevant_documents(self, query: str, **_: Any) -> list[Document]:
        index: Index = self.index
        hits = index.search(query, self.k, reader=self.reader)
        return [
            Document(page_content=row.pop("text"), metadata=row)
            for row in (hit.to_dict() for hit in hits)
        ]


class SentenceCompressor(BaseDocumentCompressor):
    """Keeps of documents the sentences that are worth most for a question, word for word.

    A document of which nothing is kept is left out. The metadata stay, and get ``kept``: for each
    sentence its score and its offsets in the document's text.

    Examples:
        >>> compressor = SentenceCompressor(tokens=300)  # doctest: +SKIP
        >>> compressor.compress_documents(documents, "What was the revenue?")  # doctest: +SKIP
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    reader: Any = Field(default_factory=QAClient.from_options)
    """A `potstill.QAClient`."""
    tokens: int | None = Field(default=None, ge=1)
    """Most tokens that are kept; by default as `QAClient.prune` has it."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> list[Document]:
        """What is kept of documents for a query, in their order."""
        reader: QAClient = self.reader
        given = [document for document in documents if document.page_content.strip()]
        if not given:
            return []
        texts = [document.page_content for document in given]
        kept = reader.prune(query, texts, tokens=self.tokens)
        found: list[Document] = []
        for number, document in enumerate(given):
            own = [one for one in kept if one.source == number]
            if own:
                places = [{"start": o.start, "end": o.end, "score": o.score} for o in own]
                found.append(
                    Document(
                        id=document.id,
                        page_content=" ".join(one.text for one in own),
                        metadata={**document.metadata, "kept": places},
                    )
                )
        return found
