"""Windows of all requests → batches by deadline and token budget → each request's results.

Worker threads take the rows whose deadline is nearest, of whichever requests they are, and run
them as one batch. Where a batch raises, its rows are run again one by one, so that only requests
that cannot be read fail; the model then has to answer its probe before it gets other work.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from potstill.errors import PotstillError
from potstill.runtime.plans import Outputs, Plan, Row, run_batch
from potstill.runtime.session import Session
from potstill.serving.faults import Refusal, refusal_of
from potstill.serving.policy import LOOK, fill
from potstill.text.tokenizer import Tokenizer

log = logging.getLogger("potstill.serving")

_REST_S, _LONGEST_REST_S = 0.05, 5.0
"""Pause after a probe that failed, which doubles from the first to the second."""
_STUCK_S = 60.0
"""A worker that runs one batch for so long is taken to hang."""


@dataclass(slots=True, eq=False)
class Lane:
    """One model as the workers see it."""

    session: Session
    tokenizer: Tokenizer
    token_budget: int
    """Most tokens of a batch, padding included; with 1 every row runs alone."""
    probe: Row
    """A row that the model must be able to run."""
    proven: bool = False
    """Whether its last probe succeeded and nothing has failed since."""
    rest_until: float = 0.0
    rest_s: float = _REST_S
    probing: bool = False

    def run(self, rows: Sequence[Row]) -> list[Outputs]:
        """Runs rows as one batch."""
        layout = self.tokenizer.layout
        return run_batch(self.session, rows, pad_id=self.tokenizer.pad_id, layout=layout)


@dataclass(slots=True, eq=False)
class Ticket:
    """A request that waits: its plans, what has been found, and when it is due."""

    lane: str
    plans: Sequence[Plan[Any]]
    deadline: float
    """By `time.monotonic`."""
    submitted: float
    future: Future[list[Any]] = field(default_factory=Future)
    """Of what each plan's ``finish`` returned."""
    started: float = math.nan
    """When the first of its rows was taken."""
    ended: float = math.nan
    settled: bool = False
    said: list[list[Outputs | None]] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    found: list[Any] = field(default_factory=list)
    unfinished: int = 0

    @property
    def queue_s(self) -> float:
        """Seconds until the first of its rows was taken."""
        return self.started - self.submitted

    @property
    def inference_s(self) -> float:
        """Seconds from then to its last result."""
        return self.ended - self.started


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """One row in the queue."""

    ticket: Ticket
    plan: int
    number: int
    row: Row


class Observer:
    """What a batcher tells of its work; see `serving.metrics`."""

    def batch(self, lane: str, n_rows: int, n_tokens: int, n_padded: int, seconds: float) -> None:
        """A batch was run."""

    def failure(self, lane: str) -> None:
        """A batch raised."""


