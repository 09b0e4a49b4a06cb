"""What every request passes before and after the app: id, token, body, errors, headers, log.

Written against ASGI itself: a body is read here once, bounded in size and time, so that nothing
behind has to be afraid of it.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from potstill.serving import files
from potstill.serving.faults import Refusal
from potstill.serving.service import Disconnected, Service

Message: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
Send: TypeAlias = "Callable[[Message], Awaitable[None]]"
App: TypeAlias = "Callable[[Message, Receive, Send], Awaitable[None]]"

log = logging.getLogger("potstill.serving")
access = logging.getLogger("potstill.access")

OPEN = {"/", "/live", "/ready", "/health", "/docs", "/openapi.json"}
"""Paths that need no token when read: probes, and pages that hold nothing secret."""
_OPEN_FOLDERS = ("/static/", "/v2/health/")
_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_SWALLOWED = 32_000_000
"""Bytes of a body that is too large which are still read, so that the client hears why."""
_CLOSING = {408, 413, 503}
"""Statuses after which the connection is closed: more of the body may be under way."""
_FIXED = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
]


class Entrance:
    """The outermost ASGI app."""

    def __init__(self, app: App, service: Service) -> None:
        self._app = app
        self._service = service
        token = service.options.token
        self._token = None if token is None else token.encode()
        names = service.options.host_names
        self._names = {name.lower().rstrip(".") for name in names}
        self._any_name = "*" in names or (token is not None and not names)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one request; ``lifespan`` passes through."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = {name: value for name, value in scope["headers"]}  # the last of each counts
        visit = _Visit(self._service, scope, send, _id_of(headers))
        try:
            self._check_host(headers)
            self._check_token(scope, headers)
            if scope["method"] in ("POST", "PUT", "PATCH"):
                receive = await self._read(scope["path"], headers, receive)
            await self._app(scope, receive, visit.send)
        except Refusal as refusal:
            await visit.refuse(refusal)
        except Disconnected:
            visit.status = 499
        except Exception:  # the last door: whatever went wrong, the client gets the one shape
            log.exception("request %s failed", visit.id)
            await visit.refuse(Refusal(500, f"internal error; the log has it under {visit.id}"))
        finally:
            visit.end()

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        """Refuses names that are not the server's; nobody can make an address point elsewhere."""
        host = headers.get(b"host", b"").decode("latin-1")
        if self._any_name or not host:  # a browser always sends one
            return
        name = (host[1:].partition("]")[0] if host[0] == "[" else host.partition(":")[0]).lower()
        name = name.rstrip(".")
        if name == "localhost" or name.endswith(".localhost") or name in self._names:
            return
        try:
            ipaddress.ip_address(name)
        except ValueError:
            raise Refusal(
                421, f"{name[:80]!r} is no name of this server: start it with --host-name NAME"
            ) from None

    def _check_token(self, scope: Message, headers: dict[bytes, bytes]) -> None:
        if self._token is None:
            return
        path = scope["path"]
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            return  # a browser asks what it may send before it sends any token
        if scope["method"] in ("GET", "HEAD") and (path in OPEN or path.startswith(_OPEN_FOLDERS)):
            return
        given = headers.get(b"authorization", b"")
        kind, _, token = given.partition(b" ")
        right = hmac.compare_digest(token.strip(), self._token)
        if kind.lower() != b"bearer" or not right:
            raise Refusal(401, "send the header Authorization: Bearer TOKEN with the right token")

    async def _read(self, path: str, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        encoding = headers.get(b"content-encoding", b"identity")
        if encoding.lower() != b"identity":
            raise Refusal(415, f"content-encoding {encoding[:40]!r} is not taken: send it plain")
        limits = self._service.options.limits
        most = limits.max_file if path == files.PATH else limits.max_body
        try:
            body = await asyncio.wait_for(_body(receive, most, headers), limits.read_timeout_s)
        except asyncio.TimeoutError:
            raise Refusal(408, f"the body did not arrive in {limits.read_timeout_s:g} s") from None
        wanted = files.KINDS if path == files.PATH else ("application/json",)
        kind = headers.get(b"content-type", wanted[0].encode()).split(b";")[0].strip().lower()
        is_json = path != files.PATH and kind.endswith(b"+json")
        if kind.decode("latin-1") not in wanted and not is_json:
            said = kind[:40].decode("latin-1")
            raise Refusal(415, f"content-type {said!r}: send {' or '.join(wanted)}")
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        return replay


class _Visit:
    """One request on its way out."""

    def __init__(self, service: Service, scope: Message, send: Send, request_id: str) -> None:
        self.id = request_id
        self.status = 0
        self._service = service
        self._scope = scope
        self._send = send
        self._began = time.monotonic()
        self._times: dict[str, float] = {}

    async def send(self, message: Message) -> None:
        """Sends on, with the headers that every answer carries."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", []))
            for name, value in headers:
                if name.startswith(b"x-") and name.endswith(b"-time"):
                    self._times[f"{name[2:-5].decode()}_ms"] = float(value)
            headers += [(b"x-request-id", self.id.encode()), *_FIXED]
            if self._service.state != "serving" or self.status in _CLOSING:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Sends an error, unless an answer has begun."""
        if self.status:
            return
        body = json.dumps(refusal.body(self._scope["path"])).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        pairs = [(k.encode(), v.encode()) for k, v in {**headers, **refusal.headers()}.items()]
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": body})

    def end(self) -> None:
        """Counts and logs; of what was asked, nothing is written."""
        self._service.last_seen = time.monotonic()
        route = self._scope.get("route")
        path = getattr(route, "path", "other")
        self._service.metrics.requests.labels(path, str(self.status)).inc()
        if access.isEnabledFor(logging.INFO):
            took = 1000 * (time.monotonic() - self._began)
            facts = {"id": self.id, "method": self._scope["method"], "path": path}
            facts |= {"status": self.status, "ms": round(took, 1), **self._times}
            access.info("request", extra={"facts": facts})


async def _body(receive: Receive, most: int, headers: dict[bytes, bytes]) -> bytes:
    declared = headers.get(b"content-length", b"0")
    size = int(declared) if declared.isdigit() and len(declared) < 19 else 0
    too_large = Refusal(413, f"the body is larger than the limit of {most} bytes", field="body")
    if size > _SWALLOWED:
        raise too_large
    parts: list[bytes] = []
    n = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected("the client hung up before its body had arrived")
        part = message.get("body", b"")
        n += len(part)
        if n <= most:
            parts.append(part)
        else:
            parts.clear()
        if n > _SWALLOWED:
            raise too_large
        if not message.get("more_body"):
            break
    if n > most:
        raise too_large
    return b"".join(parts)


def _id_of(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if _ID.fullmatch(given) else uuid.uuid4().hex
