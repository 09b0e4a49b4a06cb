"""A server of questions, timed: where the time of requests of known lengths goes."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from potstill.bundle.machine import describe_machine, today
from potstill.errors import InputError, ModelError, PotstillError
from potstill.runtime.qa import QAClient
from potstill.runtime.session import usable_cores
from potstill.scale.profile import Profile, WindowTimes, quantiles
from potstill.text.tokenizer import Tokenizer

SECONDS = 15.0
"""Of a measurement, loading left out."""
_LENGTHS = (48, 96, 192, 288, 384)
"""Tokens of the windows that are timed, as far as the model reads."""
_QUESTION = 12
_WARM_UP = 5
_LEAST = 8
"""Requests of each length, however long they take."""
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Answered:
    """Where one request's time went, in seconds."""

    total: float
    prepare: float
    queue: float
    inference: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is measured."""

    model: str = "default"
    workers: int | None = None
    """By default one for each core."""
    threads: int = 1
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        if not 0.1 <= self.seconds <= 3600:
            raise InputError(f"seconds must be from 0.1 to 3600, not {self.seconds}")

    @property
    def n_workers(self) -> int:
        return self.workers or max(1, usable_cores() // self.threads)


class Texts:
    """Questions and contexts of exact lengths, no two alike: nothing is answered from a cache."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        words = ["the", "of", "in", "and", "to", "was", "is", "by", "for", "on", "at", "a", "it"]
        words += list("bcdefghjklmnopqrstuvwxyz")
        counts = [len(one) for one in tokenizer.encode_batch([f" {word}" for word in words])]
        self._words = [word for word, n in zip(words, counts, strict=True) if n == 1]
        if len(self._words) < 2:
            raise ModelError("the tokenizer knows no plain letters: its machine cannot be measured")
        self.n_special = tokenizer.layout.n_special
        self._drawn = random.Random(0)

    def item(self, tokens: int) -> dict[str, str]:
        """A question whose one window has so many tokens."""
        return self.asked(_QUESTION, max(1, tokens - _QUESTION - self.n_special))

    def asked(self, question_tokens: int, context_tokens: int) -> dict[str, str]:
        """A question and a context of so many tokens."""
        return {"question": self._text(question_tokens), "context": self._text(context_tokens)}

    def _text(self, n: int) -> str:
        return " ".join(self._drawn.choices(self._words, k=n))


class Sampling:
    """A server that is timed in as many goes as one likes; the profile is of all of them."""

    def __init__(self, port: int, reader: QAClient, setup: Setup) -> None:
        self._setup = setup
        self._seq_len, self._stride = reader.options.seq_len, reader.options.stride
        self._lengths = [n for n in _LENGTHS if n < self._seq_len] + [self._seq_len]
        self._budget: int = get_json(port, "/info")["models"]["m"]["token_budget"]
        self._meter = _Meter(port, Texts(reader.tokenizer), setup)
        self._alone: dict[int, list[Answered]] = {n: [] for n in self._lengths}
        self._together: dict[int, list[Answered]] = {n: [] for n in self._lengths}
        self._batches: list[Answered] = []
        self._seconds = 0.0

    def close(self) -> None:
        """Hangs up."""
        self._meter.close()

    def go(self, seconds: float) -> None:
        """Asks for so many seconds.

        Raises:
            ModelError: the server did not answer.
        """
        began = time.monotonic()
        share = seconds / (2 * len(self._lengths) + 1)
        self._meter.warm_up(self._lengths[-1])
        for n in self._lengths:
            self._alone[n] += self._meter.alone(n, share)
        for n in self._lengths:
            self._together[n] += self._meter.together(n, share)
        if self._batch_rows >= 2:
            self._batches += self._meter.batch(self._lengths[0], self._batch_rows, share)
        self._seconds += time.monotonic() - began

    @property
    def _batch_rows(self) -> int:
        """Windows of the shortest length that fill a batch."""
        return self._budget // self._lengths[0]

    def profile(self, *, sha256: str = "") -> Profile:
        """What was found so far."""
        found = [one for row in self._alone.values() for one in row]
        tokens = [n for n, row in self._alone.items() for _ in row]
        slope, base = _line(tokens, [one.prepare for one in found])
        rest = [one.total - one.prepare - one.queue - one.inference for one in found]
        crowded = [
            _front(self._together[n]) / max(_front(self._alone[n]), 1e-5) for n in self._lengths
        ]
        return Profile(
            model=Path(self._setup.model).name,
            sha256=sha256,
            machine=describe_machine(),
            tools=tools(),
            date=today(),
            workers=self._setup.n_workers,
            threads=self._setup.threads,
            token_budget=self._budget,
            seq_len=self._seq_len,
            stride=self._stride,
            n_special=self._meter.n_special,
            http_s=max(0.0, float(np.median(rest))),
            prepare_s=base,
            prepare_token_s=slope,
            front_factor=max(1.0, float(np.median(crowded))),
            batch_factor=self._batch_factor(),
            alone=_times(self._alone),
            together=_times(self._together),
            evidence={
                "requests": self._meter.n_requests,
                "seconds": round(self._seconds, 1),
            },
        )

    def _batch_factor(self) -> float:
        """Time of a full batch of the shortest windows, over that of its rows one by one."""
        if not self._batches:
            return 1.0
        batch = float(np.median([one.inference for one in self._batches]))
        single = float(np.median([one.inference for one in self._alone[self._lengths[0]]]))
        return min(max(batch / (self._batch_rows * single), 0.05), 2.0)


