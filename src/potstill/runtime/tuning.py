"""Which runtime is quickest for a model on this machine, by measurement.

Every candidate runs the same few rows as the reference (onnxruntime). One that decides otherwise
is out, however much its logits differ; of the rest the one that reads most rows a second is taken.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import numpy as np

from potstill.errors import PotstillError
from potstill.runtime.evidence import (
    ALONE,
    NEAR,
    SAME,
    Candidate,
    Tuning,
    keep,
    recall,
    tuning_key,
)
from potstill.runtime.plans import Outputs, Row, run_batch, run_in_batches
from potstill.runtime.runtimes import (
    NATIVE,
    REFERENCE,
    Layout,
    Runnable,
    open_runtime,
    usual_budget,
)
from potstill.runtime.session import Session
from potstill.text.tokenizer import Tokenizer

SECONDS = 2.0
"""Time that the runs of all candidates together may take, loading and first runs left out."""
MARGIN = 1.15
"""How many times as quick as the usual runtime another, a batch, or one core of several has to
be. Less is noise; and rows of a few lengths show neither what a new length costs a runtime that
compiles by length, nor what padding costs a batch."""
_COPIES = 2
"""Rows of each length that such batches are made of, besides those too long for company."""
_ROUNDS = 7
"""Most rounds: with more the median moves no further."""
_PAUSE_S = 0.005
"""Before each run, where one answer after the other is asked for: people ask at moments of their
own, when a session's threads are asleep and have to be woken."""
_HELD_BYTES = 1_000_000_000
"""Most bytes of weights held at once; where candidates need more, each is measured by itself."""


def tuned(
    model: Runnable,
    runtimes: Sequence[str],
    shares: Sequence[Layout],
    rows: Callable[[], Sequence[Row]],
    tokenizer: Tokenizer,
) -> tuple[Tuning, Session]:
    """The quickest runtime and layout: remembered where they were measured before, else measured.

    Args:
        model: to be run.
        runtimes: candidates, the reference first.
        shares: layouts to try each of them in.
        rows: makes what is run to find out.
        tokenizer: of the model.

    Returns:
        The measurement, and a session of what it chose.

    Raises:
        ModelError: the reference cannot run the model.
    """
    key = tuning_key(model, runtimes, shares)
    known = recall(key)
    if known is not None:
        try:
            chosen = known.chosen
            return known, open_runtime(model, chosen.runtime, chosen.layout)
        except PotstillError:
            pass  # what was chosen then no longer runs here
    measured, session = measure(model, runtimes, shares, rows(), tokenizer, key=key)
    keep(measured)
    return measured, session


def is_for_many(shares: Sequence[Layout]) -> bool:
    """Whether layouts are tried for reading many rows, and not for one answer after the other."""
    return len({share.workers for share in shares}) > 1


def measure(
    model: Runnable,
    runtimes: Sequence[str],
    shares: Sequence[Layout],
    rows: Sequence[Row],
    tokenizer: Tokenizer,
    *,
    key: Mapping[str, Any],
    seconds: float = SECONDS,
) -> tuple[Tuning, Session]:
    """Runs every candidate on the same rows, in turns, and chooses; see `tuned`.

    Raises:
        ModelError: the reference cannot run the model.
    """
    began = time.perf_counter()
    reference = open_runtime(model, REFERENCE, shares[0])
    said = _said(reference, rows, tokenizer)
    many = is_for_many(shares)
    tried = [
        Candidate(
            runtime=name,
            workers=share.workers,
            threads=share.threads,
            # The threads of one run of the engine read most where each has rows of its own.
            batch_tokens=usual_budget(name, share.threads)
            if many and name == NATIVE and share.threads > 1
            else ALONE,
        )
        for name in runtimes
        for share in shares
    ]
    heavy = len(tried) * model.file.stat().st_size > _HELD_BYTES
    found: list[Candidate] = []
    best: _Open | None = None
    for group in [[one] for one in tried] if heavy else [tried]:
        opened = [
            _Open(one, reference)
            if one is tried[0]  # which is the reference
            else _open(model, one, rows, said, tokenizer)
            for one in group
        ]
        able = [one for one in opened if one.session]
        pause = 0.0 if many else _PAUSE_S
        _race(able, rows, tokenizer, seconds / len(tried), pause=pause)
        found += [one.candidate for one in opened]
        best = _quicker([*([best] if best else []), *opened])
    assert best is not None
    if many and best.candidate.batch_tokens == ALONE:
        best, other = _batched(best, rows, tokenizer, seconds / len(tried))
        found.append(other)
    assert best.session is not None
    tuning = Tuning(
        key=key,
        chosen=best.candidate,
        candidates=found,
        measured=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - began, 3),
    )
    return tuning, best.session


