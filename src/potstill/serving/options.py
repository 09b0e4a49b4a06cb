"""What a service is started with, and the limits it keeps to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from potstill.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a service takes, and how long it waits; ``/info`` shows them all."""

    max_body: int = 4_000_000
    """Bytes of a request's body."""
    max_file: int = 20_000_000
    """Bytes of a file sent to ``/text``."""
    max_items: int = 128
    """Questions or texts of one request."""
    max_context: int = 200_000
    """Code points of one context, question or text."""
    max_text: int = 300_000
    """Code points of all texts of one request, equal ones counted once, those of Chinese, Japanese
    and Korean twice; ``max_context`` where that is larger. To tokenize so many takes about 0.2 s
    and 30 MB."""
    max_windows: int = 2048
    """Windows of one request."""
    max_queue: int = 1024
    """Windows that may wait: where so many do, further requests are refused until some are done."""
    max_requests: int = 512
    """Requests being worked on or waiting."""
    max_connections: int = 2048
    """Open connections; a further one is closed at once."""
    cache: int = 4_000_000
    """Code points of the contexts that are kept tokenized, those used last."""
    timeout_ms: int = 30_000
    """Time a request is given where it does not say."""
    max_timeout_ms: int = 120_000
    """Longest time that a request may ask for."""
    read_timeout_s: float = 10.0
    """Seconds in which a request's head, and then its body, must have arrived."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            least = 0 if item.name == "cache" else 1e-3 if item.name == "read_timeout_s" else 1
            if not least <= value < math.inf:
                raise InputError(f"{item.name} must be at least {least:g}, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How a service is set up; see `potstill serve --help` for the same in words."""

    models: Mapping[str, str] = field(default_factory=lambda: {"default": "default"})
    """Name → ``default``, model folder or hub id; the first is used where a request names none."""
    workers: int | None = None
    """Threads that run models. Where neither this nor ``threads`` is given, both are those that
    read most rows of the first model a second, which ``runtime="auto"`` measures; any other
    runtime gets one worker of one thread for each core."""
    threads: int | None = None
    """Threads of one run of a model; 1 where only ``workers`` is given."""
    runtime: str | None = None
    """What runs the models, as for `QAClient.from_options`; by default what ``POTSTILL_RUNTIME``
    says, or the quickest, by measurement."""
    index: str | None = None
    """Folder of an index whose documents ``/ask`` answers from."""
    token: str | None = None
    """Bearer token that requests must carry."""
    host_names: tuple[str, ...] = ()
    """Names by which requests may call the server in their header ``Host``, beside ``localhost``
    and addresses; ``*`` for any. Without any, and with a token, none is checked: a page that makes
    its own name point here (DNS rebinding) cannot know the token."""
    origins: tuple[str, ...] = ()
    """Origins whose pages may call (CORS); ``*`` for all."""
    drain_delay_s: float = 0.0
    """Seconds after SIGTERM during which requests are still taken while ``/ready`` says no."""
    drain_timeout_s: float = 30.0
    """Most seconds that accepted requests are waited for after that."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.models:
            raise InputError("there is no model to serve: name one")
        for name in ("workers", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        for name in ("drain_delay_s", "drain_timeout_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.token is not None and not self.token.strip():
            raise InputError("the token is empty: give one, or omit it")
        if self.token is not None and self.token != "".join(self.token.split()):
            if len(self.token.split()) > 1:
                raise InputError("the token holds blanks, which no header can carry: give another")
            # From a file, with the line break behind it.
            object.__setattr__(self, "token", self.token.strip())
