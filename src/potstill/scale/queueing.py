"""Questions that arrive at random at one machine → how long they take: a discrete-event simulation.

Arrivals are Poisson. A question first passes the front (HTTP, tokenizing), which does one at a
time, as Python's lock has it; then its windows wait for a worker, which takes the batch that the
server's own rule gives (`potstill.serving.policy.fill`); it is answered when its last window is.
Workers slow one another and the front down, from the moment that another one starts until it ends.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from potstill.errors import InputError
from potstill.serving.policy import LOOK, fill

WARM_UP = 0.1
"""Share of the questions that find the machine still filling up, and do not count."""

_INSTANT = 1e-9
"""Seconds of what takes no time."""

Pace: TypeAlias = "tuple[float, float]"
"""Seconds that a piece of work takes alone, and with all the other workers busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is simulated; times in seconds."""

    workers: int
    token_budget: int
    """Most tokens of a batch, padding included."""
    service: Callable[[Sequence[int], random.Random], Pace]
    """Lengths of a batch's rows → the time it takes."""
    front: Callable[[Sequence[int]], Pace]
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


@dataclass(slots=True, eq=False)
class _Work:
    """Work that is under way."""

    pace: Pace
    rows: Sequence[tuple[int, _Question]]
    left: float = 1.0
    """Share that is still to do."""

    def takes(self, crowd: float) -> float:
        """Seconds of all of it, with so large a share of the others busy."""
        alone, together = self.pace
        return (1 - crowd) * alone + crowd * together


class _Simulation:
    def __init__(
        self, machine: Machine, windows: Sequence[int], rate: float, n: int, seed: int
    ) -> None:
        self._machine, self._windows, self._rate, self._n = machine, windows, rate, n
        self._gaps, self._times = random.Random(seed), random.Random(seed + 1)
        self._now = 0.0
        self._next_number = 0
        self._next_arrival = self._gap()
        self._front: deque[_Question] = deque()
        self._preparing: _Work | None = None
        self._rows: list[tuple[int, _Question]] = []
        self._busy: list[_Work] = []
        self._busy_s = 0.0
        self._batches = self._taken = self._refused = 0
        self._latencies: list[float] = []

    def run(self) -> Simulated:
        while self._front or self._busy or self._rows or self._next_number < self._n:
            work, at = self._soonest()
            self._pass(at - self._now)
            self._now = at
            if work is None:
                self._arrive()
            elif work is self._preparing:
                self._prepared(self._front.popleft())
            else:
                self._done(work)
            self._start()
        return Simulated(
            np.array(self._latencies),
            self._busy_s / (self._machine.workers * self._now) if self._now else 0.0,
            self._refused / self._n,
            self._taken / self._batches if self._batches else 0.0,
        )

    def _gap(self) -> float:
        return self._gaps.expovariate(1.0) / self._rate

    def _crowds(self) -> tuple[float, float]:
        """How crowded it is at the front, and for a worker: from 0 to 1."""
        busy, others = len(self._busy), max(1, self._machine.workers - 1)
        return min(1.0, busy / others), max(0, busy - 1) / others

    def _soonest(self) -> tuple[_Work | None, float]:
        """What ends next, and when; no work where a question arrives before."""
        at_front, beside = self._crowds()
        found: _Work | None = None
        soonest = self._next_arrival if self._next_number < self._n else math.inf
        if self._preparing is not None:
            at = self._now + self._preparing.left * self._preparing.takes(at_front)
            if at <= soonest:
                found, soonest = self._preparing, at
        for work in self._busy:
            at = self._now + work.left * work.takes(beside)
            if at <= soonest:
                found, soonest = work, at
        return found, soonest

    def _pass(self, seconds: float) -> None:
        at_front, beside = self._crowds()
        self._busy_s += seconds * len(self._busy)
        if self._preparing is not None:
            self._preparing.left -= seconds / max(self._preparing.takes(at_front), _INSTANT)
        for work in self._busy:
            work.left -= seconds / max(work.takes(beside), _INSTANT)

    def _arrive(self) -> None:
        question = _Question(self._now, self._next_number, self._windows)
        self._next_number += 1
        self._next_arrival = self._now + self._gap()
        if len(self._rows) >= self._machine.max_queue:
            self._refused += 1
            return
        self._front.append(question)

    def _prepared(self, question: _Question) -> None:
        self._preparing = None
        question.missing = len(question.lengths)
        self._rows += [(length, question) for length in question.lengths]

    def _start(self) -> None:
        machine = self._machine
        if self._front and self._preparing is None:
            self._preparing = _Work(machine.front(self._front[0].lengths), ())
        while len(self._busy) < machine.workers and self._rows:
            near = self._rows[: LOOK + 1]
            taken = fill([length for length, _ in near], machine.token_budget)
            batch = [near[i] for i in taken]
            for i in reversed(taken):
                del self._rows[i]
            pace = machine.service([length for length, _ in batch], self._times)
            self._busy.append(_Work(pace, batch))
            self._batches += 1
            self._taken += len(batch)

    def _done(self, work: _Work) -> None:
        self._busy.remove(work)
        for _, question in work.rows:
            question.missing -= 1
            if not question.missing and question.number >= WARM_UP * self._n:
                self._latencies.append(self._now - question.arrived)
