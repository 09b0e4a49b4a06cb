"""The served model without a server, in a process of its own; run by `serve_load.py`.

    python benchmarks/serve_worker.py MODEL BODIES --port 8390

It reads ``many SECONDS`` and ``paired SECONDS`` from standard input, a line each, and answers each
with a line of JSON. ``many``: the questions a second of `QAClient.predict_many`. ``paired`` asks of
the server and, right after or right before, of a pipeline in this process, and gives both lists of
seconds: what HTTP and the queue add is the difference of two neighbours, so that a machine that is
slow for a while is slow for both. Runtime, workers and threads are those that the server takes:
what was measured once is remembered.
"""

from __future__ import annotations

import argparse
import itertools
import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from potstill import QAClient, pipeline

_SKIPPED = 4
"""First pairs of every `paired`, which warm both up."""


def layout(arguments: argparse.Namespace) -> dict[str, Any]:
    """As the server has it: one thread for each worker, or both as they read most."""
    threads = 1 if arguments.workers else None
    workers = arguments.workers or "auto"
    return {"runtime": arguments.runtime, "threads": threads, "workers": workers}


def many(client: QAClient, calls: list[dict[str, Any]], seconds: float) -> dict[str, float]:
    """Questions a second, with the parameters that the server has by default."""
    pairs = [(call["inputs"]["question"], call["inputs"]["context"]) for call in calls]
    began = time.perf_counter()

    def until() -> Iterator[tuple[str, str]]:
        at = 0
        while time.perf_counter() < began + seconds:
            yield pairs[at % len(pairs)]
            at += 1

    found = client.predict_many(until(), max_answer_tokens=15, align_to_words=True)
    return {"questions_per_s": len(found) / (time.perf_counter() - began)}


def paired(
    answer: Any, calls: Iterator[dict[str, Any]], port: int, seconds: float
) -> dict[str, list[float]]:
    """Seconds of each question over HTTP and in this process."""
    http: list[float] = []
    here: list[float] = []
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def over_http(call: dict[str, Any]) -> Any:
            body = json.dumps(call).encode()
            began = time.perf_counter()
            found = _post(line, body)
            http.append(time.perf_counter() - began)
            return found

        def in_process(call: dict[str, Any]) -> Any:
            began = time.perf_counter()
            found = answer(**call["inputs"])
            here.append(time.perf_counter() - began)
            return found

        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(here) <= 2 * _SKIPPED:
            call = next(calls)
            order = (over_http, in_process) if len(here) % 2 else (in_process, over_http)
            first, second = (ask(call) for ask in order)
            if first["answer"] != second["answer"]:
                raise SystemExit(f"two answers to {call['inputs']['question']!r}")
    return {"http": http[_SKIPPED:], "here": here[_SKIPPED:]}


def _post(line: socket.socket, body: bytes) -> Any:
    """One request on a connection that is kept, with next to no work of its own."""
    head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    line.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(line)
    head_bytes, _, text = received.partition(b"\r\n\r\n")
    status, *fields = head_bytes.decode("latin-1").lower().split("\r\n")
    length = next(int(x.split(":")[1]) for x in fields if x.startswith("content-length:"))
    while len(text) < length:
        text += _more(line)
    if " 200 " not in status:
        raise SystemExit(f"the server said {text.decode()}")
    return json.loads(text)


def _more(line: socket.socket) -> bytes:
    data = line.recv(65536)
    if not data:
        raise SystemExit("the server hung up")
    return data


def main() -> None:
    """Measures what it is told to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--port", type=int, default=8390)
    arguments = parser.parse_args()
    lines = arguments.bodies.read_text(encoding="utf-8").splitlines()
    calls = [json.loads(line) for line in lines]
    client = QAClient.from_options(arguments.model, **layout(arguments))
    answer = pipeline("question-answering", arguments.model, **layout(arguments))
    in_turn = itertools.cycle(calls)  # goes on, so that contexts are new to the server's cache
    for line in sys.stdin:
        what, seconds = line.split()
        if what == "many":
            found: Any = many(client, calls, float(seconds))
        else:
            found = paired(answer, in_turn, arguments.port, float(seconds))
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
