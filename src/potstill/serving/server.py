"""The process: socket, signals, connections, and an orderly end."""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import platform
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from potstill.errors import InputError
from potstill.serving.app import create_app
from potstill.serving.faults import error_body
from potstill.serving.logs import set_up
from potstill.serving.options import Limits, ServeOptions
from potstill.serving.service import Service

log = logging.getLogger("potstill.serving")

_HEAD_BYTES = 32 * 1024
"""Most bytes of a request's head, and of what comes in a row without being a body."""
_LARGE_HEAD = f"the request's head is larger than {_HEAD_BYTES} bytes"
_UPGRADE = b"upgrade:"
_SWITCH_S = 0.0005
"""Longest time that a thread holds Python's lock while another waits for it. By default it is 5 ms,
and so would a refusal be late for every worker that is just searching spans."""
_M_ARENA_MAX = -8
"""glibc's number for that option of ``mallopt``, from malloc.h."""
_DRAINING = {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
_QUIET_S = 10.0
"""Seconds for which the loop's next word on the same thing is counted only."""
_OTHER_FILES = 128
"""Descriptors that are no connections: models, sockets that listen, pipes."""
_LINGER_S, _LONGEST_LINGER_S = 0.3, 2.0
"""Seconds of quiet for which the listener stays open after a drain, and the most of them: what is
on its way then gets a 503 rather than a reset."""


def run(options: ServeOptions, *, host: str, port: int, log_level: str = "info") -> int:
    """Serves until a signal ends it.

    SIGTERM and SIGHUP drain: ``/ready`` says no at once, accepted requests are answered, and the
    process ends within ``drain_delay_s`` and ``drain_timeout_s`` and a few seconds. A second one,
    or Ctrl-C, ends it at once.

    Returns:
        The exit status: 0 after a drain in which nothing was lost, 1 where its time ran out.

    Raises:
        InputError: the address cannot be listened to.
        ModelError: a model cannot be opened.
    """
    set_up(log_level)
    limit_arenas()
    sys.setswitchinterval(_SWITCH_S)
    listener = listen(host, port)
    options = replace(options, limits=within_descriptors(options.limits))
    service = Service(options)
    server = make_server(service)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, server.handle_exit)
    loader = threading.Thread(target=_load, args=(service, server), daemon=True)
    loader.start()
    address = listener.getsockname()
    shown = f"[{address[0]}]" if ":" in str(address[0]) else address[0]
    log.info("listening on http://%s:%s", shown, address[1])
    server.run(sockets=[listener])
    ended = service.close()
    if service.failure is not None:
        raise service.failure
    status = 1 if server.lost else 0
    if not ended or loader.is_alive():
        # Threads that are inside a library cannot be ended, and would be torn down with it.
        _leave(status)
    return status


def _load(service: Service, server: Server) -> None:
    try:
        service.load()
    finally:
        if service.failure is not None or not service.models:
            server.should_exit = True


def make_server(service: Service) -> Server:
    """The server of a service; it has to be given a socket."""
    limits = service.options.limits
    config = uvicorn.Config(
        create_app(service),
        http=type("LimitedConnection", (Connection,), {"limits": limits}),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        backlog=2048,
    )
    return Server(config, service)


class Server(uvicorn.Server):
    """uvicorn's server, with signals that drain."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.lost = 0
        """Accepted requests that were not answered when the drain's time ran out."""
        self._service = service
        self._draining: float | None = None
        self._drained: float | None = None
        self._told: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drains on the first SIGTERM or SIGHUP; leaves at once on a second, or on Ctrl-C."""
        if sig not in _DRAINING or self._draining is not None:
            _leave(128 + sig)
        self._draining = time.monotonic()
        self._service.drain()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens; what asyncio has to say of connections becomes a line now and then."""
        asyncio.get_running_loop().set_exception_handler(self._said_by_loop)
        await super().startup(sockets=sockets)

    def _said_by_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Logs one line, of the same thing every ten seconds: a traceback each filled disks."""
        what, error = str(context.get("message", "")), context.get("exception")
        now = time.monotonic()
        if now - self._told.get(what, -_QUIET_S) < _QUIET_S:
            self._untold[what] = self._untold.get(what, 0) + 1
            return
        more = self._untold.pop(what, 0)
        self._told[what] = now
        log.error("%s (%s)%s", what, error, f", and {more} times more" if more else "")

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second: ends the server when a drain is over."""
        if self._draining is not None:
            self._follow_drain(time.monotonic() - self._draining)
        return await super().on_tick(counter)

    def _follow_drain(self, passed: float) -> None:
        service, options = self._service, self._service.options
        if passed < options.drain_delay_s:
            return
        service.taking = False
        passed -= options.drain_delay_s
        if passed > options.drain_timeout_s:
            self.lost = service.n_pending
            log.warning("the drain's time ran out: %d requests are lost", self.lost)
            self.should_exit = True
        elif service.n_pending == 0:
            now = time.monotonic()
            self._drained = self._drained or now
            quiet = now - max(service.last_seen, self._drained) >= _LINGER_S
            self.should_exit = quiet or now - self._drained >= _LONGEST_LINGER_S


