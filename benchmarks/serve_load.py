"""The server under load: throughput, overhead, and the same weights behind FastAPI + transformers.

    python benchmarks/serve_load.py --quick
    python benchmarks/serve_load.py MODEL DATA --peer-python PEER/bin/python [--seconds 20]
    python benchmarks/serve_load.py MODEL DATA --soak 100000

MODEL is ``default`` or a folder that both systems read; DATA a file of questions (SQuAD JSON and
others), by default a few about examples/whisky.txt. PEER is an environment of its own with
transformers==4.57.6, torch, fastapi and uvicorn. The load comes from a process of its own
(`load_client.py`), whose processor time is measured and shown, since it shares the cores. Systems
are loaded in turns, so that what slows the machine slows both.
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compare import OURS, PEER

HERE = Path(__file__).parent
WHISKY = HERE.parent / "examples" / "whisky.txt"
QUESTIONS = (
    "Who patented the column still?",
    "What are pot stills made of?",
    "What does copper take out of the vapour?",
    "When was the column still patented?",
)
PEER_CODE = """
import sys, threading
import torch, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

torch.set_num_threads(int(sys.argv[3]))
answer = pipeline("question-answering", model=sys.argv[1], dtype=torch.float32)
app = FastAPI()
# Its tokenizer changes its truncation in each call and is not safe between threads.
lock = threading.Lock()

class Inputs(BaseModel):
    question: str
    context: str

class Call(BaseModel):
    inputs: Inputs

@app.post("/")
def ask(call: Call):
    with lock:
        return answer(question=call.inputs.question, context=call.inputs.context)

@app.get("/ready")
def ready():
    return {"ready": True}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
"""
IN_PROCESS = """
import json, sys, time
from potstill import QAClient

threads = int(sys.argv[3])
client = QAClient.from_options(sys.argv[1], threads=1)
pairs = [json.loads(line)["inputs"] for line in open(sys.argv[2], encoding="utf-8")]
pairs = [(one["question"], one["context"]) for one in pairs]
client.predict_many(pairs[:64], workers=threads)
until, n, began = time.perf_counter() + float(sys.argv[4]), 0, time.perf_counter()
while time.perf_counter() < until:
    client.predict_many(pairs, workers=threads, max_answer_tokens=15, align_to_words=True)
    n += len(pairs)
print(json.dumps(n / (time.perf_counter() - began)))
"""
ONE_BY_ONE = """
import json, statistics, sys, time
from potstill import pipeline

answer = pipeline("question-answering", sys.argv[1], threads=1)
pairs = [json.loads(line)["inputs"] for line in open(sys.argv[2], encoding="utf-8")]
times = []
until = time.perf_counter() + float(sys.argv[3])
while time.perf_counter() < until or len(times) < 20:
    began = time.perf_counter()
    answer(pairs[len(times) % len(pairs)])
    times.append(time.perf_counter() - began)
print(json.dumps(statistics.median(times[10:])))
"""


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


def loaded(port: int, bodies: Path, *, clients: int, seconds: float) -> dict[str, Any]:
    """What the load generator reports, in a process of its own."""
    command = [sys.executable, str(HERE / "load_client.py"), f"http://127.0.0.1:{port}/"]
    command += [str(bodies), "--clients", str(clients), "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return summarised(found)


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


def in_process(code: str, *arguments: str) -> float:
    """The number that a program prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def rss_kb(pid: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(x for x in status.splitlines() if x.startswith("VmRSS")).split()[1])


def commands(arguments: argparse.Namespace) -> dict[str, tuple[list[str], int]]:
    """System → how it is started, and its port."""
    port = arguments.port
    ours = [sys.executable, "-m", "potstill", "serve", "--model", f"m={arguments.model}"]
    ours += ["--port", str(port), "--workers", str(arguments.threads), "--log-level", "warning"]
    found = {OURS: (ours, port)}
    if arguments.peer_python:
        peer = [arguments.peer_python, "-c", PEER_CODE, arguments.model, str(port + 1)]
        found[PEER] = ([*peer, str(arguments.threads)], port + 1)
    return found


