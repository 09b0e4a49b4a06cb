# pyright: reportMissingImports=false, reportUntypedBaseClass=false
# (llama-index-core is the user's own, and no dependency of ours)
"""LlamaIndex: a reader of files with their places, and a postprocessor that keeps what answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llama_index.core.bridge.pydantic import Field
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document, NodeWithScore, QueryBundle, TextNode

from potstill.documents.document import Skipped
from potstill.documents.files import read_documents
from potstill.retrieval.asking import passages_of
from potstill.runtime.qa import QAClient


class PotstillReader(BaseReader):
    """Files and folders, as passages that end where a paragraph does, each with its place.

    Examples:
        >>> PotstillReader().load_data("reports")  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self.skipped: list[Skipped] = []
        """The files of the last call that were not read, with the reasons."""

    def lazy_load_data(self, paths: str | Path | list[str | Path]) -> Iterator[Document]:
        """The passages of files and folders; those that cannot be read are in ``skipped``."""
        self.skipped = []
        for document in read_documents(paths):
            if isinstance(document, Skipped):
                self.skipped.append(document)
                continue
            for hit in passages_of([document]):
                row = hit.to_dict()
                yield Document(text=row.pop("text"), metadata={"title": hit.title, **row})

    def load_data(self, paths: str | Path | list[str | Path]) -> list[Document]:
        """As `lazy_load_data`, as a list."""
        return list(self.lazy_load_data(paths))


class SentencePostprocessor(BaseNodePostprocessor):
    """Keeps of nodes the sentences that are worth most for a question, word for word.

    A node of which nothing is kept is left out; the others keep id, metadata and score, and get
    ``kept`` in their metadata: for each sentence its score and its offsets in the node's text.
    """

    reader: Any = Field(default_factory=QAClient.from_options)
    """A `potstill.QAClient`."""
    tokens: int | None = Field(default=None, ge=1)
    """Most tokens that are kept; by default as `QAClient.prune` has it."""

    @classmethod
    def class_name(cls) -> str:
        """As LlamaIndex names it."""
        return "PotstillSentencePostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        reader: QAClient = self.reader
        given = [node for node in nodes if node.node.get_content().strip()]
        if query_bundle is None or not given:
            return nodes
        texts = [node.node.get_content() for node in given]
        kept = reader.prune(query_bundle.query_str, texts, tokens=self.tokens)
        found: list[NodeWithScore] = []
        for number, node in enumerate(given):
            own = [one for one in kept if one.source == number]
            if own:
                places = [{"start": o.start, "end": o.end, "score": o.score} for o in own]
                text = TextNode(
                    id_=node.node.node_id,
                    text=" ".join(one.text for one in own),
                    metadata={**node.node.metadata, "kept": places},
                    relationships=node.node.relationships,
                )
                found.append(NodeWithScore(node=text, score=node.score))
        return found
