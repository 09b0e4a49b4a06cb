"""Start and end logits of windows → the best spans of the contexts they cover.

All windows of all contexts asked share **one** distribution: the probability of a span is
``exp(start + end)`` over the sum of the same for every allowed span (and for "no answer", where
the model was trained to give it), so scores compare across windows and documents.

A span that several windows see counts once, with the logit of the window that shows most of what
stands around it (the higher one of two that show as much): an answer cut off by a window's edge
cannot beat the whole one that the next window sees. That is the rule of the original BERT decoder
(google-research/bert, run_squad.py, ``_check_is_max_context``), applied to spans instead of tokens.
A span of punctuation and blanks alone is not an answer.

"No answer" is worth its logit less the null threshold, so that it has the greater probability just
where it wins over the best span.

A temperature divides the logits before they become probabilities. It moves the scores of a model
that is too sure of itself to where they are right as often as they say, and changes no answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_TOGETHER = 16
"""Windows that `search_many` searches at once: with SQuAD's lengths and 30 tokens of an answer
their bands take a megabyte, what a second-level cache holds."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowLogits:
    """What a model said about one window's context slice.

    Attributes:
        context: which context the slice belongs to.
        at: index of the slice's first token in its context.
        start: start logits of the slice's tokens, float32 ``[n]``.
        end: end logits of the same tokens, float32 ``[n]``.
        null: start + end logit of the ``[CLS]`` token.
        bare: True for tokens of punctuation and blanks alone, bool ``[n]``; ``None`` for none.
        paragraphs: number of each token's paragraph, rising, int32 ``[n]``, where no span may go
            beyond one; ``None`` where spans may.
    """

    context: int
    at: int
    start: FloatArray
    end: FloatArray
    null: float = 0.0
    bare: npt.NDArray[np.bool_] | None = None
    paragraphs: npt.NDArray[np.int32] | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens ``[start, stop)`` of a context, with their probability and summed logit."""

    context: int
    start: int
    stop: int
    score: float
    logit: float


@dataclass(frozen=True, slots=True)
class SpanResult:
    """The best spans of one question, best first, and what was said for "no answer"."""

    spans: list[Span]
    null_score: float
    """Probability of "no answer"; 0 where null is not allowed."""
    null_logit: float
    """Least null logit over the windows, whether or not null is allowed."""


def search(
    windows: Sequence[WindowLogits],
    *,
    top_k: int = 1,
    max_answer_tokens: int = 30,
    null_threshold: float | None = None,
    temperature: float = 1.0,
) -> SpanResult:
    """Finds the best spans of one question.

    The result does not depend on the order of ``windows``. Spans of the answer never overlap one
    another. Ties go to the first context, then the first start, then the shortest span.

    Args:
        windows: logits of every window of the question.
        top_k: most spans to return.
        max_answer_tokens: longest span, in tokens.
        null_threshold: by how much the logit of "no answer" has to be above that of a span to be
            worth as much; ``None`` where "no answer" takes no part. Its logit is the minimum over
            windows, as in SQuAD v2.0's reference decoding.
        temperature: probabilities are those of the logits divided by it; above 0.
    """
    bands = {
        context: _band([w for w in windows if w.context == context], max_answer_tokens)
        for context in sorted({w.context for w in windows})
    }
    null_logit = min((float(w.null) for w in windows), default=-math.inf)
    top = max((float(band.max(initial=-math.inf)) for band in bands.values()), default=-math.inf)
    null = -math.inf if null_threshold is None else null_logit - null_threshold
    top = max(top, null)
    if top == -math.inf:
        return SpanResult([], 0.0, null_logit)
    total = sum(float(_masses(band, top, temperature).sum()) for band in bands.values())
    null_mass = math.exp((null - top) / temperature)
    total += null_mass
    spans = [
        Span(context, start, stop, math.exp((logit - top) / temperature) / total, logit)
        for context, start, stop, logit in _best(bands, top_k)
    ]
    return SpanResult(spans, null_mass / total, null_logit)


def start_scores(
    windows: Sequence[WindowLogits],
    *,
    max_answer_tokens: int = 30,
    null_threshold: float | None = None,
    temperature: float = 1.0,
) -> dict[int, npt.NDArray[np.float64]]:
    """Probability that the answer begins at each token of each context, by context ``[n_tokens]``.

    The sum over all spans that begin there, in the distribution of `search`; arguments as there.
    """
    bands = {
        context: _band([w for w in windows if w.context == context], max_answer_tokens)
        for context in sorted({w.context for w in windows})
    }
    null = -math.inf
    if null_threshold is not None:
        null = min((float(w.null) for w in windows), default=-math.inf) - null_threshold
    top = max((float(band.max(initial=-math.inf)) for band in bands.values()), default=-math.inf)
    top = max(top, null)
    if top == -math.inf:
        return {context: np.zeros(len(band)) for context, band in bands.items()}
    masses = {
        context: _masses(band, top, temperature).sum(axis=1) for context, band in bands.items()
    }
    total = sum(float(mass.sum()) for mass in masses.values()) + math.exp(
        (null - top) / temperature
    )
    return {context: mass / total for context, mass in masses.items()}


def search_many(
    questions: Sequence[Sequence[WindowLogits]],
    *,
    top_k: int = 1,
    max_answer_tokens: int = 30,
    null_threshold: float | None = None,
    temperature: float = 1.0,
) -> list[SpanResult]:
    """`search` of many questions, which takes the same options.

    The best span of each question that one window holds is found for several of them at once. What
    is found for a question does not depend on the others.
    """
    found: dict[int, SpanResult] = {}
    if top_k == 1:
        whole = [i for i, own in enumerate(questions) if _is_whole(own, max_answer_tokens)]
        whole.sort(key=lambda i: len(questions[i][0].start))
        for at in range(0, len(whole), _TOGETHER):
            chosen = whole[at : at + _TOGETHER]
            windows = [questions[i][0] for i in chosen]
            results = _search_whole(windows, max_answer_tokens, null_threshold, temperature)
            found.update(zip(chosen, results, strict=True))
    return [
        found[i]
        if i in found
        else search(
            own,
            top_k=top_k,
            max_answer_tokens=max_answer_tokens,
            null_threshold=null_threshold,
            temperature=temperature,
        )
        for i, own in enumerate(questions)
    ]


def _is_whole(windows: Sequence[WindowLogits], width: int) -> bool:
    """Whether one window holds all there is to search, and the longest span fits into it."""
    return len(windows) == 1 and windows[0].at == 0 and len(windows[0].start) >= width


def _search_whole(
    windows: Sequence[WindowLogits], width: int, null_threshold: float | None, temperature: float
) -> list[SpanResult]:
    """The best span of each window, all windows of about one length."""
    lengths = [len(w.start) for w in windows]
    shape = len(windows), max(lengths)
    starts = np.full(shape, -np.inf, np.float32)
    ends = np.full((shape[0], shape[1] + width - 1), -np.inf, np.float32)
    for i, w in enumerate(windows):
        starts[i, : lengths[i]] = w.start
        ends[i, : lengths[i]] = w.end
    bands = starts[:, :, None] + _following(ends, width)  # (n, n_tokens, width)
    for band, w in zip(bands, windows, strict=True):
        _rule_out(band, w)
    rows = bands.max(axis=2)
    first = rows.argmax(axis=1)
    best = rows[np.arange(shape[0]), first].astype(np.float64)
    nulls = np.full(len(windows), -np.inf)
    if null_threshold is not None:
        nulls = np.array([w.null for w in windows], np.float64) - null_threshold
    tops = np.maximum(best, nulls)
    known = np.where(np.isfinite(tops), tops, 0.0)
    # Summed token by token, so that padding behind a window cannot move the last digit.
    masses = _masses(bands, known[:, None, None], temperature).sum(axis=2)
    found: list[SpanResult] = []
    for i, w in enumerate(windows):
        top, logit, start = float(tops[i]), float(best[i]), int(first[i])
        if top == -math.inf:
            found.append(SpanResult([], 0.0, float(w.null)))
            continue
        null_mass = math.exp((float(nulls[i]) - top) / temperature)
        total = float(masses[i, : lengths[i]].sum()) + null_mass
        if logit == -math.inf:
            found.append(SpanResult([], null_mass / total, float(w.null)))
            continue
        stop = start + int(bands[i, start].argmax()) + 1
        score = math.exp((logit - top) / temperature) / total
        span = Span(w.context, start, stop, score, logit)
        found.append(SpanResult([span], null_mass / total, float(w.null)))
    return found


def _following(ends: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    """Each value of the last axis with the ``width - 1`` behind it: a view, to be read only.

    `numpy.lib.stride_tricks.sliding_window_view` by hand, which takes as long as all the rest for
    a short text.
    """
    *rows, n = ends.shape
    shape = (*rows, n - width + 1, width)
    return np.ndarray(shape, ends.dtype, ends, 0, (*ends.strides, ends.strides[-1]))


def _band(windows: Sequence[WindowLogits], width: int) -> FloatArray:
    """Logit of the span of ``k + 1`` tokens from token ``i``, float32 ``[n_tokens, width]``.

    Spans that no window holds whole are ``-inf``.
    """
    n_tokens = max(w.at + len(w.start) for w in windows)
    width = max(1, min(width, max(len(w.start) for w in windows)))
    band = np.full((n_tokens, width), -np.inf, np.float32)
    most = np.full((n_tokens, width), -1, np.int64) if len(windows) > 1 else None
    for w in windows:
        n = len(w.start)
        if not n:
            continue
        ends = np.full(n + width - 1, -np.inf, np.float32)
        ends[:n] = w.end
        logits = w.start[:, None] + _following(ends, width)
        _rule_out(logits, w)
        if most is None:
            band[w.at : w.at + n] = logits
            continue
        around = _around(w, n_tokens, width)
        rows, shown = band[w.at : w.at + n], most[w.at : w.at + n]
        speaks = (around > shown) | ((around == shown) & (logits > rows))
        np.copyto(rows, logits, where=speaks)
        np.copyto(shown, around, where=speaks)
    return band


def _around(w: WindowLogits, n_tokens: int, width: int) -> npt.NDArray[np.int64]:
    """Tokens that a window shows of each span's nearer side, int64 ``[n, width]``.

    Where the text itself begins or ends nothing is missing. Negative for spans that run over the
    window's edge.
    """
    n = len(w.start)
    before = np.arange(n) if w.at else np.full(n, n_tokens)
    after = n - 1 - (np.arange(n)[:, None] + np.arange(width))
    inside = after >= 0
    if w.at + n == n_tokens:
        after = np.where(inside, n_tokens, after)
    return np.where(inside, np.minimum(before[:, None], after), after)


def _rule_out(band: FloatArray, w: WindowLogits) -> None:
    """Sets spans that are no answers to ``-inf``, ``[n or more, width]``.

    Those of punctuation and blanks alone, and those that go beyond a paragraph.
    """
    n, width = len(w.start), band.shape[1]
    at, beyond = np.arange(n), np.arange(width)
    if w.bare is not None and w.bare.any():
        text = np.minimum.accumulate(np.where(w.bare, n, at)[::-1])[::-1]  # the next that is none
        band[:n][beyond < (text - at)[:, None]] = -np.inf
    if w.paragraphs is not None:
        ends = np.searchsorted(w.paragraphs, w.paragraphs, side="right")  # of each one's paragraph
        band[:n][beyond >= (ends - at)[:, None]] = -np.inf


def _best(bands: dict[int, FloatArray], top_k: int) -> list[tuple[int, int, int, float]]:
    """Takes the best span, rules out all that overlap it, and so on: (context, start, stop, logit).

    The bands are used up: what was ruled out is ``-inf`` afterwards.
    """
    rows = {context: band.max(axis=1) for context, band in bands.items() if band.size}
    found: list[tuple[int, int, int, float]] = []
    while rows and len(found) < top_k:
        context = max(rows, key=lambda c: (rows[c].max(), -c))
        best = rows[context]
        start = int(best.argmax())
        logit = float(best[start])
        if logit == -math.inf:
            break
        band = bands[context]
        stop = start + int(band[start].argmax()) + 1
        found.append((context, start, stop, logit))
        first = max(0, start - band.shape[1] + 1)
        for i in range(first, start):
            band[i, start - i :] = -np.inf
        band[start:stop] = -np.inf
        best[first:stop] = band[first:stop].max(axis=1)
    return found


def _masses(
    logits: npt.NDArray[np.floating[Any]], top: float | npt.NDArray[Any], temperature: float
) -> npt.NDArray[np.float64]:
    """exp((logits - top) / temperature) in float64: as JavaScript has it, to the last digits."""
    return np.exp(np.subtract(logits, top, dtype=np.float64) / temperature)
