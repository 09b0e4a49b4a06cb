"""Worker processes on this machine: each has its own predictor, and dies with its parent.

A worker waits on a pipe whose other end only the parent holds. When the parent is gone, however
it went, the pipe ends, and so does the worker.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from threading import Thread
from typing import Any

from potstill.errors import JobError, PotstillError, WorkerError
from potstill.scale.parts import Batch, Part
from potstill.scale.predict import PredictOptions, Predictor, RowResult

_AHEAD = 2
"""Batches that wait in each worker's pipe, the one it works on included."""


def run_inline(
    parts: Iterable[Part], options: PredictOptions
) -> Iterator[tuple[Part, list[RowResult]]]:
    """Each part with what came of its rows, in this very process."""
    predictor = Predictor(options)
    for part in parts:
        yield part, part.join([said for batch in part.batches for said in predictor(batch)])


def run_workers(
    parts: Iterable[Part], options: PredictOptions, *, workers: int
) -> Iterator[tuple[Part, list[RowResult]]]:
    """Each part with what came of its rows, by several processes.

    A part is given out only when the caller has taken (and kept) the one before, so that a stop at
    any moment costs at most one part.

    Args:
        parts: of the input.
        options: of every worker's predictor.
        workers: processes.

    Raises:
        WorkerError: a worker died.
        JobError: a worker could not do its work; says why.
    """
    with _started(options, workers) as pool:
        following = iter(parts)
        part = next(following, None)
        while part is not None:
            answers = _Answers(part.batches)
            _hand_out(pool, answers)
            # Read while the workers are busy, so that none waits for it.
            upcoming = next(following, None)
            while not answers.complete:
                _collect(pool, answers)
                _hand_out(pool, answers)
            yield part, part.join(answers.said)
            part = upcoming


@dataclass(slots=True)
class _Answers:
    """The batches of a part, and what came of each so far."""

    batches: list[Batch]
    given: int = 0
    found: dict[int, list[RowResult]] = field(default_factory=dict[int, list[RowResult]])

    @property
    def complete(self) -> bool:
        return len(self.found) == len(self.batches)

    @property
    def said(self) -> list[RowResult]:
        return [said for number in range(len(self.batches)) for said in self.found[number]]


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    waiting: deque[int] = field(default_factory=deque[int])
    """Numbers of the batches it has, the first of them under way."""


@contextmanager
def _started(options: PredictOptions, n: int) -> Generator[list[_Worker], None, None]:
    # spawn: a fork would copy onnxruntime's and tokenizers' threads half, and hold open the pipes
    # of the workers started before.
    context = multiprocessing.get_context("spawn")
    pool: list[_Worker] = []
    try:
        for number in range(n):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work, args=(theirs, options), name=f"potstill-bulk-{number}", daemon=True
            )
            process.start()
            theirs.close()
            pool.append(_Worker(process, ours))
        yield pool
    finally:
        for worker in pool:
            worker.pipe.close()
        for worker in pool:
            worker.process.join(timeout=5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()


def _hand_out(pool: list[_Worker], answers: _Answers) -> None:
    for _ in range(_AHEAD):
        # In turns, so that the last batches of a part do not all wait behind one worker.
        for worker in sorted(pool, key=lambda worker: len(worker.waiting)):
            if answers.given < len(answers.batches) and len(worker.waiting) < _AHEAD:
                try:
                    worker.pipe.send(answers.batches[answers.given])
                except OSError:
                    raise _died(worker) from None
                worker.waiting.append(answers.given)
                answers.given += 1


def _collect(pool: list[_Worker], answers: _Answers) -> None:
    pipes: dict[Any, _Worker] = {worker.pipe: worker for worker in pool}
    for pipe in wait(list(pipes)):
        worker = pipes[pipe]
        try:
            found: list[RowResult] | str = worker.pipe.recv()
        except (EOFError, OSError):
            raise _died(worker) from None
        if isinstance(found, str):
            raise JobError(found)
        answers.found[worker.waiting.popleft()] = found


def _died(worker: _Worker) -> WorkerError:
    worker.process.join(timeout=5)
    code = worker.process.exitcode
    how = f"by signal {-code}" if code is not None and code < 0 else f"with exit status {code}"
    return WorkerError(
        f"a worker process ended {how} (out of memory?): run the same command again to go on, "
        "with fewer --workers if memory is short"
    )


def _work(pipe: Connection, options: PredictOptions) -> None:
    """What a worker does: batches in, what came of them out, until the pipe ends."""
    # Ctrl-C reaches every process of a terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked: SimpleQueue[Batch] = SimpleQueue()
    # Beside the work, so that the parent can always send, and its end is noticed in mid-batch.
    Thread(target=_listen, args=(pipe, asked), daemon=True).start()
    try:
        predictor = Predictor(options)
        while True:
            pipe.send(predictor(asked.get()))
    except PotstillError as error:
        # Its message alone: not every error can be taken apart and put together again.
        pipe.send(str(error))
    except OSError:
        return  # the parent is gone


def _listen(pipe: Connection, asked: SimpleQueue[Batch]) -> None:
    while True:
        try:
            asked.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)
