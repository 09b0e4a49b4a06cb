"""A server in a thread of the test, on a real socket."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from load_client import Connection

from potstill.serving.options import ServeOptions
from potstill.serving.server import listen, make_server
from potstill.serving.service import Service


def wait_until(true, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


class Running:
    def __init__(self, options: ServeOptions, *, load: bool = True) -> None:
        self.service = Service(options)
        self._listener = listen("127.0.0.1", 0)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = make_server(self.service)
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )
        self.thread.start()
        wait_until(lambda: self.server.started)
        if load:
            self.service.load()
            assert self.service.failure is None, self.service.failure
            wait_until(self.service.ready)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()
        assert self.service.close()

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON of one answer; POST where there is a body."""
        data = body if isinstance(body, bytes) else b"" if body is None else encoded(body)
        method = "GET" if body is None else "POST"

        status, found, text = self._once(lambda line: line.request(method, path, data, **headers))
        is_json = found.get("content-type", "").startswith("application/json")
        return status, found, json.loads(text) if is_json else text.decode()

    def send(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        """As `ask`, of bytes as they are."""
        return self._once(lambda line: line.send(data))

    def _once(self, talk: Callable[[Connection], Awaitable[Any]]) -> Any:
        async def once() -> Any:
            line = Connection("127.0.0.1", self.port)
            try:
                return await asyncio.wait_for(talk(line), 60)
            finally:
                line.close()

        return asyncio.run(once())


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def question(text: str, context: str, **parameters: Any) -> dict[str, Any]:
    call: dict[str, Any] = {"inputs": {"question": text, "context": context}}
    return call | ({"parameters": parameters} if parameters else {})
