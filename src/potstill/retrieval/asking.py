"""A question and the passages that are likely to answer it → answers with their places."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from potstill.documents.document import APART, ENTRY, Document, Place
from potstill.errors import EmptyInputError
from potstill.records import Answer, Sentence
from potstill.retrieval.passages import PARAGRAPH_END, chunks
from potstill.retrieval.priors import prior
from potstill.retrieval.store import Hit
from potstill.retrieval.whole import whole
from potstill.runtime.asking import PreparedContext, Request
from potstill.runtime.plans import Plan
from potstill.runtime.qa import QAClient
from potstill.runtime.reading import QuestionLogits, ReadOptions, merged
from potstill.text.tokenizer import Encoded, IntArray

WINDOWS = 32
"""Passages that are read of many."""
_PRIOR = 6.0
"""Logits that a passage's rank (see `retrieval.ranking.rank`) is worth: chosen on SQuAD's training
articles (docs/log.md)."""
_MORE = 0.5
"""By how much less "no answer" has to be ahead, for each e-fold of the passages that are read: as
much as cost none of the right answers on SQuAD's training articles (docs/log.md)."""
_BORDER = re.compile(f"{PARAGRAPH_END.pattern}|{ENTRY.pattern}")
_CELL = re.compile(rf"{re.escape(APART)}|\n")
"""What no answer goes across, in text and in tables."""
_JUNK = re.compile(r"[\W_]*\w?[\W_]*")
_GROUP = 64
"""Passages whose tokens are held at the same time."""
_KEPT = 128
"""Passages whose answers are compared, those with the best: of all, to a last digit."""
_SPARE = 3
"""Answers that are searched for each that is asked for: some are junk."""


