"""A small HTTP/1.1 client for load: one connection, kept alive, with next to no work of its own.

General clients cost about a millisecond a request, which on two shared cores would be measured as
the server's. Run as a program it is the load generator of `serve_load.py`:

    python benchmarks/load_client.py URL BODIES --clients 32 --seconds 10
    python benchmarks/load_client.py URL BODIES --rate 40 --seconds 10

With ``--rate`` it asks at random moments, so many a second on average, whether or not the answers
keep up: as people do. BODIES is a file of JSON bodies, one a line. The last line printed is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import time
from collections import Counter
from pathlib import Path
from typing import Any


class Connection:
    """One connection to a server; opened when first used, and again after it was closed."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Sends one request; returns status, headers and body of the answer."""
        head = {"host": self.host, "content-length": str(len(body))}
        head |= {"content-type": "application/json"} if body else {}
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        return await self.send(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)

    async def send(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        """Sends bytes as they are, and reads one answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        try:
            writer.write(data)
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        except BaseException:
            self.close()
            raise
        if headers.get("connection") == "close":
            self.close()
        return int(first.split(" ", 2)[1]), headers, body

    def close(self) -> None:
        """Hangs up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def load(
    host: str, port: int, bodies: list[bytes], *, clients: int, seconds: float, path: str = "/"
) -> dict[str, Any]:
    """Asks as fast as the answers come, with so many clients at a time.

    Returns:
        ``seconds``, ``statuses`` (status → number), and the ``latencies`` of answers of 200 and of
        429, in seconds.
    """
    statuses: Counter[str] = Counter()
    latencies: dict[str, list[float]] = {"200": [], "429": []}
    began = time.perf_counter()
    until = began + seconds
    numbers = iter(range(10**12))

    async def client() -> None:
        line = Connection(host, port)
        while time.perf_counter() < until:
            body = bodies[next(numbers) % len(bodies)]
            sent = time.perf_counter()
            try:
                status, _, _ = await line.request("POST", path, body)
            except (OSError, asyncio.IncompleteReadError):
                statuses["no answer"] += 1
                continue
            statuses[str(status)] += 1
            if str(status) in latencies:
                latencies[str(status)].append(time.perf_counter() - sent)
        line.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    took = time.perf_counter() - began
    return {"seconds": took, "statuses": dict(statuses), "latencies": latencies}


async def arrive(
    host: str,
    port: int,
    bodies: list[bytes],
    *,
    rate: float,
    n: int,
    path: str = "/",
    seed: int = 0,
) -> dict[str, Any]:
    """Asks at random moments (Poisson), each time on a connection that is free or new.

    A latency counts from the moment that was drawn, so that a late start is not forgiven.

    Returns:
        As `load`.
    """
    drawn = random.Random(seed)
    statuses: Counter[str] = Counter()
    latencies: dict[str, list[float]] = {"200": [], "429": []}
    free: list[Connection] = []
    began = at = time.perf_counter()

    async def ask(due: float, body: bytes) -> None:
        line = free.pop() if free else Connection(host, port)
        try:
            status, _, _ = await line.request("POST", path, body)
        except (OSError, asyncio.IncompleteReadError):
            statuses["no answer"] += 1
            return
        free.append(line)
        statuses[str(status)] += 1
        if str(status) in latencies:
            latencies[str(status)].append(time.perf_counter() - due)

    asked: list[asyncio.Task[None]] = []
    for number in range(n):
        at += drawn.expovariate(rate)
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        asked.append(asyncio.create_task(ask(at, bodies[number % len(bodies)])))
    await asyncio.gather(*asked)
    for line in free:
        line.close()
    took = time.perf_counter() - began
    return {"seconds": took, "statuses": dict(statuses), "latencies": latencies}


def main() -> None:
    """Loads a server and prints what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="http://HOST:PORT/PATH")
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, help="questions a second, at random moments")
    arguments = parser.parse_args()
    address, _, path = arguments.url.removeprefix("http://").partition("/")
    host, _, port = address.partition(":")
    bodies = arguments.bodies.read_bytes().splitlines()
    before = time.process_time()
    to: dict[str, Any] = {"host": host, "port": int(port), "bodies": bodies, "path": f"/{path}"}
    if arguments.rate:
        n = max(1, round(arguments.rate * arguments.seconds))
        found = asyncio.run(arrive(**to, rate=arguments.rate, n=n))
    else:
        found = asyncio.run(load(**to, clients=arguments.clients, seconds=arguments.seconds))
    found["cpu_seconds"] = time.process_time() - before
    found["max_rss_kb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(found))


if __name__ == "__main__":
    main()