class _Meter:
    """Sends requests to a server and notes where their time goes."""

    def __init__(self, port: int, texts: Texts, setup: Setup) -> None:
        self._port, self._texts, self._setup = port, texts, setup
        self._main = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        self.n_requests = 0

    @property
    def n_special(self) -> int:
        return self._texts.n_special

    def close(self) -> None:
        self._main.close()

    def warm_up(self, tokens: int) -> None:
        for _ in range(_WARM_UP):
            self._ask(self._main, self._body(tokens))

    def alone(self, tokens: int, seconds: float) -> list[Answered]:
        """One request after the other."""
        return self._ask_for(seconds, lambda: self._ask(self._main, self._body(tokens)))

    def together(self, tokens: int, seconds: float) -> list[Answered]:
        """As many clients as there are workers."""
        n = self._setup.n_workers
        if n == 1:
            return self.alone(tokens, seconds / 2)
        found: list[list[Answered]] = [[] for _ in range(n)]
        faults: list[Exception] = []

        def client(number: int) -> None:
            with closing(http.client.HTTPConnection("127.0.0.1", self._port)) as line:
                try:
                    found[number] = self._ask_for(
                        seconds, lambda: self._ask(line, self._body(tokens))
                    )
                except (OSError, http.client.HTTPException, PotstillError) as error:
                    faults.append(error)

        threads = [threading.Thread(target=client, args=(number,)) for number in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise ModelError(f"the server did not answer while it was measured: {faults[0]}")
        return [one for own in found for one in own]

    def batch(self, tokens: int, rows: int, seconds: float) -> list[Answered]:
        """Requests of several questions each."""

        def body() -> bytes:
            return _encoded([self._texts.item(tokens) for _ in range(rows)])

        return self._ask_for(seconds, lambda: self._ask(self._main, body()))

    def _body(self, tokens: int) -> bytes:
        return _encoded(self._texts.item(tokens))

    def _ask_for(self, seconds: float, ask: Callable[[], Answered]) -> list[Answered]:
        until = time.perf_counter() + seconds
        found: list[Answered] = []
        while time.perf_counter() < until or len(found) < _LEAST:
            found.append(ask())
        return found

    def _ask(self, line: http.client.HTTPConnection, body: bytes) -> Answered:
        began = time.perf_counter()
        line.request("POST", "/", body, {"content-type": "application/json"})
        answer = line.getresponse()
        said = answer.read()
        total = time.perf_counter() - began
        if answer.status != 200:
            raise ModelError(f"the server answered {answer.status}: {said[:200].decode('latin-1')}")
        self.n_requests += 1
        names = ("prepare", "queue", "inference")
        return Answered(total, *(float(answer.headers[f"x-{name}-time"]) / 1000 for name in names))


def _encoded(inputs: Any) -> bytes:
    return json.dumps({"inputs": inputs, "timeout_ms": 60_000}).encode()


def _front(found: Sequence[Answered]) -> float:
    """Median seconds before the queue and after the model."""
    return float(np.median([one.total - one.queue - one.inference for one in found]))


def _times(found: dict[int, list[Answered]]) -> list[WindowTimes]:
    # The server's headers end at a tenth of a millisecond: no time is less than half of that.
    return [
        WindowTimes(n, len(row), quantiles([max(one.inference, 5e-5) for one in row]))
        for n, row in found.items()
    ]


def _line(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Slope and intercept, neither below 0, through the medians of ``ys`` at each of ``xs``."""
    at = sorted(set(xs))
    by = [float(np.median([y for x, y in zip(xs, ys, strict=True) if x == one])) for one in at]
    if len(at) < 2:
        return 0.0, max(0.0, by[0])
    slope = max(0.0, float(np.polyfit(at, by, 1)[0]))
    return slope, max(0.0, float(np.mean(by) - slope * np.mean(at)))


def tools() -> dict[str, str]:
    """Versions of what a time depends on."""
    return {name: metadata.version(name) for name in ("potstill", "onnxruntime", "tokenizers")}


def get_json(port: int, path: str) -> Any:
    """What a server on this machine answers to a ``GET``."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        line.request("GET", path)
        return json.loads(line.getresponse().read())
    finally:
        line.close()