def measure(arguments: argparse.Namespace, bodies: Path) -> dict[str, Any]:
    """Every figure of the table."""
    seconds = arguments.seconds
    result: dict[str, Any] = {"threads": arguments.threads, "seconds": seconds}
    systems = commands(arguments)
    for round_number in range(arguments.rounds):
        order = list(systems) if round_number % 2 else list(reversed(systems))
        for name in order:
            command, port = systems[name]
            with serving(command, port):
                loaded(port, bodies, clients=2, seconds=min(seconds, 2))
                for clients in (1, arguments.clients):
                    found = loaded(port, bodies, clients=clients, seconds=seconds)
                    result.setdefault(f"{name} at {clients}", []).append(found)
        alone = in_process(ONE_BY_ONE, arguments.model, str(bodies), str(seconds))
        result.setdefault("one_by_one_p50_ms", []).append(1000 * alone)
        many = in_process(
            IN_PROCESS, arguments.model, str(bodies), str(arguments.threads), str(seconds)
        )
        result.setdefault("in_process_per_s", []).append(many)
    command, port = systems[OURS]
    with serving([*command, "--max-queue", "32", "--timeout-ms", "5000"], port) as process:
        loaded(port, bodies, clients=2, seconds=min(seconds, 2))
        before = rss_kb(process.pid)
        clients = 3 * arguments.clients
        result["overload"] = loaded(port, bodies, clients=clients, seconds=arguments.overload)
        result["overload"]["rss_grew"] = rss_kb(process.pid) / before - 1
    return result


def soak(arguments: argparse.Namespace, bodies: Path) -> dict[str, Any]:
    """Resident memory over so many requests, as a list of (requests, kilobytes)."""
    command, port = commands(arguments)[OURS]
    done, sizes = 0, []
    with serving(command, port) as process:
        while done < arguments.soak:
            found = loaded(port, bodies, clients=arguments.clients, seconds=10)
            done += sum(found["statuses"].values())
            sizes.append((done, rss_kb(process.pid)))
    warm = [kb for n, kb in sizes if n >= arguments.soak / 10]
    return {"sizes": sizes, "drift_after_warm_up": warm[-1] / warm[0] - 1}


def show(result: dict[str, Any], clients: int) -> None:
    """A table for people."""
    median = statistics.median
    print(f"{'':24}{'questions/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'client CPU':>12}")
    for name in (f"{s} at {n}" for s in (OURS, PEER) for n in (1, clients)):
        rows = result.get(name, [])
        if rows:
            print(
                f"{name:24}{median(r['questions_per_s'] for r in rows):>12.1f}"
                f"{median(r['p50_ms'] for r in rows):>9.1f}"
                f"{median(r['p99_ms'] for r in rows):>9.1f}"
                f"{median(r['client_cpu_share'] for r in rows):>12.2f}"
            )
    ours = median(r["questions_per_s"] for r in result[f"{OURS} at {clients}"])
    print(f"of in-process throughput  {ours / median(result['in_process_per_s']):.2f}")
    over = median(r["p50_ms"] for r in result[f"{OURS} at 1"]) - median(result["one_by_one_p50_ms"])
    print(f"HTTP and queue, p50       {over:.2f} ms")
    if f"{PEER} at {clients}" in result:
        theirs = median(r["questions_per_s"] for r in result[f"{PEER} at {clients}"])
        print(f"times the peer            {ours / theirs:.2f}")
    overload = result["overload"]
    print(
        f"overload                  {overload['statuses']}, 429 in {overload['refused_p50_ms']} ms"
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--peer-python", help="python of the peer's environment")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    parser.add_argument("--overload", type=float, default=60, help="seconds of overload")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--port", type=int, default=8390)
    parser.add_argument("--soak", type=int, default=0, metavar="N", help="only N requests' memory")
    parser.add_argument("--quick", action="store_true", help="a few seconds of everything")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seconds, arguments.overload, arguments.rounds = 2, 3, 1
    with tempfile.TemporaryDirectory() as folder:
        bodies = Path(folder) / "bodies.jsonl"
        lines = [json.dumps({"inputs": item}) for item in items(arguments.data, 500)]
        bodies.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if arguments.soak:
            print(json.dumps(soak(arguments, bodies)))
            return
        result = measure(arguments, bodies)
    show(result, arguments.clients)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