@dataclass(frozen=True, slots=True)
class Citation:
    """An answer out of a document, and where it stands.

    ``document.text[start:end] == text`` always holds for the text that was read of the document.
    """

    text: str
    score: float
    """Probability of this span among all spans of all passages that were read."""
    start: int
    end: int
    source: str
    """Name of the document."""
    place: Place
    passage: str = field(repr=False)
    """The text around it, as it was read."""
    passage_start: int = field(repr=False)
    """Where ``passage`` begins in the document."""
    title: str = ""
    """What the document calls itself."""

    def to_dict(self, text: str = "answer") -> dict[str, Any]:
        """As JSON has it, its words under the key ``text``."""
        return {
            text: self.text,
            "score": self.score,
            "start": self.start,
            "end": self.end,
            "source": self.source,
            **self.place.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for a question in documents."""

    citations: Sequence[Citation]
    """Best first; none where there is no answer."""
    n_read: int
    """Passages that were read."""
    n_passages: int
    """Passages there are."""


def passages_of(documents: Iterable[Document]) -> list[Hit]:
    """All passages of documents, without a search."""
    return [
        Hit(document.name, document.title, chunk, number, 0.0)
        for document in documents
        for chunk in chunks(document)
        for number in range(len(chunk.passages))
    ]


def read_passages(
    reader: QAClient,
    question: str,
    hits: Sequence[Hit],
    *,
    pieces: Sequence[Encoded] | None = None,
    top_k: int = 1,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> list[Citation]:
    """Reads passages and gives the answers, best first; none where "no answer" wins.

    Args:
        reader: that reads them.
        question: to answer.
        hits: the passages.
        pieces: their tokens, where they are known.
        top_k: most answers.
        progress: called with the passages that were read, and with all of them.
        **options: any other of `potstill.runtime.reading.ReadOptions`.
    """
    best = max((hit.rank for hit in hits), default=0.0)
    doubts = reader.options.no_answer
    kept: list[Hit] = []
    said: list[QuestionLogits] = []
    for first in range(0, len(hits), _GROUP):
        own = hits[first : first + _GROUP]
        encoded = pieces[first : first + _GROUP] if pieces else None
        group = contexts_of(reader, question, own, pieces=encoded, best=best)
        kept += [hit for hit, context in zip(own, group, strict=True) if len(context)]
        asked = [(question, context) for context in group if len(context)]
        found = reader.logits_many(asked, **options)
        said += map(_beside_doubt, found) if doubts else found
        if progress is not None:
            progress(min(first + _GROUP, len(hits)), len(hits))
    if not said:
        raise EmptyInputError(f"there is no text to ask: {hits[0].name} holds nothing readable")
    return _answers(merged(said, _KEPT), kept, reader.options.updated(options), top_k)


def answer_plan(
    reader: QAClient,
    question: str,
    hits: Sequence[Hit],
    plan_of: Callable[[Request, ReadOptions], Plan[QuestionLogits]],
    *,
    pieces: Sequence[Encoded],
    top_k: int = 1,
    **options: Any,
) -> Plan[list[Citation]]:
    """What has to be run for the answers of `read_passages`, of not too many passages.

    Args:
        reader: that is to read them.
        question: to answer.
        hits: the passages; those that hold nothing readable are passed over.
        plan_of: makes the plan of a request, as `runtime.reading.plan` does.
        pieces: their tokens.
        top_k: most answers.
        **options: as of `read_passages`.
    """
    contexts = contexts_of(reader, question, hits, pieces=pieces)
    kept = [i for i, context in enumerate(contexts) if len(context)]
    if not kept:
        return Plan((), lambda _: [])
    chosen = reader.options.updated(options)
    request = reader.request(question, [contexts[i] for i in kept])
    read = [hits[i] for i in kept]
    doubts = reader.options.no_answer

    def finish(said: QuestionLogits) -> list[Citation]:
        return _answers(_beside_doubt(said) if doubts else said, read, chosen, top_k)

    return plan_of(request, chosen).then(finish)


def _beside_doubt(said: QuestionLogits) -> QuestionLogits:
    """Spans of each passage with their logits less that of its own "no answer".

    A reader that was taught to doubt knows how well a passage answers: what it would say there is
    compared with what it would say elsewhere, and not with the doubt of another passage.
    """
    nulls: dict[int, float] = {}
    for window in said.windows:
        nulls[window.context] = min(nulls.get(window.context, np.inf), window.null)
    windows = [
        replace(one, start=one.start - np.float32(nulls[one.context]), null=0.0)
        for one in said.windows
    ]
    return replace(said, windows=windows)


def _answers(
    said: QuestionLogits, hits: Sequence[Hit], options: ReadOptions, top_k: int
) -> list[Citation]:
    # Of many passages one is more likely to look like an answer that is none.
    threshold = options.null_threshold - _MORE * math.log(len(hits))
    reading = said.search(
        replace(options, null_threshold=threshold, top_k=1 if top_k == 1 else top_k * _SPARE)
    )
    found = [
        citation(hits[one.source], whole(hits[one.source].text, one)) for one in reading.answers
    ]
    # A stop is no answer, and a single letter no second one.
    shown = [one for one in found if any(map(str.isalnum, one.text))]
    shown = [one for i, one in enumerate(shown) if i == 0 or not _JUNK.fullmatch(one.text)]
    return _different(shown)[:top_k]


def contexts_of(
    reader: QAClient,
    question: str,
    hits: Sequence[Hit],
    *,
    pieces: Sequence[Encoded] | None = None,
    best: float | None = None,
) -> list[PreparedContext]:
    """Passages as contexts, each with what its rank is worth, and where its paragraphs end.

    Args:
        reader: that is to read them.
        question: that is asked.
        hits: the passages.
        pieces: their tokens, where they are known.
        best: the largest rank of all passages; by default of these.
    """
    texts = [hit.text for hit in hits]
    encoded = pieces or reader.tokenizer.encode_batch(texts)
    top = max((hit.rank for hit in hits), default=0.0) if best is None else best
    return [
        PreparedContext(
            text,
            tokens,
            prior(question, text, tokens, _PRIOR * (hit.rank - top)),
            _paragraphs(text, tokens),
        )
        for hit, text, tokens in zip(hits, texts, encoded, strict=True)
    ]


def _paragraphs(text: str, encoded: Encoded) -> IntArray:
    borders = [match.end() for match in (_CELL if APART in text else _BORDER).finditer(text)]
    return np.searchsorted(np.array(borders, np.int32), encoded.offsets[:, 0], "right").astype(
        np.int32
    )


def citation(hit: Hit, answer: Answer | Sentence) -> Citation:
    """A part of a passage, with its place in the document."""
    start, _ = hit.span
    at = hit.chunk.start + start
    return Citation(
        answer.text,
        answer.score,
        at + answer.start,
        at + answer.end,
        hit.name,
        hit.chunk.place(start + answer.start),
        hit.text,
        at,
        hit.title,
    )


def _different(found: Sequence[Citation]) -> list[Citation]:
    """Without what two passages that share a sentence both gave."""
    kept: list[Citation] = []
    for one in found:
        if not any(
            one.source == other.source and one.start < other.end and other.start < one.end
            for other in kept
        ):
            kept.append(one)
    return kept
