"""What a bulk job may ask a reader beside the answer in a row's own context.

The sentences that answer, are worth keeping or support a claim (`runtime.highlighting`), of the
row's context; and all of them, answers too, of the documents of an index (`retrieval`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from potstill.errors import InputError
from potstill.records import Sentence
from potstill.retrieval import highlighting
from potstill.retrieval.asking import WINDOWS, Citation
from potstill.retrieval.index import Index
from potstill.runtime.qa import QAClient
from potstill.tasks.task import Values

if TYPE_CHECKING:
    from potstill.scale.predict import PredictOptions

GIVES = ("answer", "highlight", "prune", "cite")
TOP_K = {"highlight": 3, "cite": 1}
"""Most sentences of a row, and of each claim of one, where nobody says otherwise."""
_PLACE = {"source": "string", "page": "int64", "sheet": "string", "row": "int64", "line": "int64"}
_KINDS: Mapping[str, Mapping[str, str]] = {
    "answer": {
        **{"answer": "string", "score": "double", "start": "int64", "end": "int64"},
        **_PLACE,
        "heading": "string",
    },
    "highlight": {"sentences": "list<sentence>"},
    "prune": {"sentences": "list<sentence>"},
    "cite": {"claims": "list<claim>"},
}


class Asking:
    """Asks a reader of one row after the other."""

    def __init__(self, client: QAClient, options: PredictOptions) -> None:
        """Opens the index, where one is asked.

        Raises:
            IndexDataError: there is none, or it is damaged or of another version.
        """
        self._client = client
        self._give = options.give
        self._tokens = options.tokens
        self._top_k = options.top_k or TOP_K.get(options.give)
        self._index = Index.open(options.index) if options.index else None

    @property
    def kinds(self) -> Mapping[str, str]:
        """Name of each new column → its type, as Arrow writes it."""
        return _KINDS[self._give]

    def values(self, texts: Sequence[str]) -> Values:
        """The new columns of a row.

        Args:
            texts: the question or, of `cite`, the answer, and the context where there is no index.

        Raises:
            InputError: the row cannot be read.
        """
        if self._give == "answer":
            return self._answered(texts[0])
        if self._index is None:
            return self._of_context(texts[0], texts[1])
        return self._of_documents(texts[0], self._index)

    def _answered(self, question: str) -> Values:
        assert self._index is not None
        citations = self._index.ask(question, self._client).citations
        found = self._named(citations[0]).to_dict() if citations else {}
        return {name: found.get(name) for name in self.kinds}

    def _of_context(self, asked: str, context: str) -> Values:
        client = self._client
        if self._give == "cite":
            claims = client.cite(asked, context, top_k=self._top_k or 1)
            return {
                "claims": [
                    {**claim.to_dict(), "sources": [_plain(one) for one in claim.sources]}
                    for claim in claims
                ]
            }
        sentences = (
            client.prune(asked, context, tokens=self._tokens)
            if self._give == "prune"
            else client.highlight(asked, context, top_k=self._top_k)
        )
        return {"sentences": [_plain(one) for one in sentences]}

    def _of_documents(self, asked: str, index: Index) -> Values:
        client = self._client
        if self._give == "cite":
            claims = highlighting.cite(
                client,
                asked,
                lambda said: index.search(said, WINDOWS, reader=client),
                top_k=self._top_k or 1,
            )
            return {
                "claims": [
                    {**claim.to_dict(), "sources": self._sentences(claim.sources)}
                    for claim in claims
                ]
            }
        hits = index.search(asked, WINDOWS, reader=client)
        found = (
            highlighting.prune(client, asked, hits, tokens=self._tokens)
            if self._give == "prune"
            else highlighting.highlight(client, asked, hits, top_k=self._top_k)
        )
        return {"sentences": self._sentences(found)}

    def _sentences(self, found: Sequence[Citation]) -> list[dict[str, Any]]:
        return [self._named(one).to_dict("text") for one in found]

    def _named(self, one: Citation) -> Citation:
        """With the name below the folder of the index, which is the same wherever it lies."""
        assert self._index is not None
        return replace(one, source=self._index.name_of(one.source))


def _plain(one: Sentence) -> dict[str, Any]:
    """A sentence of the row's own context."""
    return {"text": one.text, "score": one.score, "start": one.start, "end": one.end}


def columns_of(options: PredictOptions) -> tuple[str, ...]:
    """The columns that a job of a reader reads."""
    first = "answer" if options.give == "cite" else "question"
    return (first,) if options.index else (first, "context")


def check(options: PredictOptions) -> None:
    """Refuses options that do not go together.

    Raises:
        InputError: they do not.
    """
    if options.give not in GIVES:
        raise InputError(f"{options.give!r} is not one of {', '.join(GIVES)}")
    if options.tokens is not None and options.give != "prune":
        raise InputError("tokens are of prune alone: omit them, or give prune")
    if options.top_k is not None and options.give not in TOP_K:
        raise InputError(f"top_k is of {' and '.join(TOP_K)}: omit it")


def documents_fingerprint(index: str) -> str:
    """Changes where any document of an index does, or how it was read.

    Raises:
        IndexDataError: there is no index, or it is damaged or of another version.
    """
    digest = hashlib.sha256()
    for record in Index.open(index).files():
        line = f"{record.name}\0{record.sha256}\0{record.reading}\n"
        digest.update(line.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
