"""The server under load: throughput, overhead, and the same weights behind FastAPI + transformers.

    python benchmarks/serve_load.py --quick
    python benchmarks/serve_load.py MODEL DATA [--rounds 8]
    python benchmarks/serve_load.py mite DATA --soak 100000

MODEL is ``default``, a folder that both systems read, or ``distilbert``, ``bert-tiny`` or ``mite``
for made weights of that shape; DATA a file of questions (SQuAD JSON and others), by default a few
about examples/whisky.txt. The peer runs in the environment that `peers` makes. The load comes from
a process of its own (`load_client.py`), whose processor time is measured and shown, since it shares
the cores. Systems are loaded in turns of a few seconds, so that what slows the machine slows both.
Then questions arrive at three times the rate that was measured, at random moments, whether or not
they are answered. The last line printed is JSON; the exit status is 1 where a number of the table
is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from compare import OURS, PEER
from made import SHAPES, exported, made_model
from peers import NONE, add_peer, peer_python
from records import surroundings, verdict

from potstill.runtime.machine import usable_cores

HERE = Path(__file__).parent
WHISKY = HERE.parent / "examples" / "whisky.txt"
QUESTIONS = (
    "Who patented the column still?",
    "What are pot stills made of?",
    "What does copper take out of the vapour?",
    "When was the column still patented?",
)
SOAK_CACHE = 300_000
"""Code points of contexts that a soak keeps: fewer than its questions have, so that some go."""
SOAK_CHARACTERS = 300
"""Of each context, in a soak."""
SOAK_SECONDS = 20.0
"""Time between two looks at its memory."""


def items(data: Path | None, n: int) -> list[dict[str, str]]:
    """Questions with their contexts: a random choice of a file's, or those about whisky."""
    if data is None:
        context = WHISKY.read_text(encoding="utf-8")
        return [{"question": question, "context": context} for question in QUESTIONS]
    from potstill import load_qa

    examples = load_qa(data).examples
    chosen = random.Random(0).sample(examples, min(n, len(examples)))
    return [{"question": one.question, "context": one.context} for one in chosen]


@contextmanager
def serving(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server as a process, from the moment it is ready."""
    process = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        until = time.monotonic() + 600
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    sys.exit(f"{command[0]} did not start: status {process.poll()}")
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def loaded(
    port: int, bodies: Path, *, clients: int = 1, seconds: float, rate: float = 0, pid: int = 0
) -> dict[str, Any]:
    """What the load generator reports, in a process of its own.

    Args:
        port: of the server.
        bodies: file of bodies, one a line.
        clients: that ask as fast as the answers come.
        seconds: of the load.
        rate: questions a second at random moments instead, where it is not 0.
        pid: a process whose memory is looked at each second, for ``rss_kb``.
    """
    command = [sys.executable, str(HERE / "load_client.py"), f"http://127.0.0.1:{port}/"]
    command += [str(bodies), "--clients", str(clients), "--seconds", str(seconds)]
    command += ["--rate", str(rate)] if rate else []
    sizes: list[int] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while True:
            try:
                printed, _ = process.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired:
                sizes += [rss_kb(pid)] if pid else []
    if process.returncode:
        sys.exit(f"the load generator ended with status {process.returncode}")
    return summarised(json.loads(printed.splitlines()[-1])) | {"rss_kb": sizes}


def summarised(found: dict[str, Any]) -> dict[str, Any]:
    """Rates and percentiles of one load."""
    times = sorted(found["latencies"]["200"])
    if not times:
        sys.exit(f"no answer of 200: {found['statuses']}")
    refused = found["latencies"]["429"]
    return {
        "questions_per_s": len(times) / found["seconds"],
        "p50_ms": 1000 * statistics.median(times),
        "p99_ms": 1000 * times[min(len(times) - 1, int(0.99 * len(times)))],
        "refused_p50_ms": 1000 * statistics.median(refused) if refused else None,
        "statuses": found["statuses"],
        "client_cpu_share": found["cpu_seconds"] / found["seconds"],
    }


def rss_kb(pid: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(x for x in status.splitlines() if x.startswith("VmRSS")).split()[1])


def commands(arguments: argparse.Namespace, out: Path) -> dict[str, tuple[list[str], int]]:
    """System → how it is started, and its port."""
    port = arguments.port
    if arguments.model in SHAPES:
        arguments.model = str(made_model(arguments.model, out / "made"))
    ours = [sys.executable, "-m", "potstill", "serve", "--model", f"m={arguments.model}"]
    ours += ["--port", str(port), "--runtime", arguments.runtime, "--log-level", "warning"]
    ours += ["--workers", str(arguments.workers)] if arguments.workers else []
    found = {OURS: (ours, port)}
    if arguments.peer_python:
        folder = arguments.model  # transformers reads no ONNX: it gets the same weights as floats
        if folder == "default":
            folder = str(exported(folder, out / "exported"))
        peer = [arguments.peer_python, str(HERE / "serve_peer.py"), folder, str(port + 1)]
        found[PEER] = ([*peer, str(usable_cores())], port + 1)
    return found


class Worker:
    """`serve_worker.py`, which stays loaded from one round to the next."""

    def __init__(self, arguments: argparse.Namespace, bodies: Path) -> None:
        command = [sys.executable, str(HERE / "serve_worker.py"), arguments.model, str(bodies)]
        command += ["--runtime", arguments.runtime, "--port", str(arguments.port)]
        command += ["--workers", str(arguments.workers)] if arguments.workers else []
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def measured(self, what: str, seconds: float) -> Any:
        """What it says of ``many`` or ``paired``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what} {seconds}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"serve_worker.py ended with status {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate(timeout=60)


