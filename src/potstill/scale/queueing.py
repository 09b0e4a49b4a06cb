"""Questions that arrive at random at one machine → how long they take: a discrete-event simulation.

Arrivals are Poisson. A question first passes the front (HTTP, tokenizing), which does one at a
time, as Python's lock has it; then its windows wait for a worker, which takes the batch that the
server's own rule gives (`potstill.serving.policy.fill`); it is answered when its last window is.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from potstill.errors import InputError
from potstill.serving.policy import LOOK, fill

WARM_UP = 0.1
"""Share of the questions that find the machine still filling up, and do not count."""

_ARRIVE, _PREPARED, _DONE = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is simulated; times in seconds."""

    workers: int
    token_budget: int
    """Most tokens of a batch, padding included."""
    service: Callable[[Sequence[int], int, random.Random], float]
    """Lengths of a batch's rows, number of busy workers with its own → time it takes."""
    front: Callable[[Sequence[int], random.Random], float]
    """Lengths of a question's windows → time at the front."""
    max_queue: int = 1024
    """Windows that may wait; where so many do, questions are refused."""


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """What came of a simulation."""

    latencies: npt.NDArray[np.float64]
    """Seconds of each question that was answered, behind the warm-up."""
    utilisation: float
    """Share of the workers' time that was spent on batches."""
    refused: float
    """Share of all questions."""
    rows_a_batch: float

    def percentile(self, at: float) -> float:
        """Seconds within which ``at`` percent were answered; infinite where none was."""
        return float(np.percentile(self.latencies, at)) if len(self.latencies) else float("inf")


@dataclass(slots=True, eq=False)
class _Question:
    arrived: float
    number: int
    lengths: Sequence[int]
    missing: int = 0


def simulate(
    machine: Machine, windows: Sequence[int], *, rate: float, n: int, seed: int = 0
) -> Simulated:
    """Sends questions to a machine.

    The same seed draws the same arrivals and times but for the rate, so that loads compare.

    Args:
        machine: that answers.
        windows: tokens of each window of a question.
        rate: questions a second.
        n: number of questions.
        seed: of all that is drawn.

    Raises:
        InputError: a number is not above 0.
    """
    for name, value in (("rate", rate), ("n", n), ("workers", machine.workers)):
        if not 0 < value < float("inf"):
            raise InputError(f"{name} must be a number above 0, not {value}")
    if not windows:
        raise InputError("a question has no windows: give the tokens of at least one")
    return _Simulation(machine, windows, rate, n, seed).run()


class _Simulation:
    def __init__(
        self, machine: Machine, windows: Sequence[int], rate: float, n: int, seed: int
    ) -> None:
        self._machine, self._windows, self._rate, self._n = machine, windows, rate, n
        self._gaps, self._times = random.Random(seed), random.Random(seed + 1)
        self._events: list[tuple[float, int, int, Any]] = []
        self._count = 0
        self._front: deque[_Question] = deque()
        self._rows: list[tuple[int, _Question]] = []
        self._idle = machine.workers
        self._busy_s = 0.0
        self._batches = self._taken = self._refused = 0
        self._latencies: list[float] = []

    def run(self) -> Simulated:
        self._arrival(0.0, 0)
        now = 0.0
        while self._events:
            now, _, kind, what = heapq.heappop(self._events)
            if kind == _ARRIVE:
                self._arrive(now, what)
            elif kind == _PREPARED:
                self._prepared(now, what)
            else:
                self._done(now, what)
            self._start(now)
        return Simulated(
            np.array(self._latencies),
            self._busy_s / (self._machine.workers * now) if now else 0.0,
            self._refused / self._n,
            self._taken / self._batches if self._batches else 0.0,
        )

    def _push(self, at: float, kind: int, what: Any) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, kind, what))

    def _arrival(self, now: float, number: int) -> None:
        at = now + self._gaps.expovariate(1.0) / self._rate
        self._push(at, _ARRIVE, _Question(at, number, self._windows))

    def _arrive(self, now: float, question: _Question) -> None:
        if question.number + 1 < self._n:
            self._arrival(now, question.number + 1)
        if len(self._rows) >= self._machine.max_queue:
            self._refused += 1
            return
        self._front.append(question)
        if len(self._front) == 1:
            self._prepare(now)

    def _prepare(self, now: float) -> None:
        question = self._front[0]
        took = self._machine.front(question.lengths, self._times)
        self._push(now + took, _PREPARED, question)

    def _prepared(self, now: float, question: _Question) -> None:
        self._front.popleft()
        if self._front:
            self._prepare(now)
        question.missing = len(question.lengths)
        self._rows += [(length, question) for length in question.lengths]

    def _start(self, now: float) -> None:
        machine = self._machine
        while self._idle and self._rows:
            near = self._rows[: LOOK + 1]
            taken = fill([length for length, _ in near], machine.token_budget)
            batch = [near[i] for i in taken]
            for i in reversed(taken):
                del self._rows[i]
            self._idle -= 1
            busy = machine.workers - self._idle
            took = machine.service([length for length, _ in batch], busy, self._times)
            self._busy_s += took
            self._batches += 1
            self._taken += len(batch)
            self._push(now + took, _DONE, batch)

    def _done(self, now: float, batch: Sequence[tuple[int, _Question]]) -> None:
        self._idle += 1
        for _, question in batch:
            question.missing -= 1
            if not question.missing and question.number >= WARM_UP * self._n:
                self._latencies.append(now - question.arrived)
