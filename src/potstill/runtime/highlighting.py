"""Which sentences of passages answer a question, or support what somebody said.

A sentence's score is the probability that the answer begins in it: the sum over the spans of all
passages, of the one distribution that answers are taken from. So no second model is needed, and
the scores of a question's sentences add up to 1 (with "no answer", where the model can say it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from potstill.errors import InputError
from potstill.records import Sentence
from potstill.runtime.asking import Context, PreparedContext, Request, prepare_all, requests
from potstill.runtime.plans import Plan
from potstill.runtime.reading import QuestionLogits, ReadOptions, plan
from potstill.text.sentences import sentences
from potstill.text.spans import start_scores
from potstill.text.tokenizer import Tokenizer

FloatArray = npt.NDArray[np.float64]

if TYPE_CHECKING:
    from potstill.runtime.qa import QAClient

ENOUGH = 0.98
"""`prune` keeps the fewest sentences whose scores add up to so much."""
SUPPORT = 0.6
"""Least score of a sentence that supports what was said."""
_SOFTER = 1.7
"""What the reader's temperature is multiplied by in `prune`: which sentence is first is known
better than how far it is ahead (both settings: docs/log.md)."""
_READ = 0.25
"""Weight of the reader in `cite`, beside that of the words."""
_NUMBER = re.compile(r"\d")
_CANDIDATES = 4
"""Sentences that the reader compares for each that is asked for: those with most of the words."""

PlanOf: TypeAlias = "Callable[[Request, ReadOptions], Plan[QuestionLogits]]"
"""Makes the plan of a request; `runtime.reading.plan`, or one that counts its windows first."""


@dataclass(frozen=True, slots=True)
class Support:
    """A sentence that somebody said, and the sentences of passages that support it."""

    text: str
    start: int
    """Of it in the answer."""
    end: int
    sources: tuple[Sentence, ...]
    """Best first; none where nothing supports it."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        sources = [one.to_dict() for one in self.sources]
        return {"text": self.text, "start": self.start, "end": self.end, "sources": sources}


def highlight(
    reader: QAClient,
    question: str,
    passages: Context | Sequence[Context],
    *,
    top_k: int | None = None,
    temperature: float | None = None,
) -> list[Sentence]:
    """The sentences of passages, those that answer a question first.

    Args:
        reader: that reads them.
        question: to answer.
        passages: a text, or several.
        top_k: most sentences; all by default.
        temperature: as of `QAClient.from_options`; by default the reader's.

    Raises:
        EmptyInputError: the question or a passage holds no text.
        QuestionTooLongError: the question leaves no room for a passage.
    """
    options = reader.options.updated({"temperature": temperature})
    return _run(reader, question, passages, Plans(reader.tokenizer, options).highlight)[:top_k]


def prune(
    reader: QAClient,
    question: str,
    passages: Context | Sequence[Context],
    *,
    tokens: int | None = None,
    enough: float = ENOUGH,
) -> list[Sentence]:
    """The sentences of passages that are worth keeping for a question, in their order.

    Args:
        reader: that reads them.
        question: to answer.
        passages: a text, or several.
        tokens: most tokens to keep, of the reader's tokenizer; without it as few sentences as
            have scores that add up to ``enough``.
        enough: share of the probability that is kept, above 0 and at most 1.

    Raises:
        InputError: an option is out of range.
        EmptyInputError: the question or a passage holds no text.
        QuestionTooLongError: the question leaves no room for a passage.
    """
    plans = Plans(reader.tokenizer, reader.options)
    return _run(reader, question, passages, partial(plans.prune, tokens=tokens, enough=enough))