def measure(arguments: argparse.Namespace, bodies: Path, out: Path) -> dict[str, Any]:
    """Every figure of the table; lists hold one of each round.

    Everything that is compared runs in turns of a few seconds, with all systems loaded and those
    that are not asked asleep: a shared machine is twice as slow for minutes at a time.
    """
    seconds = arguments.seconds
    systems = commands(arguments, out)
    result: dict[str, Any] = {"in_process_per_s": [], "http": [], "here": []}
    with ExitStack() as stack:
        for command, port in systems.values():
            stack.enter_context(serving(command, port))
        worker = Worker(arguments, bodies)
        stack.callback(worker.close)
        result["layout"] = layout_of(arguments.port)
        # First, while no context of these questions is known to the server.
        worker.measured("paired", 0)
        for _ in range(arguments.rounds):
            pairs = worker.measured("paired", seconds)
            result["http"] += pairs["http"]
            result["here"] += pairs["here"]
        worker.measured("many", min(seconds, 2))
        for _, port in systems.values():
            loaded(port, bodies, clients=2, seconds=min(seconds, 2))
        for number in range(arguments.rounds):
            for clients in (1, arguments.clients):
                for name in systems if number % 2 else reversed(systems):
                    _, port = systems[name]
                    found = loaded(port, bodies, clients=clients, seconds=seconds)
                    result.setdefault(f"{name} at {clients}", []).append(found)
            many = worker.measured("many", seconds)
            result["in_process_per_s"].append(many["questions_per_s"])
    if arguments.overload:
        rates = [one["questions_per_s"] for one in result[f"{OURS} at {arguments.clients}"]]
        result["overload"] = overloaded(
            arguments, bodies, systems[OURS], 3 * statistics.median(rates)
        )
    return result


def layout_of(port: int) -> dict[str, Any]:
    """What the server says of how it runs its model."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/info", timeout=5) as answer:
        info = json.load(answer)
    model = info["models"]["m"]
    return {key: info[key] for key in ("workers", "threads")} | {
        key: model[key] for key in ("runtime", "token_budget")
    }


def overloaded(
    arguments: argparse.Namespace, bodies: Path, system: tuple[list[str], int], rate: float
) -> dict[str, Any]:
    """A load of so many questions a second, on a server with a short queue."""
    command, port = system
    with serving([*command, "--max-queue", "32", "--timeout-ms", "5000"], port) as process:
        # The cache of contexts is full before memory is looked at.
        loaded(port, bodies, clients=arguments.clients, seconds=min(10.0, arguments.overload))
        found = loaded(port, bodies, seconds=arguments.overload, rate=rate, pid=process.pid)
    sizes = found["rss_kb"]
    return {**found, "rate": rate, "rss_grew": sizes[-1] / sizes[0] - 1 if sizes else 0.0}


def soak(arguments: argparse.Namespace, bodies: Path, out: Path) -> dict[str, Any]:
    """Resident memory over so many requests, as a list of (requests, kilobytes)."""
    command, port = commands(arguments, out)[OURS]
    done, sizes = 0, []
    statuses: dict[str, int] = {}
    began = time.monotonic()
    with serving([*command, "--cache", str(SOAK_CACHE)], port) as process:
        while done < arguments.soak:
            found = loaded(port, bodies, clients=arguments.clients, seconds=SOAK_SECONDS)
            for status, n in found["statuses"].items():
                statuses[status] = statuses.get(status, 0) + n
            done = sum(statuses.values())
            sizes.append((done, rss_kb(process.pid)))
            print(f"{done} requests, {sizes[-1][1]} kB", file=sys.stderr)
    warm = [kb for n, kb in sizes if n >= arguments.soak / 10]
    return {
        "requests": done,
        "statuses": statuses,
        "seconds": time.monotonic() - began,
        "sizes": sizes,
        "drift_after_warm_up": warm[-1] / warm[0] - 1,
    }


def checked(result: dict[str, Any], clients: int) -> dict[str, Any]:
    """The numbers that are asked for: medians of the rounds' ratios, with their quartiles."""
    ours = [one["questions_per_s"] for one in result[f"{OURS} at {clients}"]]
    added = [1000 * (a - b) for a, b in zip(result["http"], result["here"], strict=True)]
    found: dict[str, Any] = {
        "of_in_process": _quartiles(
            [a / b for a, b in zip(ours, result["in_process_per_s"], strict=True)]
        ),
        "added_ms": _quartiles(added),
        "times_the_peer": None,
        "p99_of_the_peers": None,
    }
    theirs = result.get(f"{PEER} at {clients}")
    if theirs:
        rates = [one["questions_per_s"] for one in theirs]
        found["times_the_peer"] = _quartiles([a / b for a, b in zip(ours, rates, strict=True)])
        p99 = [[one["p99_ms"] for one in rows] for rows in (result[f"{OURS} at {clients}"], theirs)]
        found["p99_of_the_peers"] = _quartiles([a / b for a, b in zip(*p99, strict=True)])
    return found


