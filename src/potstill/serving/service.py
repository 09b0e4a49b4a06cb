"""The service behind the HTTP app: its models, its state, and how a request passes through."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, Literal, TypeAlias

from potstill.errors import InputError, PotstillError
from potstill.runtime.machine import usable_cores
from potstill.runtime.opening import Opening
from potstill.runtime.plans import Plan
from potstill.runtime.runtimes import AUTO, Layout, runtime_name, warm_up
from potstill.serving.batcher import Batcher, Ticket
from potstill.serving.cache import ContextCache
from potstill.serving.documents import Documents, SentCache
from potstill.serving.faults import Refusal
from potstill.serving.metrics import Metrics
from potstill.serving.opening import open_served
from potstill.serving.options import ServeOptions
from potstill.serving.served import Served
from potstill.tasks.table import TASKS

log = logging.getLogger("potstill.serving")

State: TypeAlias = Literal["loading", "serving", "draining", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Times:
    """Where a request's time went, in seconds."""

    prepare: float
    queue: float
    inference: float

    def headers(self) -> dict[str, str]:
        """``x-…-time``, in milliseconds."""
        return {f"x-{name}-time": f"{1000 * value:.1f}" for name, value in asdict(self).items()}


class Service:
    """Models, batcher, cache and state. Its coroutines belong to one event loop."""

    def __init__(self, options: ServeOptions, metrics: Metrics | None = None) -> None:
        self.options = options
        self.metrics = metrics or Metrics()
        self.cache = ContextCache(options.limits.cache)
        self.models: dict[str, Served[Any, Any]] = {}
        self.documents: Documents | None = None
        """The documents that can be asked, once they were opened."""
        self.sent = SentCache(options.limits.cache)
        self.state: State = "loading"
        self.failure: PotstillError | None = None
        self.layout = _layout(options)
        """Workers and their threads; where neither was given, settled when models are opened."""
        self.closing: list[Callable[[], None]] = []
        """What is to be called when the service ends."""
        self.taking = True
        """Whether new requests are taken; during a drain's delay they are, though not ready."""
        self.n_pending = 0
        self.last_seen = 0.0
        """When a request was last answered, by `time.monotonic`."""
        self._batcher: Batcher | None = None
        self._pool = ThreadPoolExecutor(self.layout.workers, thread_name_prefix="potstill-prepare")
        self._stop = threading.Event()
        self.metrics.follow(lambda: self.n_waiting, self.ready, lambda: self.cache.size)

    @property
    def batcher(self) -> Batcher:
        """The batcher of the models.

        Raises:
            Refusal: 503 while they are being loaded.
        """
        if self._batcher is None:
            raise Refusal(503, "the models are being loaded", retry_after_s=2)
        return self._batcher

    @property
    def n_waiting(self) -> int:
        """Windows in the queue."""
        return self._batcher.n_waiting if self._batcher else 0

    def load(self) -> None:
        """Opens the models and makes each of them answer once; for a thread of its own.

        Where one cannot be opened, ``state`` is ``failed`` afterwards and ``failure`` says why.
        """
        options, began = self.options, time.monotonic()
        opened: dict[str, Served[Any, Any]] = {}
        try:
            documents = Documents(options.index) if options.index else None
            runtime = runtime_name(options.runtime, otherwise=AUTO)
            # One pool of workers runs all models, so the first one's measurement counts for all.
            is_free = options.workers is None and options.threads is None
            for name, model in options.models.items():
                if self._stop.is_set():
                    return
                opening: Opening = {
                    "runtime": runtime,
                    "threads": None if is_free else self.layout.threads,
                    "workers": "auto" if is_free else self.layout.workers,
                }
                found = open_served(
                    name, model, opening=opening, limits=options.limits, cache=self.cache
                )
                if is_free and found.client.opened is not None:
                    self.layout, is_free = found.client.opened.layout, False
                warm_up(found.client.session, found.seq_len)
                opened[name] = found
            reading = [task.name for task in TASKS.values() if task.documents]
            if documents and not any(one.task in reading for one in opened.values()):
                raise InputError(
                    f"an index is asked by a model for {' or '.join(reading)}: add one with --model"
                )
        except PotstillError as error:
            self.failure, self.state = error, "failed"
            return
        self.documents = documents
        self.serve(opened)
        log.info("loaded %s in %.2f s", ", ".join(opened), time.monotonic() - began)

    def serve(self, models: dict[str, Served[Any, Any]]) -> None:
        """Starts to serve models that have been opened."""
        self.models = models
        batcher = Batcher(
            {name: model.lane() for name, model in models.items()},
            workers=self.layout.workers,
            max_queue=self.options.limits.max_queue,
            observer=self.metrics,
        )
        batcher.start()
        self._batcher = batcher
        if self.state == "loading":
            self.state = "serving"

    def ready(self) -> bool:
        """Whether requests should be sent here: every model has answered, and goes on to."""
        return self.state == "serving" and bool(self._batcher and self._batcher.healthy())

    def health(self) -> dict[str, Any]:
        """What ``/health`` says."""
        lanes = self._batcher.lanes if self._batcher else {}
        return {
            "ready": self.ready(),
            "state": self.state,
            "models": {
                name: "ready" if lane.proven else "unproven" for name, lane in lanes.items()
            },
            "requests": self.n_pending,
            "queue": self.n_waiting,
        }

    def model(self, name: str | None) -> Served[Any, Any]:
        """The model of a name, the first where there is none.

        Raises:
            Refusal: 404 where there is no such model, 503 while they are being loaded.
        """
        _ = self.batcher
        found = self.models.get(next(iter(self.models)) if name is None else name)
        if found is None:
            known = ", ".join(self.models)
            raise Refusal(404, f"there is no model {name!r:.80}; served: {known}", field="model")
        return found

    @contextmanager
    def admitted(self, name: str) -> Generator[None, None, None]:
        """Counts a request in while it is worked on.

        Raises:
            Refusal: 503 while draining or unhealthy, 429 where too many are being worked on.
        """
        self._check_open()
        if not self.batcher.healthy(name):
            raise Refusal(503, f"the model {name} does not answer", retry_after_s=1)
        limits = self.options.limits
        full = self.batcher.n_waiting >= limits.max_queue
        if full or self.n_pending >= limits.max_requests:
            raise Refusal(
                429,
                f"{self.n_pending} requests with {self.batcher.n_waiting} windows are waiting: "
                "try again later",
                retry_after_s=self.batcher.wait_s(),
            )
        with self.counted():
            yield

    @contextmanager
    def counted(self) -> Generator[None, None, None]:
        """Counts in a request that needs no model; a drain waits for it too.

        Raises:
            Refusal: 503 while draining.
        """
        self._check_open()
        self.n_pending += 1
        self.metrics.pending.set(self.n_pending)
        try:
            yield
        finally:
            self.n_pending -= 1
            self.metrics.pending.set(self.n_pending)

    def _check_open(self) -> None:
        if not self.taking or self.state not in ("serving", "draining"):
            raise Refusal(503, f"the server is {self.state}", retry_after_s=1)

    async def answer(
        self,
        model: str,
        prepare: Callable[[], Iterable[Plan[Any]]],
        timeout_ms: int | None,
        gone: Callable[[], Any],
        *,
        light: bool = False,
    ) -> tuple[list[Any], Times]:
        """Prepares, queues and waits for one request.

        Args:
            model: its name.
            prepare: makes the plans; called in another thread, unless the request is light. Those
                that it has not made yet when the client hangs up are not asked for.
            timeout_ms: what the request asks for.
            gone: a coroutine function that returns when the client has hung up.
            light: whether preparing takes less than handing it to another thread and back.

        Returns:
            What the plans gave, in order, and the time it took.

        Raises:
            Refusal: the request gets an error for an answer; 504 among them.
            Disconnected: there is nobody to answer any more.
        """
        limits = self.options.limits
        allowed = min(timeout_ms or limits.timeout_ms, limits.max_timeout_ms) / 1000
        began = time.monotonic()
        until = began + allowed
        watch = asyncio.ensure_future(gone())
        try:
            plans = list(prepare()) if light else await self._prepared(prepare, until, watch)
            ticket = self.batcher.submit(model, plans, until)
            try:
                found = await self._wait(ticket.future, until, watch)
            finally:
                self.batcher.cancel(ticket)
        finally:
            watch.cancel()
        times = _times(ticket, began)
        for name in ("prepare", "queue", "inference"):
            self.metrics.seconds.labels(name).observe(getattr(times, name))
        self.metrics.seconds.labels("total").observe(time.monotonic() - began)
        return found, times

    async def _prepared(
        self, prepare: Callable[[], Iterable[Plan[Any]]], until: float, watch: asyncio.Future[Any]
    ) -> list[Plan[Any]]:
        given_up = threading.Event()

        def collected() -> list[Plan[Any]]:
            found: list[Plan[Any]] = []
            for plan in prepare():
                found.append(plan)
                if given_up.is_set():
                    break
            return found

        preparing = self._pool.submit(collected)
        try:
            return await self._wait(preparing, until, watch)
        finally:
            given_up.set()
            preparing.cancel()

    async def _wait(self, work: Future[Any], until: float, watch: asyncio.Future[Any]) -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(_wake, done))
        left = max(0.0, until - time.monotonic())
        await asyncio.wait((done, watch), timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if work.cancelled():
            raise Refusal(503, "the server is stopping", retry_after_s=1)
        if work.done():
            return work.result()
        if watch.done():
            self.metrics.dropped.labels("disconnect").inc()
            raise Disconnected("the client hung up")
        self.metrics.dropped.labels("deadline").inc()
        raise Refusal(504, "the answer was not ready before the deadline")

    def drain(self) -> None:
        """No longer ready; requests that were accepted go on."""
        if self.state in ("loading", "serving"):
            self.state = "draining"

    def close(self, timeout_s: float = 5.0) -> bool:
        """Ends the workers; returns whether all of them have ended."""
        self._stop.set()
        self.state = "stopped"
        self.taking = False
        self._pool.shutdown(wait=False, cancel_futures=True)
        for close in self.closing:
            close()
        return self._batcher.close(timeout_s) if self._batcher else True

    def info(self) -> dict[str, Any]:
        """What ``/info`` says."""
        return {
            "versions": versions(),
            "limits": asdict(self.options.limits),
            "workers": self.layout.workers,
            "threads": self.layout.threads,
            "models": {name: describe(model) for name, model in self.models.items()},
            "passages": self.documents.n_passages if self.documents else 0,
        }


class Disconnected(PotstillError):
    """The client hung up before its answer was ready."""


def _layout(options: ServeOptions) -> Layout:
    threads = options.threads or 1
    return Layout(options.workers or max(1, usable_cores() // threads), threads)


def _wake(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _times(ticket: Ticket, began: float) -> Times:
    return Times(ticket.submitted - began, ticket.queue_s, ticket.inference_s)


def describe(model: Served[Any, Any]) -> dict[str, Any]:
    """What a model is: its shape, and its manifest where it has one."""
    config, manifest = model.facts.config, model.facts.manifest
    return {
        "task": model.task,
        "model_type": config.model_type,
        "n_layers": config.n_layers,
        "hidden_width": config.hidden_width,
        "max_positions": config.max_positions,
        "labels": list(config.labels or ()),
        "runtime": model.client.opened.runtime if model.client.opened else None,
        "token_budget": model.client.options.token_budget,
        "manifest": asdict(manifest) if manifest else None,
    }


def versions() -> dict[str, str]:
    """Versions of Python and of what runs and serves the models."""
    named = ("potstill", "onnxruntime", "tokenizers", "numpy", "fastapi", "uvicorn")
    python = ".".join(map(str, sys.version_info[:3]))
    return {"python": python, **{name: metadata.version(name) for name in named}}
