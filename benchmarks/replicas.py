"""One server, two behind a balancer, and Ray Serve: the same cores, the same questions, in turns.

    python benchmarks/replicas.py [MODEL] [DATA] [--seconds 20] [--rounds 3]
    python benchmarks/replicas.py --quick

MODEL is ``default`` or a folder; DATA a file of questions, by default a few about whisky. One
process runs all workers; two replicas have half of them each, behind `balancer.py` or Ray's proxy.
The load comes from a process of its own (`load_client.py`), which shares the cores with them all.
The last line printed is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from serve_load import items, loaded, serving

HERE = Path(__file__).parent
ONE, BALANCED, RAY = "one server", "two, balanced", "Ray Serve"


def plain(model: str, port: int, workers: int) -> list[str]:
    """The command of a server."""
    command = [sys.executable, "-m", "potstill", "serve", "--model", f"m={model}"]
    command += ["--port", str(port), "--workers", str(workers), "--log-level", "warning"]
    return command


@contextmanager
def one(model: str, port: int, workers: int) -> Iterator[int]:
    """All workers in one process."""
    with serving(plain(model, port, workers), port):
        yield port


@contextmanager
def balanced(model: str, port: int, workers: int) -> Iterator[int]:
    """Two processes with half of the workers each."""
    half = max(1, workers // 2)
    with ExitStack() as stack:
        for number in (1, 2):
            stack.enter_context(serving(plain(model, port + number, half), port + number))
        command = [sys.executable, str(HERE / "balancer.py"), str(port)]
        stack.enter_context(serving([*command, str(port + 1), str(port + 2)], port))
        yield port


@contextmanager
def on_ray(model: str, port: int, workers: int) -> Iterator[int]:
    """Two replicas with half of the workers each, under Ray Serve."""
    half = max(1, workers // 2)
    command = [*plain(model, port, half), "--engine", "ray", "--replicas", "2"]
    with serving(command, port):
        yield port


SYSTEMS: dict[str, Callable[[str, int, int], Any]] = {ONE: one, BALANCED: balanced, RAY: on_ray}


def measure(arguments: argparse.Namespace, bodies: Path) -> dict[str, Any]:
    """Every figure of the table: system → number of clients → what each round found."""
    names = [name for name in SYSTEMS if name != RAY or not arguments.without_ray]
    result: dict[str, Any] = {name: {} for name in names}
    for number in range(arguments.rounds):
        for name in names if number % 2 else reversed(names):
            with SYSTEMS[name](arguments.model, arguments.port, arguments.workers) as port:
                loaded(port, bodies, clients=2, seconds=min(arguments.seconds, 2))
                for clients in (1, arguments.clients):
                    found = loaded(port, bodies, clients=clients, seconds=arguments.seconds)
                    result[name].setdefault(str(clients), []).append(found)
    return {"workers": arguments.workers, "cores": os.cpu_count(), "systems": result}


def show(result: dict[str, Any]) -> None:
    """A table for people."""
    print(f"{'':18}{'clients':>8}{'questions/s':>13}{'p50 ms':>9}{'p99 ms':>9}")
    for name, loads in result["systems"].items():
        for clients, rows in loads.items():
            rate, p50, p99 = (
                statistics.median(row[key] for row in rows)
                for key in ("questions_per_s", "p50_ms", "p99_ms")
            )
            print(f"{name:18}{clients:>8}{rate:>13.1f}{p50:>9.1f}{p99:>9.1f}")


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2, help="in all")
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=8490, help="this and the two after it")
    parser.add_argument("--without-ray", action="store_true", help="leave Ray Serve out")
    parser.add_argument("--quick", action="store_true", help="a few seconds of everything")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seconds, arguments.rounds, arguments.clients = 2, 1, 8
    if not arguments.without_ray and find_spec("ray") is None:
        print("replicas: error: there is no Ray: pip install 'potstill[ray]', or --without-ray",
              file=sys.stderr)  # fmt: skip
        return 1
    with tempfile.TemporaryDirectory() as folder:
        bodies = Path(folder) / "bodies.jsonl"
        lines = [json.dumps({"inputs": item}) for item in items(arguments.data, 500)]
        bodies.write_text("\n".join(lines) + "\n", encoding="utf-8")
        result = measure(arguments, bodies)
    show(result)
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
