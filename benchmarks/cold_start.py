"""From shell to answer: `potstill ask` against the question-answering pipeline of transformers.

    python benchmarks/cold_start.py [--peer-model FOLDER] [--json] [--record FILE]

The peer runs in the environment that `peers` makes. Each round starts both programs once, one after
the other. By default the peer reads the embedded model, exported as a Hugging Face folder. The exit
status is 1 where potstill is not `LEAST` times faster.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compare import OURS, PEER, report, summary
from peers import add_peer, peer_python
from records import add_options, finish, verdict

LEAST = 8.0
"""Least ratio of the medians."""
QUESTION = "Who won?"
CONTEXT = "The Denver Broncos defeated the Carolina Panthers 24–10."
PEER_CODE = """
import json, sys
import torch
from transformers import pipeline
# Without it a folder of float16 weights would be run in float16, many times slower on a CPU.
answer = pipeline("question-answering", model=sys.argv[1], dtype=torch.float32)
print(json.dumps(answer(question=sys.argv[2], context=sys.argv[3])))
"""


def seconds(command: list[str]) -> float:
    """Wall-clock time of a program that prints an answer."""
    began = time.perf_counter()
    # The peer must not ask the hub whether a local folder has a newer version.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    # An installed package has its bytecode; a checkout writes it in the run that is not counted.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    took = time.perf_counter() - began
    if done.returncode or "answer" not in json.dumps(json.loads(done.stdout)):
        sys.exit(f"{command[0]} failed: {done.stderr.strip()[-2000:]}")
    return took


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_peer(parser)
    parser.add_argument("--peer-model", type=Path, help="Hugging Face folder for the peer")
    parser.add_argument("--model", default="default", help="model for potstill")
    parser.add_argument("-n", type=int, default=9, help="rounds")
    add_options(parser)
    arguments = parser.parse_args()
    python = peer_python(arguments.peer_python)
    potstill = [sys.executable, "-m", "potstill"]
    ask = [*potstill, "ask", QUESTION, "--context", CONTEXT, "--json", "--model", arguments.model]
    with tempfile.TemporaryDirectory() as folder:
        commands = {OURS: ask}
        if python:
            model = arguments.peer_model
            if model is None:
                model = Path(folder) / "model"
                export = ["export", arguments.model, str(model), "--format", "hf"]
                subprocess.run([*potstill, *export], check=True, stdout=subprocess.DEVNULL)
            peer = [python, "-c", PEER_CODE, str(model), QUESTION, CONTEXT]
            commands = {PEER: peer, OURS: ask}
        for command in commands.values():
            seconds(command)  # fills the file cache
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(arguments.n):
            for name, command in commands.items():
                times[name].append(seconds(command))
    found = summary(times)
    ratio = found.get("ratio")
    reached = None if ratio is None else ratio["of_medians"] >= LEAST
    if not arguments.json:
        report(found, "s ", 1)
    checks: dict[str, bool | None] = {f"≥ {LEAST:.0f}": reached}
    finish("cold_start", {"seconds": found, "least": LEAST, "checks": checks}, arguments)
    return verdict(checks)


if __name__ == "__main__":
    sys.exit(main())
