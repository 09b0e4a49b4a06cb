"""`runtime.highlighting` over documents: sentences with the places they stand in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from potstill.records import Sentence
from potstill.retrieval.asking import Citation, citation, contexts_of
from potstill.retrieval.store import Hit
from potstill.runtime.asking import PreparedContext
from potstill.runtime.qa import QAClient
from potstill.text.sentences import sentences


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that somebody said, and the sentences of documents that support it."""

    text: str
    start: int
    """Of it in the answer."""
    end: int
    sources: Sequence[Citation]
    """Best first; none where nothing supports it."""


def highlight(
    reader: QAClient, question: str, hits: Sequence[Hit], *, top_k: int | None = None
) -> list[Citation]:
    """The sentences of passages, those that answer a question first; see `QAClient.highlight`."""
    read, contexts = _read(reader, question, hits)
    found = reader.highlight(question, contexts) if contexts else []
    return _placed(read, found)[:top_k]


def prune(
    reader: QAClient, question: str, hits: Sequence[Hit], *, tokens: int | None = None
) -> list[Citation]:
    """The sentences that are worth keeping, in the order of the passages; see `QAClient.prune`."""
    read, contexts = _read(reader, question, hits)
    return _placed(read, reader.prune(question, contexts, tokens=tokens) if contexts else [])


def cite(
    reader: QAClient,
    answer: str,
    passages: Callable[[str], Sequence[Hit]],
    *,
    top_k: int = 1,
) -> list[Claim]:
    """For each sentence of an answer the sentences of documents that say so; see `QAClient.cite`.

    Args:
        reader: that reads them.
        answer: what was said.
        passages: gives the passages to look for a sentence in.
        top_k: most sentences for each of the answer's.
    """
    claims: list[Claim] = []
    for start, end in sentences(answer):
        said = answer[start:end]
        hits = passages(said)
        supports = reader.cite(said, [hit.text for hit in hits], top_k=top_k) if hits else []
        found = [one for support in supports for one in support.sources]
        claims.append(Claim(said, start, end, _placed(hits, found)))
    return claims


def _read(
    reader: QAClient, question: str, hits: Sequence[Hit]
) -> tuple[list[Hit], list[PreparedContext]]:
    """The passages that hold something readable, and what is read of them."""
    contexts = contexts_of(reader, question, hits)
    kept = [i for i, context in enumerate(contexts) if len(context)]
    return [hits[i] for i in kept], [contexts[i] for i in kept]


def _placed(hits: Sequence[Hit], found: Sequence[Sentence]) -> list[Citation]:
    """Sentences with their places; one that two passages share comes once."""
    placed: dict[tuple[str, int], Citation] = {}
    for one in found:
        cited = citation(hits[one.source], one)
        placed.setdefault((cited.source, cited.start), cited)
    return list(placed.values())