def _quartiles(values: list[float]) -> list[float]:
    """First quartile, median, third quartile."""
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def passed(numbers: dict[str, Any], overload: dict[str, Any] | None) -> dict[str, bool | None]:
    """Number → whether it is reached; ``None`` where it was not measured."""
    peer, p99 = numbers["times_the_peer"], numbers["p99_of_the_peers"]
    found = {
        "throughput of in-process ≥ 0.8": numbers["of_in_process"][1] >= 0.8,
        "HTTP and queue ≤ 2 ms": numbers["added_ms"][1] <= 2,
        "times the peer ≥ 3": None if peer is None else peer[1] >= 3,
        "p99 below the peer's": None if p99 is None else p99[1] < 1,
    }
    if overload:
        found["overload: only 200, 429, 504"] = set(overload["statuses"]) <= {"200", "429", "504"}
        found["overload: 429 ≤ 20 ms"] = (overload["refused_p50_ms"] or 0) <= 20
    return found


def show(result: dict[str, Any], clients: int) -> None:
    """A table for people: medians of the rounds, least and most in brackets."""
    print(f"{'':20}{'questions/s':>22}{'p50 ms':>26}{'p99 ms':>28}{'client CPU':>12}")
    for name in (f"{s} at {n}" for s in (OURS, PEER) for n in (1, clients)):
        rows = result.get(name, [])
        if rows:
            rates, p50, p99 = (
                _spread([r[key] for r in rows]) for key in ("questions_per_s", "p50_ms", "p99_ms")
            )
            share = statistics.median(r["client_cpu_share"] for r in rows)
            print(f"{name:20}{rates:>22}{p50:>26}{p99:>28}{share:>12.2f}")
    print(f"{'in process':20}{_spread(result['in_process_per_s']):>22}")
    numbers = result["numbers"]
    for title, key, unit in (
        ("of in-process throughput", "of_in_process", ""),
        ("HTTP and queue add", "added_ms", " ms"),
        ("times the peer", "times_the_peer", ""),
        ("p99, of the peer's", "p99_of_the_peers", ""),
    ):
        if numbers[key]:
            low, middle, high = numbers[key]
            n = len(result["http"] if unit else result["in_process_per_s"])
            print(f"{title:26}{middle:.2f}{unit} (quartiles {low:.2f} to {high:.2f}, n = {n})")
    overload = result.get("overload")
    if overload:
        print(
            f"overload, {overload['rate']:.0f} a second   {overload['statuses']}, 429 in "
            f"{overload['refused_p50_ms']} ms, 200 in {overload['p50_ms']:.0f} ms, "
            f"memory {overload['rss_grew']:+.1%}"
        )
    for name, reached in result["passed"].items():
        print(f"{name:32}{'not measured' if reached is None else 'yes' if reached else 'NO'}")


def _spread(values: list[float]) -> str:
    middle = statistics.median(values)
    return f"{middle:.1f} ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("data", nargs="?", type=Path)
    add_peer(parser)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5, help="of each load")
    parser.add_argument(
        "--overload", type=float, default=60, help="seconds of overload, 0 for none"
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--workers", type=int, help="by default as the server's tuning has it")
    parser.add_argument("--runtime", default="auto", help="of server and process")
    parser.add_argument("--port", type=int, default=8390)
    parser.add_argument("--soak", type=int, default=0, metavar="N", help="only N requests' memory")
    parser.add_argument("--quick", action="store_true", help="a few seconds of everything")
    arguments = parser.parse_args()
    arguments.peer_python = peer_python(NONE if arguments.soak else arguments.peer_python)
    if arguments.quick:
        arguments.seconds, arguments.overload, arguments.rounds = 2, 3, 1
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        os.environ["POTSTILL_CACHE"] = str(out / "cache")  # nothing measured before counts
        bodies = out / "bodies.jsonl"
        asked = items(arguments.data, 20_000 if arguments.soak else 500)
        if arguments.soak:  # many requests are the point, not long ones
            asked = [{**item, "context": item["context"][:SOAK_CHARACTERS]} for item in asked]
        lines = [json.dumps({"inputs": item}) for item in asked]
        bodies.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if arguments.soak:
            print(json.dumps(surroundings() | soak(arguments, bodies, out)))
            return
        result = measure(arguments, bodies, out)
    result["numbers"] = checked(result, arguments.clients)
    result["passed"] = passed(result["numbers"], result.get("overload"))
    show(result, arguments.clients)
    result = {**result, "http": len(result["http"]), "here": len(result["here"])}
    print(json.dumps(surroundings() | result))
    sys.exit(verdict(result["passed"]))


if __name__ == "__main__":
    main()
