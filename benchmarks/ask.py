"""One question at a time, the same float32 weights: potstill against transformers' pipeline.

    python benchmarks/ask.py MODEL DATA [-n 200] [--threads 2]

MODEL is a Hugging Face folder that both read, DATA a file of questions (SQuAD JSON and others).
The peer runs in the environment that `peers` makes. Both systems run in a process of their own, are
asked the same question one right after the other, in turns, and time
their own call; starting and loading are left out.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from compare import OURS, PEER, report, summary
from peers import add_peer, peer_python
from worker import Worker

_LOOP = """
print("ready", flush=True)
for line in sys.stdin:
    item = json.loads(line)
    began = time.perf_counter()
    result = answer(question=item["question"], context=item["context"])
    took = time.perf_counter() - began
    print(json.dumps({"seconds": took, "answer": result["answer"]}), flush=True)
"""
CODE = {
    PEER: """
import json, sys, time
import torch
from transformers import pipeline
torch.set_num_threads(int(sys.argv[2]))
# Without it a folder of float16 weights would be run in float16, many times slower on a CPU.
answer = pipeline("question-answering", model=sys.argv[1], dtype=torch.float32)
"""
    + _LOOP,
    OURS: """
import json, sys, time
from potstill import pipeline
answer = pipeline("question-answering", model=sys.argv[1], threads=int(sys.argv[2]))
"""
    + _LOOP,
}


def questions(data: Path, n: int, seed: int) -> list[dict[str, str]]:
    """A random choice of the questions of a file."""
    from potstill import load_qa

    examples = load_qa(data).examples
    chosen = random.Random(seed).sample(examples, min(n, len(examples)))
    return [{"question": example.question, "context": example.context} for example in chosen]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    add_peer(parser)
    parser.add_argument("-n", type=int, default=200, help="questions")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    items = questions(arguments.data, arguments.n, arguments.seed)
    peer = peer_python(arguments.peer_python)
    pythons = {PEER: peer, OURS: sys.executable} if peer else {OURS: sys.executable}
    workers = {
        name: Worker(python, CODE[name], str(arguments.model), str(arguments.threads))
        for name, python in pythons.items()
    }
    for item in items[:5]:
        for worker in workers.values():
            worker.ask(item)
    times: dict[str, list[float]] = {name: [] for name in workers}
    answers: dict[str, list[str]] = {name: [] for name in workers}
    for number, item in enumerate(items):
        names = list(workers)
        for name in names if number % 2 else reversed(names):
            found = workers[name].ask(item)
            times[name].append(found["seconds"])
            answers[name].append(found["answer"])
    for worker in workers.values():
        worker.close()
    result = {"threads": arguments.threads, **summary(times)}
    if PEER in answers:
        same = sum(a == b for a, b in zip(answers[PEER], answers[OURS], strict=True))
        result["same_answers"] = same / len(items)
    report(result, "ms", 1000)


if __name__ == "__main__":
    main()
