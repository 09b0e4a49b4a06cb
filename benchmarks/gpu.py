"""Questions a second on a CUDA card: transformers' pipeline, padded batches, unpadded batches.

    python benchmarks/gpu.py MODEL DATA [--peer-python PEER/bin/python] [-n 2000] [--json]

MODEL is default, a folder or a hub id; DATA a file of questions. All of them answer the same
questions on the same card, in turns: the pipeline of transformers 4 in float16, and this package's
model in float32 and bfloat16 with padded batches, with torch.compile, and unpadded
(`benchmarks/unpadded.py`).
Where there is no card, it says so, measures nothing and exits with 3.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NO_CARD = 3
"""Exit status where there is no CUDA device."""
PEER = """
import json, sys, time
import torch, transformers
model, batch = sys.argv[1], int(sys.argv[2])
ask = transformers.pipeline("question-answering", model=model, device=0, dtype=torch.float16)
print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)["pairs"]
    items = [{"question": q, "context": c} for q, c in asked]
    began = time.perf_counter()
    found = ask(items, batch_size=batch)
    torch.cuda.synchronize()
    answers = [one["answer"] for one in found]
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "answers": answers,
                      "version": transformers.__version__}), flush=True)
"""

Ask = Callable[[list[tuple[str, str]]], "tuple[float, list[str]]"]
"""Pairs of question and context → seconds, answers."""


def contenders(folder: Path, budget: int) -> dict[str, Ask]:
    """Ours: each a way to run the same weights."""
    import torch
    from unpadded import Unpadded

    from potstill.models.qa import QuestionAnsweringModel
    from potstill.runtime.qa import QAClient
    from potstill.runtime.reading import ReadOptions
    from potstill.runtime.torch_session import TorchSession
    from potstill.text.tokenizer import Tokenizer

    model = QuestionAnsweringModel.from_pretrained(folder).cuda()
    half = QuestionAnsweringModel.from_pretrained(folder).cuda().bfloat16()
    compiled = QuestionAnsweringModel.from_pretrained(folder).cuda().bfloat16()
    compiled.compile(dynamic=True)
    runs = {
        "fp32, padded": model,
        "bf16, padded": half,
        "bf16, compiled": compiled,
        "bf16, unpadded": Unpadded(half),
    }
    tokenizer, options = Tokenizer.from_folder(folder), ReadOptions(token_budget=budget)

    def asker(run: Any) -> Ask:
        client = QAClient(tokenizer, TorchSession(run), options)

        def ask(pairs: list[tuple[str, str]]) -> tuple[float, list[str]]:
            began = time.perf_counter()
            answers = [one.text if one else "" for one in client.predict_many(pairs, workers=1)]
            torch.cuda.synchronize()
            return time.perf_counter() - began, answers

        return ask

    return {name: asker(run) for name, run in runs.items()}


def measure(asks: dict[str, Ask], pairs: list[tuple[str, str]], rounds: int) -> dict[str, Any]:
    """Questions a second of each, and how often it gives the first one's answer."""
    for ask in asks.values():
        ask(pairs)  # compiles, allocates
    seconds: dict[str, list[float]] = {name: [] for name in asks}
    answers: dict[str, list[str]] = {}
    for number in range(rounds):
        for name in list(asks) if number % 2 else reversed(list(asks)):
            took, answers[name] = asks[name](pairs)
            seconds[name].append(took)
    first = answers[next(iter(asks))]
    return {
        name: {
            "questions_per_second": len(pairs) / statistics.median(own),
            "seconds": own,
            "same_answer": sum(a == b for a, b in zip(answers[name], first, strict=True))
            / len(pairs),
        }
        for name, own in seconds.items()
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="default, a model folder or a hub id")
    parser.add_argument("data", type=Path, help="file of questions")
    parser.add_argument("--peer-python", help="Python with transformers 4; left out without it")
    parser.add_argument("-n", type=int, default=2000, help="questions")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-tokens", type=int, default=32_768)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    arguments = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        said = "there is no CUDA device here: nothing was measured"
        print(json.dumps({"device": None, "message": said}) if arguments.json else said)
        sys.exit(NO_CARD)
    from worker import Worker

    from potstill.data.qa import load_qa
    from potstill.export.bundle import export_bundle

    examples = load_qa(arguments.data).examples
    chosen = random.Random(7).sample(examples, min(arguments.n, len(examples)))
    pairs = [(example.question, example.context) for example in chosen]
    result: dict[str, Any] = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        export_bundle(arguments.model, folder)
        asks = contenders(folder, arguments.batch_tokens)
        if arguments.peer_python:
            worker = Worker(arguments.peer_python, PEER, str(folder), "64")

            def peer(asked: list[tuple[str, str]]) -> tuple[float, list[str]]:
                said = worker.ask({"pairs": asked})
                result["peer"] = f"transformers {said['version']}"
                return said["seconds"], said["answers"]

            asks["transformers"] = peer
        result["runs"] = measure(asks, pairs, arguments.rounds)
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{result['device']}, {len(pairs)} questions")
    for name, own in result["runs"].items():
        rate, same = own["questions_per_second"], own["same_answer"]
        print(f"{name:18}{rate:>10.0f} questions a second, {same:.1%} of the fp32 answers")


if __name__ == "__main__":
    main()