class Batcher:
    """The queue and its workers. Safe to share between threads.

    Examples:
        >>> batcher = Batcher({"default": lane}, workers=2, max_queue=1024)
        >>> batcher.start()
        >>> batcher.submit("default", [plan], time.monotonic() + 30).future.result()
    """

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        *,
        workers: int,
        max_queue: int,
        observer: Observer | None = None,
    ) -> None:
        """Puts a batcher together.

        Args:
            lanes: the models by name.
            workers: threads that run them.
            max_queue: rows that may wait; see `submit`.
            observer: told of every batch.
        """
        self.lanes = lanes
        self.max_queue = max_queue
        self._observer = observer or Observer()
        self._waiting: list[tuple[float, int, _Waiting]] = []
        self._tokens = 0
        self._rate = 0.0
        self._count = 0
        self._closed = False
        self._changed = threading.Condition()
        self._busy_since: dict[int, float] = {}
        self._threads = [
            threading.Thread(target=self._work, args=(i,), name=f"potstill-{i}", daemon=True)
            for i in range(workers)
        ]

    def start(self) -> None:
        """Starts the workers; each lane is probed before its first batch."""
        for thread in self._threads:
            thread.start()

    @property
    def n_waiting(self) -> int:
        """Rows in the queue."""
        return len(self._waiting)

    def wait_s(self) -> float:
        """Estimate of the time that the queue will take."""
        return self._tokens / self._rate if self._rate else 1.0

    def healthy(self, lane: str | None = None) -> bool:
        """Whether the model (every model), and at least one worker, can be relied on now."""
        lanes = self.lanes.values() if lane is None else [self.lanes[lane]]
        if not all(one.proven for one in lanes):
            return False
        limit = time.monotonic() - _STUCK_S
        stuck = sum(since < limit for since in list(self._busy_since.values()))
        return not self._closed and stuck < len(self._threads)

    def submit(self, lane: str, plans: Sequence[Plan[Any]], deadline: float) -> Ticket:
        """Queues the rows of a request, all of them or none.

        Args:
            lane: the model.
            plans: one without rows is finished at once.
            deadline: by `time.monotonic`; rows that are still waiting then are never run.

        Raises:
            Refusal: 429 where ``max_queue`` rows wait already, 503 where the batcher is closed.
        """
        ticket = Ticket(lane, plans, deadline, time.monotonic())
        ticket.said = [[None] * len(plan.rows) for plan in plans]
        ticket.missing = [len(plan.rows) for plan in plans]
        ticket.found = [None] * len(plans)
        ticket.unfinished = len(plans)
        self._finish_rowless(ticket)
        with self._changed:
            if self._closed:
                raise Refusal(503, "the server is stopping", retry_after_s=1)
            if len(self._waiting) >= self.max_queue:
                raise Refusal(
                    429,
                    f"{len(self._waiting)} windows are waiting: try again later",
                    retry_after_s=self.wait_s(),
                )
            for number, plan in enumerate(plans):
                for i, row in enumerate(plan.rows):
                    self._count += 1
                    self._tokens += len(row)
                    entry = _Waiting(ticket, number, i, row)
                    insort(self._waiting, (deadline, self._count, entry))
            self._changed.notify(sum(ticket.missing))
        return ticket

    def _finish_rowless(self, ticket: Ticket) -> None:
        for number, plan in enumerate(ticket.plans):
            if not plan.rows:
                ticket.found[number] = plan.finish(())
                ticket.unfinished -= 1
        if not ticket.unfinished:
            ticket.settled = True
            ticket.started = ticket.ended = ticket.submitted
            ticket.future.set_result(ticket.found)

    def cancel(self, ticket: Ticket) -> None:
        """Drops a request: none of its rows that still wait will be run."""
        with self._changed:
            if ticket.settled:
                return
            ticket.settled = True
            self._remove(ticket)
        ticket.future.cancel()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Refuses further work, fails what waits, and waits for the workers to end.

        Returns:
            Whether all of them did.
        """
        with self._changed:
            self._closed = True
            left = {id(entry.ticket): entry.ticket for _, _, entry in self._waiting}
            self._changed.notify_all()
        for ticket in left.values():
            self._fail(ticket, Refusal(503, "the server was stopped", retry_after_s=1))
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self, worker: int) -> None:
        while True:
            task = self._next()
            if task is None:
                return
            self._busy_since[worker] = time.monotonic()
            task()
            del self._busy_since[worker]

    def _next(self) -> Callable[[], None] | None:
        """What a worker is to do next, waiting for it; ``None`` where it is to stop."""
        while True:
            with self._changed:
                if self._closed:
                    return None
                now = time.monotonic()
                late = self._take_late(now)
                task = None if late else self._probe_task(now) or self._batch_task(now)
                if not late and task is None:
                    self._changed.wait(self._nap(now))
            for ticket in late:
                self._fail(ticket, Refusal(504, "the deadline passed while the request waited"))
            if task is not None:
                return task

    def _take_late(self, now: float) -> list[Ticket]:
        late: dict[int, Ticket] = {}
        for deadline, _, entry in self._waiting:
            if deadline > now:
                break
            late[id(entry.ticket)] = entry.ticket
        return list(late.values())

    def _probe_task(self, now: float) -> Callable[[], None] | None:
        for name, lane in self.lanes.items():
            if not lane.proven and not lane.probing and lane.rest_until <= now:
                lane.probing = True
                return lambda: self._probe(name)
        return None

    def _batch_task(self, now: float) -> Callable[[], None] | None:
        first = next(
            (i for i, (*_, one) in enumerate(self._waiting) if self.lanes[one.ticket.lane].proven),
            None,
        )
        if first is None:
            return None
        head = self._waiting[first][2]
        lane = self.lanes[head.ticket.lane]
        near = [entry for *_, entry in islice(self._waiting, first, first + 1 + LOOK)]
        own = head.ticket.lane
        lengths = [len(one.row) if one.ticket.lane == own else None for one in near]
        taken = fill(lengths, lane.token_budget)
        chosen = [near[i] for i in taken]
        for i in reversed(taken):
            del self._waiting[first + i]
        self._tokens -= sum(len(one.row) for one in chosen)
        for one in chosen:
            if math.isnan(one.ticket.started):
                one.ticket.started = now
        return lambda: self._run(own, chosen)

    def _nap(self, now: float) -> float | None:
        """Seconds until something has to be done even if nothing is submitted."""
        lanes = self.lanes.values()  # a probe that is under way says itself when it has ended
        due = [lane.rest_until for lane in lanes if not lane.proven and not lane.probing]
        due += [deadline for deadline, *_ in self._waiting[:1]]
        return max(0.001, min(due) - now) if due else None

    def _probe(self, name: str) -> None:
        lane = self.lanes[name]
        try:
            lane.run([lane.probe])
        except Exception as error:  # whatever a model raises, the worker lives on
            log.warning("the probe of %s failed: %s", name, error)
            lane.rest_until = time.monotonic() + lane.rest_s
            lane.rest_s = min(2 * lane.rest_s, _LONGEST_REST_S)
        else:
            lane.proven, lane.rest_s = True, _REST_S
        finally:
            with self._changed:
                lane.probing = False
                self._changed.notify_all()

    def _run(self, name: str, batch: list[_Waiting]) -> None:
        lane = self.lanes[name]
        rows = [entry.row for entry in batch]
        began = time.monotonic()
        try:
            said = lane.run(rows)
        except Exception as error:  # whatever a model raises, the worker lives on
            self._failed(name, batch, error)
            return
        took = time.monotonic() - began
        n_tokens, n_padded = sum(map(len, rows)), len(rows) * max(map(len, rows))
        rate = n_tokens / max(took, 1e-6) * len(self._threads)
        self._rate = rate if not self._rate else 0.9 * self._rate + 0.1 * rate
        self._observer.batch(name, len(rows), n_tokens, n_padded, took)
        for entry, outputs in zip(batch, said, strict=True):
            self._deliver(entry, outputs)

    def _failed(self, name: str, batch: list[_Waiting], error: Exception) -> None:
        lane = self.lanes[name]
        self._observer.failure(name)
        log.warning("%s failed on %d rows: %s", name, len(batch), error)
        if len(batch) > 1:
            for entry in batch:
                if not entry.ticket.settled:
                    self._run(name, [entry])
            return
        with self._changed:
            lane.proven, lane.rest_until = False, 0.0
            self._changed.notify_all()
        message = str(error) if isinstance(error, PotstillError) else type(error).__name__
        self._fail(batch[0].ticket, Refusal(424, f"the model {name} failed: {message}"))

    def _deliver(self, entry: _Waiting, outputs: Outputs) -> None:
        ticket, number = entry.ticket, entry.plan
        with self._changed:
            ticket.said[number][entry.number] = outputs
            ticket.missing[number] -= 1
            if ticket.settled or ticket.missing[number]:
                return
        said = [one for one in ticket.said[number] if one is not None]
        ticket.said[number] = []
        try:
            found = ticket.plans[number].finish(said)
        except PotstillError as error:
            self._fail(ticket, refusal_of(error))
            return
        except Exception as error:  # a fault of ours in one request must not end the worker
            log.exception("a request could not be finished")
            self._fail(ticket, Refusal(500, f"internal error: {type(error).__name__}"))
            return
        with self._changed:
            ticket.found[number] = found
            ticket.unfinished -= 1
            if ticket.settled or ticket.unfinished:
                return
            ticket.settled, ticket.ended = True, time.monotonic()
        ticket.future.set_result(ticket.found)

    def _fail(self, ticket: Ticket, refusal: Refusal) -> None:
        with self._changed:
            if ticket.settled:
                return
            ticket.settled = True
            self._remove(ticket)
        ticket.future.set_exception(refusal)

    def _remove(self, ticket: Ticket) -> None:
        kept = [entry for entry in self._waiting if entry[2].ticket is not ticket]
        if len(kept) < len(self._waiting):
            self._waiting = kept
            self._tokens = sum(len(entry.row) for *_, entry in kept)