@dataclass(slots=True)
class _Open:
    """A candidate with its session."""

    candidate: Candidate
    session: Session | None


def _open(
    model: Runnable,
    candidate: Candidate,
    rows: Sequence[Row],
    said: Sequence[Outputs],
    tokenizer: Tokenizer,
) -> _Open:
    """Loads a candidate, runs every row once, and compares what it says with the reference."""
    began = time.perf_counter()
    try:
        session = open_runtime(model, candidate.runtime, candidate.layout)
        own = _said(session, rows, tokenizer)
    except PotstillError as error:
        if candidate.runtime == REFERENCE:
            raise
        return _Open(replace(candidate, reason=str(error)), None)
    difference, same = compare(said, own)
    reason = ""
    if not np.isfinite(difference):
        reason = "gives other outputs than the reference"
    elif same < SAME:
        reason = f"decides otherwise in {1 - same:.1%}"
    candidate = replace(
        candidate,
        difference=round(difference, 6) if np.isfinite(difference) else 1e9,
        same=round(same, 6),
        load_seconds=round(time.perf_counter() - began, 3),
        reason=reason,
    )
    return _Open(candidate, session)


def compare(reference: Sequence[Outputs], other: Sequence[Outputs]) -> tuple[float, float]:
    """How far what two sessions say of the same rows is apart.

    Returns:
        The largest difference of a logit, in standard deviations of its row's logits (or tenths of
        the largest of them, where that is more), and the share of decisions that are the same: the
        largest logit of each output's last axis, or one that the reference has as good as chosen.
    """
    worst, n_same, n_all = 0.0, 0, 0
    for ours, theirs in zip(reference, other, strict=True):
        for one, two in zip(ours, theirs, strict=True):
            if one.shape != two.shape or not np.isfinite(two).all():
                return float("inf"), 0.0
            # One logit, or two that are nearly equal, have no spread to speak of.
            spread = max(float(one.std()), 0.1 * float(np.abs(one).max()), 1e-6)
            worst = max(worst, float(np.abs(one - two).max()) / spread)
            # Where the reference has two that are nearly equal, either is as right.
            chosen = np.take_along_axis(one, two.argmax(-1, keepdims=True), -1)[..., 0]
            agreeing = chosen >= one.max(-1) - NEAR * spread
            n_same, n_all = n_same + int(np.sum(agreeing)), n_all + np.size(agreeing)
    return worst, n_same / n_all if n_all else 1.0


def _said(session: Session, rows: Sequence[Row], tokenizer: Tokenizer) -> list[Outputs]:
    return [out for row in rows for out in _run(session, [row], tokenizer)]


def _run(session: Session, rows: Sequence[Row], tokenizer: Tokenizer) -> list[Outputs]:
    return run_batch(session, rows, pad_id=tokenizer.pad_id, layout=tokenizer.layout)


