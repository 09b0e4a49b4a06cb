"""`runtime.highlighting` over documents: sentences with the places they stand in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from potstill.records import Sentence
from potstill.retrieval.asking import Citation, citation, contexts_of
from potstill.retrieval.store import Hit
from potstill.runtime.asking import Request
from potstill.runtime.highlighting import Having, Plans
from potstill.runtime.plans import Plan
from potstill.runtime.qa import QAClient
from potstill.text.sentences import sentences
from potstill.text.tokenizer import Encoded


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that somebody said, and the sentences of documents that support it."""

    text: str
    start: int
    """Of it in the answer."""
    end: int
    sources: Sequence[Citation]
    """Best first; none where nothing supports it."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        sources = [one.to_dict("text") for one in self.sources]
        return {"text": self.text, "start": self.start, "end": self.end, "sources": sources}


def highlight(
    reader: QAClient, question: str, hits: Sequence[Hit], *, top_k: int | None = None
) -> list[Citation]:
    """The sentences of passages, those that answer a question first; see `QAClient.highlight`."""
    plans = Plans(reader.tokenizer, reader.options)
    return reader.run([placed_plan(reader, question, hits, plans.highlight)])[0][:top_k]


def prune(
    reader: QAClient, question: str, hits: Sequence[Hit], *, tokens: int | None = None
) -> list[Citation]:
    """The sentences that are worth keeping, in the order of the passages; see `QAClient.prune`."""
    plans = Plans(reader.tokenizer, reader.options)
    plan_of = partial(plans.prune, tokens=tokens)
    return reader.run([placed_plan(reader, question, hits, plan_of)])[0]


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
    plans = Plans(reader.tokenizer, reader.options)
    found = [
        claim_plan(reader, answer, span, passages(answer[slice(*span)]), plans, top_k=top_k)
        for span in sentences(answer)
    ]
    return reader.run(found)


def placed_plan(
    reader: QAClient,
    question: str,
    hits: Sequence[Hit],
    plan_of: Callable[[Request], Plan[list[Sentence]]],
) -> Plan[list[Citation]]:
    """What has to be run for sentences of passages with their places.

    Args:
        reader: that is to read them.
        question: to answer.
        hits: the passages; those that hold nothing readable are passed over.
        plan_of: `Plans.highlight`, or another that gives sentences.
    """
    contexts = contexts_of(reader, question, hits)
    kept = [i for i, context in enumerate(contexts) if len(context)]
    if not kept:
        return Plan((), lambda _: [])
    request = reader.request(question, [contexts[i] for i in kept])
    return plan_of(request).then(partial(_placed, [hits[i] for i in kept]))


def claim_plan(
    reader: QAClient,
    answer: str,
    span: tuple[int, int],
    hits: Sequence[Hit],
    plans: Plans,
    *,
    top_k: int = 1,
    pieces: Sequence[Encoded] | None = None,
) -> Plan[Claim]:
    """What has to be run to see what supports the sentence of an answer at ``span``.

    ``pieces``: the tokens of the passages, where they are known.
    """
    said = answer[slice(*span)]
    having = Having(reader.tokenizer, contexts_of(reader, said, hits, pieces=pieces))
    return plans.support(said, having, top_k=top_k).then(
        lambda found: Claim(said, *span, _placed(hits, found))
    )


def _placed(hits: Sequence[Hit], found: Sequence[Sentence]) -> list[Citation]:
    """Sentences with their places; one that two passages share comes once."""
    placed: dict[tuple[str, int], Citation] = {}
    for one in found:
        cited = citation(hits[one.source], one)
        placed.setdefault((cited.source, cited.start), cited)
    return list(placed.values())