def cite(
    reader: QAClient,
    answer: str,
    passages: Context | Sequence[Context],
    *,
    top_k: int = 1,
    least: float = SUPPORT,
) -> list[Support]:
    """For each sentence of an answer the sentences of passages that say so.

    A sentence supports another where it has its words, rare ones and numbers above all; where
    several do, the reader says which it would take the answer from. Whether a text is true is no
    matter of words: a sentence that denies another has most of its words.

    Args:
        reader: that reads them.
        answer: what was said, by a person or another model.
        passages: a text, or several.
        top_k: most sentences for each of the answer's.
        least: score from which a sentence counts, 0 to 1.

    Raises:
        EmptyInputError: the answer or a passage holds no text.
    """
    plans = Plans(reader.tokenizer, reader.options)
    having = Having(reader.tokenizer, prepare_all(reader.tokenizer, passages))
    spans = list(sentences(answer))
    found = reader.run(
        [plans.support(answer[a:b], having, top_k=top_k, least=least) for a, b in spans]
    )
    return [
        Support(answer[a:b], a, b, tuple(sources))
        for (a, b), sources in zip(spans, found, strict=True)
    ]


class Plans:
    """What has to be run to highlight, prune and cite; see the functions of those names."""

    def __init__(
        self, tokenizer: Tokenizer, options: ReadOptions, plan_of: PlanOf | None = None
    ) -> None:
        """``plan_of``: makes the plan of a request, by default `runtime.reading.plan`."""
        self._tokenizer = tokenizer
        self._options = options
        self._plan_of = plan_of or partial(plan, tokenizer)

    def highlight(self, request: Request) -> Plan[list[Sentence]]:
        """Gives all sentences, best first."""
        return self._scored(request, self._options).then(_ranked)

    def prune(
        self, request: Request, *, tokens: int | None = None, enough: float = ENOUGH
    ) -> Plan[list[Sentence]]:
        """Gives the sentences to keep, in the order of the passages.

        Raises:
            InputError: an option is out of range.
        """
        if tokens is not None and tokens < 1:
            raise InputError(f"tokens must be at least 1, not {tokens}")
        if not 0 < enough <= 1:
            raise InputError(f"enough must be above 0 and at most 1, not {enough}")
        softer = replace(self._options, temperature=_SOFTER * self._options.temperature)
        return self._scored(request, softer).then(
            lambda scored: _kept(_ranked(scored), tokens, enough)
        )

    def support(
        self, said: str, having: Having, *, top_k: int = 1, least: float = SUPPORT
    ) -> Plan[list[Sentence]]:
        """Gives the sentences that support one that was said, best first.

        Raises:
            EmptyInputError: what was said holds no text.
            QuestionTooLongError: it leaves no room for a passage.
        """
        shares = having.shares(said)
        best = np.argsort(-shares, kind="stable")[: _CANDIDATES * top_k]
        candidates = [having.found[int(i)] for i in best]

        def judged(read: FloatArray) -> list[Sentence]:
            scores = (1 - _READ) * shares[best] + _READ * read * shares[best]
            order = np.argsort(-scores, kind="stable")[:top_k]
            chosen = [replace(candidates[i], score=float(scores[i])) for i in order]
            return [one for one in chosen if one.score >= least]

        if len(candidates) < 2:
            return Plan((), lambda _: judged(np.ones(len(candidates))))
        (request,) = requests(self._tokenizer, [(said, having.alone(best))])
        return self._scored(request, self._options).then(
            lambda scored: judged(_reads(scored, len(candidates)))
        )

    def _scored(self, request: Request, options: ReadOptions) -> Plan[list[Sentence]]:
        return self._plan_of(request, options).then(partial(_scored, options=options))