class Connection(HttpToolsProtocol):
    """A connection whose heads are bounded in time and size, and whose errors have the one shape.

    The parser bounds neither: it collects fields, and each one's value, for as long as they come.
    """

    limits = Limits()
    _impatient: asyncio.TimerHandle | None = None
    _n_head = 0
    """Bytes of the head's fields so far, and of those that may follow a body."""
    _in_head = True
    """Whether the next byte is of a request's head."""
    _mid_line = False
    _held = b""
    """A line that has begun as one that asks for another protocol does."""
    _n_between = 0
    """Bytes that came since the last of a body, or since a request ended."""

    def connection_made(self, transport: Any) -> None:
        """Refuses one connection too many, and starts the clock."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            self._refuse(503, "too many connections are open")
            return
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Hands bytes to the parser, unless there were too many without a head or a body."""
        self._n_between += len(data)
        for part in self._without_upgrade(data):
            super().data_received(part)
        if self._n_between > _HEAD_BYTES:
            self._refuse(400, _LARGE_HEAD)

    def _without_upgrade(self, data: bytes) -> Iterator[bytes]:
        """The bytes to parse, in which no head asks for another protocol.

        There is none to go over to, and a parser that is asked stops behind the request. A server
        may ignore the field (RFC 9110, section 7.8): it goes on under another name.
        """
        data, self._held = self._held + data, b""
        while data and self._in_head and not self.transport.is_closing():
            whole = b"\r\n\r\n" in data and not self._mid_line
            if whole and _UPGRADE not in data.lower():
                break
            line, end, rest = data.partition(b"\n")
            if not end:
                if not self._mid_line and _UPGRADE.startswith(line.lower()):
                    self._held = line  # it may still become one
                    return
            if not self._mid_line and line.lower().startswith(_UPGRADE):
                line = b"x-upgrade" + line[len(_UPGRADE) - 1 :]
            self._mid_line, data = not end, rest
            yield line + end
        if data:
            yield data

    def on_message_begin(self) -> None:
        """Starts the clock of a further request on the line."""
        super().on_message_begin()
        self._n_head = 0
        if self._impatient is None:
            self._wait_for_head()

    def on_url(self, url: bytes) -> None:
        """Takes a part of the address."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a field."""
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stops the clock: the head is there."""
        self._stop_waiting()
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Takes a part of the body; how large that may be is the gate's to say."""
        self._n_between = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Ends the request."""
        self._n_between = 0
        self._in_head = True
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clock."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Says that the bytes are no HTTP."""
        self._refuse(400, msg)

    def _count_head(self, n: int) -> None:
        self._n_head += n
        if self._n_head > _HEAD_BYTES:
            self._refuse(400, _LARGE_HEAD)
            raise ValueError(_LARGE_HEAD)  # ends the parser's work on what has come

    def _wait_for_head(self) -> None:
        self._impatient = self.loop.call_later(
            self.limits.read_timeout_s,
            self._refuse,
            408,
            "the request's head did not arrive in time",
        )

    def _stop_waiting(self) -> None:
        if self._impatient is not None:
            self._impatient.cancel()
            self._impatient = None

    def _refuse(self, status: int, message: str) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        body = json.dumps(error_body(status, message)).encode("ascii")
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()


def within_descriptors(limits: Limits) -> Limits:
    """The limits with no more connections than the process may have descriptors.

    The soft limit, 1,024 as often as not, is raised first, to the hard one where that is needed.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return limits
    wanted = limits.max_connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < wanted:
        soft = wanted if hard == unlimited else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (OSError, ValueError):  # a system may have one more above them
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == unlimited or soft >= wanted:
        return limits
    fewer = max(1, soft - _OTHER_FILES)
    log.warning("max_connections is %d: the process may have %d descriptors", fewer, soft)
    return replace(limits, max_connections=fewer)


def limit_arenas() -> bool:
    """Has glibc share two arenas among all threads, unless ``MALLOC_ARENA_MAX`` says otherwise.

    It would give each thread one of its own, and what is freed in one is of no use to another: a
    server's memory then grows for as long as it runs (docs/log.md).

    Returns:
        Whether it was done: only where there is glibc.
    """
    if platform.libc_ver()[0] != "glibc" or "MALLOC_ARENA_MAX" in os.environ:
        return False
    return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2))


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address; port 0 takes any that is free.

    Raises:
        InputError: the address cannot be listened to.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio sets TCP_NODELAY only where it is, and without that the
    # second packet of an answer waits 40 ms for the client to acknowledge the first.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise InputError(
            f"cannot listen on {host}:{port}: {error}; choose another --host or --port"
        ) from None
    listener.set_inheritable(True)
    return listener


def _leave(status: int) -> None:
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(status)