def _race(
    runners: Sequence[_Open],
    rows: Sequence[Row],
    tokenizer: Tokenizer,
    seconds_each: float,
    *,
    pause: float = 0.0,
) -> None:
    """Times the candidates in turns, and writes what was found into them."""
    rates: list[list[float]] = [[] for _ in runners]
    times: list[list[list[float]]] = [[] for _ in runners]
    until = time.perf_counter() + seconds_each * len(runners)
    for number in range(_ROUNDS):
        if number and time.perf_counter() > until:
            break
        for i, runner in enumerate(runners):
            taken, each = _round(runner, rows, tokenizer, pause)
            n_rows = len(rows) * runner.candidate.workers
            if runner.candidate.batch_tokens > ALONE:
                n_rows *= runner.candidate.threads
            rates[i].append(n_rows / taken)
            times[i].append(each)
    for i, runner in enumerate(runners):
        runner.candidate = replace(
            runner.candidate,
            rows_per_second=round(statistics.median(rates[i]), 3),
            ms=_milliseconds(rows, times[i]) if _is_single(runner.candidate) else None,
        )


def _round(
    runner: _Open, rows: Sequence[Row], tokenizer: Tokenizer, pause: float
) -> tuple[float, list[float]]:
    """Seconds of reading all rows once for each worker, and those of each row of a lone worker."""
    session, candidate = runner.session, runner.candidate
    assert session is not None

    def timed(own: Sequence[Row]) -> float:
        if pause:
            time.sleep(pause)
        began = time.perf_counter()
        run_in_batches(
            session,
            own,
            pad_id=tokenizer.pad_id,
            layout=tokenizer.layout,
            token_budget=candidate.batch_tokens,
        )
        return time.perf_counter() - began

    # Longest first, so that no worker is left alone with a long one at the end.
    queue = [[row] for row in sorted([*rows] * candidate.workers, key=len, reverse=True)]
    if candidate.batch_tokens > ALONE:
        queue = [[*rows] * candidate.threads] * candidate.workers
    if candidate.workers == 1:
        each = [timed(own) for own in queue]
        return sum(each), each
    began = time.perf_counter()
    with ThreadPoolExecutor(candidate.workers) as pool:
        each = list(pool.map(timed, queue))
    return time.perf_counter() - began, each


def _batched(
    best: _Open, rows: Sequence[Row], tokenizer: Tokenizer, seconds: float
) -> tuple[_Open, Candidate]:
    """Whether the winner reads more in batches than row by row; the better, and what was tried."""
    alone = _Open(best.candidate, best.session)
    budget = usual_budget(best.candidate.runtime, best.candidate.layout.threads)
    rival = _Open(replace(best.candidate, batch_tokens=budget, ms=None), best.session)
    _race([alone, rival], [*rows] * _COPIES, tokenizer, seconds)
    quicker = rival.candidate.rows_per_second > MARGIN * alone.candidate.rows_per_second
    return rival if quicker else best, rival.candidate


def _is_single(candidate: Candidate) -> bool:
    return candidate.workers == 1 and candidate.batch_tokens == ALONE


def _milliseconds(rows: Sequence[Row], rounds: Sequence[Sequence[float]]) -> dict[str, float]:
    medians = [statistics.median(own) for own in zip(*rounds, strict=True)]
    longest_first = sorted(rows, key=len, reverse=True)
    return {
        str(len(row)): round(1000 * median, 3)
        for row, median in zip(longest_first, medians, strict=True)
    }


def _quicker(runners: Sequence[_Open]) -> _Open:
    able = [one for one in runners if one.session is not None and not one.candidate.reason]
    cores = max(_cores(one) for one in able)
    has_native = any(one.candidate.runtime == NATIVE for one in able)
    usual = NATIVE if has_native else REFERENCE

    def worth(one: _Open) -> float:
        """Rows a second, those of the usual runtime and of all cores counted a little higher."""
        rate = one.candidate.rows_per_second
        rate *= MARGIN if one.candidate.runtime == usual else 1
        return rate * MARGIN if _cores(one) == cores else rate

    # The reference agrees with itself, so there always is one.
    return max(able, key=worth)


def _cores(one: _Open) -> int:
    return one.candidate.workers * one.candidate.threads
