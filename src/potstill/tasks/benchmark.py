"""A model at hand, measured on this machine: milliseconds by length, throughput, memory."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.runtime.opening import Opened
from potstill.runtime.probes import TEXT
from potstill.tasks.table import task_of
from potstill.tasks.task import Task
from potstill.text.tokenizer import Tokenizer

LENGTHS = (48, 96, 160, 256, 384)
"""Tokens of the rows that are asked one at a time."""
_ROUND = 16
"""Texts that are read at once, of each length, to measure throughput."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByLength:
    """One row at a time, of one length."""

    tokens: int
    n: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What was measured of a model, from strings to answers."""

    one: Opened
    """How it was opened to be asked one at a time."""
    many: Opened
    """How it was opened to be asked many."""
    by_length: Sequence[ByLength]
    texts_per_second: float
    """Of as many texts of each length, read at once."""
    tokens_per_second: float
    resident_mb: float | None
    """Memory of this process that lies in RAM, with the model opened for one at a time; ``None``
    where the platform does not tell."""


def benchmark(
    model: str | Path,
    *,
    runtime: str | None = None,
    threads: int | None = None,
    precision: Any = None,
    seconds: float = 10.0,
) -> Benchmark:
    """Measures a model of any task.

    Args:
        model: ``"default"``, a model folder or a hub id.
        runtime: as for `QAClient.from_options`.
        threads: of one text at a time; by default one for each core.
        precision: which ONNX file.
        seconds: time to measure for, opening left out; every length is measured at least thrice.

    Raises:
        ModelError: the model cannot be used.
        InputError: an option cannot be used.
    """
    folder = find_model(model)
    config, task = read_config(folder), task_of(folder)
    opening: dict[str, Any] = {"runtime": runtime, "precision": precision}
    single = task.client.from_options(model, **opening, threads=threads)
    resident = resident_bytes()
    lengths = sorted({min(length, config.max_positions) for length in LENGTHS})
    items = {n: task.item(single, _text(task, single.tokenizer, n)) for n in lengths}
    share = 0.6 * seconds / len(lengths)
    by_length = [_timed(lambda i: task.ask(single, [i]), n, items[n], share) for n in lengths]
    several = task.client.from_options(model, **opening, workers="auto")
    queue = [item for item in items.values() for _ in range(_ROUND)]
    task.ask(several, queue[:: _ROUND // 2])
    n_rounds, began = 0, time.perf_counter()
    while not n_rounds or time.perf_counter() - began < 0.4 * seconds:
        task.ask(several, queue)
        n_rounds += 1
    rate = n_rounds * len(queue) / (time.perf_counter() - began)
    assert single.opened is not None and several.opened is not None
    return Benchmark(
        one=single.opened,
        many=several.opened,
        by_length=by_length,
        texts_per_second=round(rate, 2),
        tokens_per_second=round(rate * sum(lengths) / len(lengths), 1),
        resident_mb=None if resident is None else round(resident / 1e6, 1),
    )


def resident_bytes() -> int | None:
    """Memory of this process that lies in RAM now; ``None`` where the platform does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    if sys.platform == "win32":
        return None
    import resource

    # What macOS knows is the most there ever was, in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _timed(ask: Callable[[Any], object], tokens: int, item: Any, seconds: float) -> ByLength:
    ask(item)  # compiles what is to be compiled
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while len(taken) < 3 or time.perf_counter() < until:
        began = time.perf_counter()
        ask(item)
        taken.append(time.perf_counter() - began)
    p50, p99 = (1000 * float(np.percentile(taken, q)) for q in (50, 99))
    return ByLength(tokens=tokens, n=len(taken), p50_ms=round(p50, 3), p99_ms=round(p99, 3))


def _text(task: Task[Any], tokenizer: Tokenizer, n_tokens: int) -> str:
    """A text that makes a row of so many tokens, together with what the task adds to it."""
    room = max(1, n_tokens - task.extra_tokens(tokenizer))
    long = TEXT
    encoded = tokenizer.encode(long)
    while len(encoded) < room:
        long += " " + TEXT
        encoded = tokenizer.encode(long)
    return long[: int(encoded.offsets[room - 1, 1])]
