"""Windows of many questions → logits → what each question's contexts say, as `Reading` values.

This is the engine behind `QAClient`: it knows tokens, windows and sessions, and nothing of
folders or of the forms in which callers ask.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from potstill.errors import InputError, QuestionTooLongError
from potstill.records import Answer
from potstill.runtime.asking import Request
from potstill.runtime.client import ClientOptions
from potstill.runtime.plans import Outputs, Plan, Row, check_finite
from potstill.text.rank import best_windows
from potstill.text.spans import Span, SpanResult, WindowLogits, search_many
from potstill.text.tokenizer import Encoded, PairLayout, Tokenizer
from potstill.text.windows import Window, assemble, windows

_NEVER = np.float32(-np.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions(ClientOptions):
    """How questions are read; see `QAClient.from_options` for what each means."""

    least: ClassVar[Mapping[str, int]] = {
        "seq_len": 1,
        "stride": 0,
        "max_answer_tokens": 1,
        "token_budget": 1,
        "top_k": 1,
        "max_windows": 1,
    }

    stride: int = 128
    max_answer_tokens: int = 30
    no_answer: bool = False
    null_threshold: float = 0.0
    temperature: float = 1.0
    tidy_questions: bool = False
    """Mend a question before it is read; see `potstill.runtime.asking.requests`."""
    top_k: int = 1
    align_to_words: bool = False
    max_windows: int | None = None
    """Read only this many windows of a question, those that BM25 ranks best."""

    def check(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise InputError(f"temperature must be a number above 0, not {self.temperature}")

    @property
    def threshold(self) -> float | None:
        """The null threshold, where "no answer" is allowed."""
        return self.null_threshold if self.no_answer else None


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was found for one question."""

    spans: tuple[Answer, ...]
    """The best spans, best first, whether or not "no answer" was thought better."""
    null_score: float
    """Probability of "no answer"; 0 where it was not allowed."""
    null_odds: float
    """Logit of "no answer" less that of the best span, as SQuAD v2.0's null odds."""
    is_null: bool
    """Whether "no answer" was allowed and its odds are above the threshold."""
    n_windows: int
    """Windows that cover all contexts."""
    n_read: int
    """Windows that were read: fewer where ``max_windows`` left some out."""

    @property
    def answers(self) -> list[Answer]:
        """The answers, best first; none where "no answer" won."""
        return [] if self.is_null else list(self.spans)


@dataclass(frozen=True, slots=True, eq=False)
class QuestionLogits:
    """What a model said about one question, to be searched as often as one likes."""

    request: Request
    windows: Sequence[WindowLogits]
    """Of the windows that were read."""
    n_windows: int
    """Windows that cover all contexts."""

    def search(self, options: ReadOptions) -> Reading:
        """Finds the answers; which windows were read is settled, the rest is as ``options`` say."""
        return search_all([self], options)[0]

    def reading(self, result: SpanResult, options: ReadOptions) -> Reading:
        """The spans that `search` found, as answers."""
        odds = result.null_logit - result.spans[0].logit if result.spans else float("inf")
        spans = [_answer(self.request, span, options.align_to_words) for span in result.spans]
        return Reading(
            tuple(_apart(spans)[: options.top_k]),
            result.null_score,
            odds,
            options.no_answer and odds > options.null_threshold,
            self.n_windows,
            len(self.windows),
        )


def search_all(said: Sequence[QuestionLogits], options: ReadOptions) -> list[Reading]:
    """`QuestionLogits.search` of many questions, which takes less time than one by one."""
    results = search_many(
        [one.windows for one in said],
        # Widened spans may fall together, so some are kept in hand; the best of them never goes.
        top_k=options.top_k * 4 if options.align_to_words and options.top_k > 1 else options.top_k,
        max_answer_tokens=options.max_answer_tokens,
        null_threshold=options.threshold,
        temperature=options.temperature,
    )
    return [one.reading(result, options) for one, result in zip(said, results, strict=True)]


def merged(said: Sequence[QuestionLogits], most: int | None = None) -> QuestionLogits:
    """What a model said of one question and several groups of contexts, as one.

    Args:
        said: of each group, in order.
        most: contexts whose windows are kept, those with the best spans; all by default.
    """
    contexts = [context for one in said for context in one.request.contexts]
    windows: list[WindowLogits] = []
    first = 0
    for one in said:
        windows += [replace(w, context=w.context + first) for w in one.windows]
        first += len(one.request.contexts)
    if most is not None and len(contexts) > most:
        best = np.full(len(contexts), -np.inf)
        for w in windows:
            top = float(w.start.max(initial=-np.inf)) + float(w.end.max(initial=-np.inf))
            best[w.context] = max(best[w.context], top)
        kept = set(np.argsort(-best, kind="stable")[:most].tolist())
        windows = [w for w in windows if w.context in kept]
    request = replace(said[0].request, contexts=contexts)
    return QuestionLogits(request, windows, sum(one.n_windows for one in said))


