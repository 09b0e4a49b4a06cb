"""The engine in JavaScript against onnxruntime, on the same int8 file and questions.

    python benchmarks/javascript.py MODEL DATA [-n 40] [--threads 1] [--json FILE]

MODEL is a folder with an int8 ONNX file that Potstill wrote, or ``default``; DATA a file of
questions (SQuAD JSON and others), of which a random choice is asked with its own paragraphs. Every
system runs in a process of its own and is asked each question in turns, timing its own call from
question to answer: Python's engine, the engine in Node and in a page of headless Chromium,
onnxruntime-node, onnxruntime-web in the page. WebAssembly always has one thread. The answers of
the engine must agree.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

from compare import summary
from node import PYTHON
from worker import Worker

from potstill import load_qa
from potstill.bundle.find import find_model
from potstill.runtime import machine

HERE = Path(__file__).parent
PEERS = {"engine, Node": "onnxruntime-node", "engine, page": "onnxruntime-web, page"}
"""Ours → what it stands instead of."""


def systems(model: Path, threads: int) -> dict[str, Worker]:
    """What is there, by name; the rest is named on standard error."""
    node = shutil.which("node")
    if node is None:
        sys.exit("there is no Node: install version 20 or newer")
    script, n = str(HERE / "node_worker.mjs"), str(threads)

    def in_node(runtime: str, **environment: str) -> Worker:
        arguments = (str(model), runtime, n)
        return Worker(node, script, *arguments, flag=None, environment=environment)

    found = {
        "engine, Python": Worker(sys.executable, PYTHON, str(model), n),
        "engine, Node": in_node("native"),
        "engine, Node, WebAssembly": in_node("native", POTSTILL_KERNEL="wasm"),
        "onnxruntime-node": in_node("onnx"),
    }
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("left out: pages, since there is no Chromium", file=sys.stderr)
        return found
    page = str(HERE / "page_worker.mjs")
    for name, runtime in (("engine, page", "native"), ("onnxruntime-web, page", "onnx")):
        options = json.dumps({"runtime": runtime, "threads": threads})
        found[name] = Worker(node, page, str(model), chromium, options, flag=None)
    return found


def measure(workers: dict[str, Worker], asked: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Seconds of each system and question; who comes first changes with every question."""
    times: dict[str, list[float]] = {name: [] for name in workers}
    names = list(workers)
    for number, item in enumerate([asked[0], *asked]):
        said: dict[str, Any] = {}
        for name in names[number % len(names) :] + names[: number % len(names)]:
            got = workers[name].ask(item)
            said[name] = got["answer"]["text"] if isinstance(got["answer"], dict) else got["answer"]
            if number:  # the first was asked once before: first calls allocate
                times[name].append(got["seconds"])
        ours = {text for name, text in said.items() if name.startswith("engine")}
        if len(ours) > 1:
            sys.exit(f"the engine's answers to {item['question']!r} differ: {said}")
    return times


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="The engine in JavaScript.")
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("-n", type=int, default=40, help="questions")
    parser.add_argument("--threads", type=int, default=1, help="of what has threads")
    parser.add_argument("--json", type=Path, help="write what was measured")
    arguments = parser.parse_args()
    examples = load_qa(arguments.data).examples
    chosen = random.Random(0).sample(examples, min(arguments.n, len(examples)))
    asked = [{"question": one.question, "context": one.context} for one in chosen]
    workers = systems(find_model(arguments.model), arguments.threads)
    times = measure(workers, asked)
    for worker in workers.values():
        worker.close()
    found = summary(times)
    print(f"{machine.processor()}, {len(asked)} questions, {arguments.threads} threads; ms")
    for name in workers:
        row = {key: 1000 * found[name][key] for key in ("median", "q1", "q3")}
        print(f"  {name:26}{row['median']:8.1f}   ({row['q1']:.1f} to {row['q3']:.1f})")
    for ours, peer in PEERS.items():
        if ours in times:
            ratio = summary(times, slow=peer, fast=ours)["ratio"]
            quartiles = f"{ratio['q1']:.2f} to {ratio['q3']:.2f}"
            print(
                f"  {ours} against {peer}: {ratio['of_medians']:.2f} times as quick ({quartiles})"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(times), encoding="utf-8")


if __name__ == "__main__":
    main()