class Having:
    """The sentences of passages, to be asked which of them have the words of another."""

    def __init__(self, tokenizer: Tokenizer, contexts: Sequence[PreparedContext]) -> None:
        self._tokenizer = tokenizer
        self.found: list[Sentence] = []
        """The sentences, without scores."""
        self._alone: dict[int, PreparedContext] = {}
        held: list[npt.NDArray[np.int64]] = []
        for number, context in enumerate(contexts):
            for one, inside in _sentences(number, context):
                held.append(context.encoded.ids[inside].astype(np.int64))
                self.found.append(one)
        sizes = [len(own) for own in held]
        of = np.repeat(np.arange(len(held), dtype=np.int64), sizes)
        ids = np.concatenate([np.zeros(0, np.int64), *held])
        # Every word of a sentence once, by word and then by sentence.
        both = np.unique(ids * max(1, len(held)) + of)
        self._held, self._of = np.divmod(both, max(1, len(held)))

    def alone(self, numbers: npt.NDArray[np.intp]) -> list[PreparedContext]:
        """Sentences as contexts of their own, each tokenized once however often it is asked for."""
        new = [int(i) for i in numbers if int(i) not in self._alone]
        texts = [self.found[i].text for i in new]
        for i, text, encoded in zip(new, texts, self._tokenizer.encode_batch(texts), strict=True):
            self._alone[i] = PreparedContext(text, encoded)
        return [self._alone[int(i)] for i in numbers]

    def shares(self, said: str) -> FloatArray:
        """The share of a sentence's words, by weight, that each of the sentences has, ``[n]``."""
        asked = np.unique(self._tokenizer.encode(said).ids)
        first = np.searchsorted(self._held, asked, "left")
        last = np.searchsorted(self._held, asked, "right")
        n = len(self.found)
        weights = np.log(1 + n / (last - first + 0.5))
        numbers = [bool(_NUMBER.search(token)) for token in self._tokenizer.tokens(asked)]
        weights = weights * np.where(numbers, 2.0, 1.0)
        shares = np.zeros(n)
        for weight, a, b in zip(weights, first, last, strict=True):
            shares[self._of[a:b]] += weight
        return shares / max(float(weights.sum()), 1e-9)


def _run(
    reader: QAClient,
    question: str,
    passages: Context | Sequence[Context],
    plan_of: Callable[[Request], Plan[list[Sentence]]],
) -> list[Sentence]:
    return reader.run([plan_of(reader.request(question, passages))])[0]


def _scored(said: QuestionLogits, options: ReadOptions) -> list[Sentence]:
    """All sentences of all contexts, in order."""
    scores = start_scores(
        said.windows,
        max_answer_tokens=options.max_answer_tokens,
        null_threshold=options.threshold,
        temperature=options.temperature,
    )
    found: list[Sentence] = []
    for number, context in enumerate(said.request.contexts):
        own = scores.get(number, np.zeros(len(context)))
        for one, inside in _sentences(number, context):
            found.append(replace(one, score=float(own[inside].sum())))
    return found


def _sentences(number: int, context: PreparedContext) -> Iterator[tuple[Sentence, slice]]:
    """The sentences of a context, without scores, and the tokens of each."""
    starts = context.encoded.offsets[:, 0]
    spans = list(sentences(context.text))
    edges = np.searchsorted(starts, np.array(spans, np.int64).reshape(-1, 2), "left").tolist()
    for (a, b), (first, last) in zip(spans, edges, strict=True):
        yield Sentence(context.text[a:b], 0.0, a, b, number, last - first), slice(first, last)


def _ranked(scored: Sequence[Sentence]) -> list[Sentence]:
    return sorted(scored, key=lambda one: (-one.score, one.source, one.start))


def _kept(ranked: Sequence[Sentence], tokens: int | None, enough: float) -> list[Sentence]:
    total = sum(one.score for one in ranked)
    kept: list[Sentence] = []
    held, mass = 0, 0.0
    for one in ranked:
        if tokens is None and kept and mass >= enough * total:
            break
        if tokens is not None and held + one.n_tokens > tokens:
            continue
        kept.append(one)
        held += one.n_tokens
        mass += one.score
    return sorted(kept, key=lambda one: (one.source, one.start))


def _reads(scored: Sequence[Sentence], n: int) -> FloatArray:
    """Each of ``n`` texts' share of the best score that the reader gives one, ``[n]``."""
    values = np.zeros(n)
    for one in scored:
        values[one.source] += one.score
    best = float(values.max(initial=0.0))
    return values / best if best > 0 else values