def plan(tokenizer: Tokenizer, request: Request, options: ReadOptions) -> Plan[QuestionLogits]:
    """The windows of a request that are to be read, and what is made of what a model says of them.

    Raises:
        QuestionTooLongError: the question leaves no room for context.
    """
    covering = _windows(request, options, tokenizer.layout)
    chosen = _choose(request, covering, options.max_windows)

    def finish(said: Sequence[Outputs]) -> QuestionLogits:
        logits = [_said(request, w, one) for w, one in zip(chosen, said, strict=True)]
        return QuestionLogits(request, logits, len(covering))

    return Plan([_row(tokenizer, request, window) for window in chosen], finish)


def _windows(request: Request, options: ReadOptions, layout: PairLayout) -> list[Window]:
    n_question = len(request.question)
    try:
        return [
            window
            for index, context in enumerate(request.contexts)
            for window in windows(
                0,
                index,
                n_question,
                len(context),
                seq_len=options.seq_len,
                stride=options.stride,
                layout=layout,
            )
        ]
    except QuestionTooLongError as error:
        raise QuestionTooLongError(str(error).replace("the question", request.name, 1)) from None


def _choose(request: Request, own: list[Window], most: int | None) -> list[Window]:
    if most is None or len(own) <= most:
        return own
    pieces = [request.contexts[w.context].encoded.ids[w.start : w.stop] for w in own]
    return [own[i] for i in best_windows(request.question.ids, pieces, most)]


def _row(tokenizer: Tokenizer, request: Request, window: Window) -> Row:
    context = request.contexts[window.context].encoded
    return Row(assemble(tokenizer, request.question, context, window), window.context_at)


def _said(request: Request, window: Window, outputs: Outputs) -> WindowLogits:
    """Logits of the window's slice of its context."""
    part = slice(window.context_at, window.context_at + window.stop - window.start)
    kept = window.context_at + window.stop - window.start + 1
    start, end = (output[:kept] for output in outputs)
    check_finite(start, end)
    starts, ends = start[part], end[part]
    context = request.contexts[window.context]
    blank, bare = (kind[window.start : window.stop] for kind in (context.blank, context.bare))
    if blank.any():  # no answer begins or ends with one
        starts, ends = (np.where(blank, _NEVER, logits) for logits in (starts, ends))
    if isinstance(context.prior, np.ndarray):
        starts = starts + context.prior[window.start : window.stop]
    elif context.prior:
        starts = starts + np.float32(context.prior)
    null = float(start[0]) + float(end[0])
    apart = context.paragraphs
    paragraphs = None if apart is None else apart[window.start : window.stop]
    return WindowLogits(window.context, window.start, starts, ends, null, bare, paragraphs)


def _answer(request: Request, span: Span, align_to_words: bool) -> Answer:
    context = request.contexts[span.context]
    encoded = context.encoded
    first, last = span.start, span.stop - 1
    if align_to_words:
        first, last = _widen(encoded, first, last)
    start, end = int(encoded.offsets[first, 0]), int(encoded.offsets[last, 1])
    end = with_marks(context.text, end, encoded, last + 1)
    return Answer(context.text[start:end], span.score, start, end, span.context)


def _widen(encoded: Encoded, first: int, last: int) -> tuple[int, int]:
    """Moves both ends outward to the ends of the words they are in."""
    words = encoded.words
    while first > 0 and words[first] >= 0 and words[first - 1] == words[first]:
        first -= 1
    while last + 1 < len(words) and words[last] >= 0 and words[last + 1] == words[last]:
        last += 1
    return first, last


def with_marks(text: str, end: int, encoded: Encoded, following: int) -> int:
    """Takes in the combining marks of the last letter.

    A tokenizer that strips accents gives a trailing mark to no token, and without it an answer
    would end inside what a reader sees as one letter.
    """
    limit = int(encoded.offsets[following, 0]) if following < len(encoded) else len(text)
    while end < limit and unicodedata.category(text[end]).startswith("M"):
        end += 1
    return end


def _apart(answers: Sequence[Answer]) -> list[Answer]:
    """Leaves out answers that overlap a better one.

    Spans never do, but two of them may widen to the same words, and where tokens are bytes two may
    share a character.
    """
    kept: list[Answer] = []
    for answer in answers:
        if not any(
            answer.source == other.source and answer.start < other.end and other.start < answer.end
            for other in kept
        ):
            kept.append(answer)
    return kept
