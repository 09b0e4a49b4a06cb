"""Which sentences of passages answer a question, or support what somebody said.

A sentence's score is the probability that the answer begins in it: the sum over the spans of all
passages, of the one distribution that answers are taken from. So no second model is needed, and
the scores of a question's sentences add up to 1 (with "no answer", where the model can say it).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from potstill.errors import InputError
from potstill.records import Sentence
from potstill.runtime.asking import Context, PreparedContext, prepare_all
from potstill.text.sentences import sentences
from potstill.text.spans import start_scores
from potstill.text.tokenizer import Encoded

FloatArray = npt.NDArray[np.float64]

if TYPE_CHECKING:
    from potstill.runtime.qa import QAClient

ENOUGH = 0.98
"""`prune` keeps the fewest sentences whose scores add up to so much."""
SUPPORT = 0.6
"""Least score of a sentence that supports what was said."""
_SOFTER = 1.5
"""What the reader's temperature is multiplied by in `prune`: which sentence is first is known
better than how far it is ahead (both settings: docs/log.md)."""
_READ = 0.25
"""Weight of the reader in `cite`, beside that of the words."""
_NUMBER = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Support:
    """A sentence that somebody said, and the sentences of passages that support it."""

    text: str
    start: int
    """Of it in the answer."""
    end: int
    sources: tuple[Sentence, ...]
    """Best first; none where nothing supports it."""


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
    contexts = prepare_all(reader.tokenizer, passages)
    scored = _scored(reader, question, contexts, temperature)
    return sorted(scored, key=lambda one: (-one.score, one.source, one.start))[:top_k]


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
    if tokens is not None and tokens < 1:
        raise InputError(f"tokens must be at least 1, not {tokens}")
    if not 0 < enough <= 1:
        raise InputError(f"enough must be above 0 and at most 1, not {enough}")
    ranked = highlight(reader, question, passages, temperature=_SOFTER * reader.options.temperature)
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
    contexts = prepare_all(reader.tokenizer, passages)
    spans = [(i, a, b) for i, one in enumerate(contexts) for a, b in sentences(one.text)]
    texts = [contexts[i].text[a:b] for i, a, b in spans]
    encoded = [_slice(contexts[i].encoded, a, b) for i, a, b in spans]
    supports: list[Support] = []
    for start, end in sentences(answer):
        said = answer[start:end]
        shares = _shares(reader, said, encoded)
        best = np.argsort(-shares, kind="stable")[: 4 * top_k]
        read = _reads(reader, said, [texts[i] for i in best]) if len(best) > 1 else np.ones(1)
        scores = (1 - _READ) * shares[best] + _READ * read * shares[best]
        order = np.argsort(-scores, kind="stable")[:top_k]
        found = [
            Sentence(texts[i], float(score), spans[i][1], spans[i][2], spans[i][0], len(encoded[i]))
            for i, score in ((int(best[j]), scores[j]) for j in order)
            if score >= least
        ]
        supports.append(Support(said, start, end, tuple(found)))
    return supports


def _scored(
    reader: QAClient,
    question: str,
    contexts: Sequence[PreparedContext],
    temperature: float | None,
) -> list[Sentence]:
    options: dict[str, Any] = {"temperature": temperature}
    chosen = reader.options.updated(options)
    (said,) = reader.logits_many([(question, contexts)], **options)
    scores = start_scores(
        said.windows,
        max_answer_tokens=chosen.max_answer_tokens,
        null_threshold=chosen.threshold,
        temperature=chosen.temperature,
    )
    found: list[Sentence] = []
    for number, context in enumerate(contexts):
        own = scores.get(number, np.zeros(len(context)))
        starts = context.encoded.offsets[:, 0]
        for a, b in sentences(context.text):
            inside = (starts >= a) & (starts < b)
            mass = float(own[inside[: len(own)]].sum())
            found.append(Sentence(context.text[a:b], mass, a, b, number, int(inside.sum())))
    return found


def _slice(encoded: Encoded, start: int, end: int) -> Encoded:
    inside = (encoded.offsets[:, 0] >= start) & (encoded.offsets[:, 0] < end)
    return Encoded(encoded.ids[inside], encoded.offsets[inside], encoded.words[inside])


def _shares(reader: QAClient, said: str, encoded: Sequence[Encoded]) -> FloatArray:
    """The share of a sentence's words, by weight, that each of others has, ``[n]``."""
    asked = np.unique(reader.tokenizer.encode(said).ids)
    having = np.array([np.isin(asked, one.ids) for one in encoded], np.float64)
    having = having.reshape(len(encoded), len(asked))
    weights = np.log(1 + len(encoded) / (having.sum(axis=0) + 0.5))
    numbers = [bool(_NUMBER.search(token)) for token in reader.tokenizer.tokens(asked)]
    weights = weights * np.where(numbers, 2.0, 1.0)
    return having @ weights / max(float(weights.sum()), 1e-9)


def _reads(reader: QAClient, said: str, texts: Sequence[str]) -> FloatArray:
    """Each text's share of the best score that the reader gives one, ``[n]``."""
    contexts = [reader.prepare(text) for text in texts]
    scores: dict[int, float] = {}
    for one in _scored(reader, said, contexts, None):
        scores[one.source] = scores.get(one.source, 0.0) + one.score
    values = np.array([scores.get(i, 0.0) for i in range(len(texts))])
    best = float(values.max(initial=0.0))
    return values / best if best > 0 else values
