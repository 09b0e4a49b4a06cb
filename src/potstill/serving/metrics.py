"""What a service counts, in Prometheus's words."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from potstill.serving.batcher import Observer

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TOKENS = (32, 64, 128, 192, 256, 384, 512, 1024, 2048, 4096)


class Metrics(Observer):
    """Counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.requests = Counter(
            "potstill_requests", "Requests answered.", ["path", "status"], registry=registry
        )
        self.pending = Gauge(
            "potstill_requests_pending", "Requests accepted and not answered.", registry=registry
        )
        self.queue = Gauge("potstill_queue_windows", "Windows that wait.", registry=registry)
        self.ready = Gauge("potstill_ready", "1 where /ready says so.", registry=registry)
        self.cached = Gauge(
            "potstill_cache_characters", "Code points of contexts kept.", registry=registry
        )
        self.dropped = Counter(
            "potstill_dropped", "Requests dropped unanswered.", ["reason"], registry=registry
        )
        self.windows = Counter("potstill_windows", "Windows run.", ["model"], registry=registry)
        self.tokens = Counter("potstill_tokens", "Tokens run.", ["model"], registry=registry)
        self.failures = Counter(
            "potstill_model_failures", "Batches that raised.", ["model"], registry=registry
        )
        self.batch_tokens = Histogram(
            "potstill_batch_tokens",
            "Tokens of a batch, padding included.",
            ["model"],
            buckets=_TOKENS,
            registry=registry,
        )
        self.batch_windows = Histogram(
            "potstill_batch_windows",
            "Windows of a batch.",
            ["model"],
            buckets=(1, 2, 3, 4, 6, 8, 16, 32),
            registry=registry,
        )
        self.seconds = Histogram(
            "potstill_stage_seconds",
            "Seconds of a request by stage.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.model_seconds = Histogram(
            "potstill_batch_seconds",
            "Seconds of a batch in the model.",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )

    def batch(self, lane: str, n_rows: int, n_tokens: int, n_padded: int, seconds: float) -> None:
        """Counts a batch that was run."""
        self.windows.labels(lane).inc(n_rows)
        self.tokens.labels(lane).inc(n_tokens)
        self.batch_tokens.labels(lane).observe(n_padded)
        self.batch_windows.labels(lane).observe(n_rows)
        self.model_seconds.labels(lane).observe(seconds)

    def failure(self, lane: str) -> None:
        """Counts a batch that raised."""
        self.failures.labels(lane).inc()

    def follow(
        self, queue: Callable[[], float], ready: Callable[[], float], cached: Callable[[], float]
    ) -> None:
        """Reads gauges from where they are known, whenever the page is asked for."""
        self.queue.set_function(queue)
        self.ready.set_function(ready)
        self.cached.set_function(cached)

    def render(self) -> bytes:
        """The page of ``/metrics``."""
        return generate_latest(self.registry)
