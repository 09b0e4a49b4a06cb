"""Training by two processes against one, one thread each: tokens a second, in turns.

    python benchmarks/train_processes.py BASE TRAIN [--steps 6] [--rounds 3] [--record FILE]

Both fine-tune BASE on the first questions of TRAIN by the same recipe (`squad-minilm`
with two batches a step, so that none is cut), on the CPU, by gloo. Tokens are real ones, padding
left out. Each round runs both, one after the other; the first step of each run is left out. Exits
with 1 where two processes are less than 1.6 times as fast.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from compare import spread_of

LIMIT = 1.6
WARM_UP = 1


def train(values: dict[str, Any]) -> None:
    """One run; its first process prints tokens and seconds of every step."""
    from potstill.training.recipe.file import make_recipe
    from potstill.training.run.report import Listeners
    from potstill.training.start import start

    def step(report: Any) -> None:
        print(json.dumps({"tokens": report.tokens, "seconds": report.seconds}), flush=True)

    start(make_recipe(values), listeners=Listeners(step=step))


def measured(values: dict[str, Any], folder: Path, processes: int) -> tuple[float, int]:
    """Tokens a second of a run in a process of its own, or in two, and the tokens it took."""
    own = {**values, "out": str(folder), "devices": processes}
    command = [sys.executable, __file__, "--run", json.dumps(own)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"train_processes: error: a run failed:\n{done.stderr[-2000:]}")
    steps = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    tokens = sum(one["tokens"] for one in steps[WARM_UP:])
    return tokens / (steps[-1]["seconds"] - steps[WARM_UP - 1]["seconds"]), tokens


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", nargs="?", help="model folder, hub id or default")
    parser.add_argument("train", nargs="?", help="file of questions with answers")
    parser.add_argument("--steps", type=int, default=6, help="steps measured of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-tokens", type=int, default=4000)
    parser.add_argument("--examples", type=int, default=2000, help="first questions of the file")
    parser.add_argument("--record", type=Path, metavar="FILE", help="also write the JSON there")
    parser.add_argument("--quick", action="store_true", help="a step of each, to see that it runs")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        train(json.loads(arguments.run))
        return 0
    if not arguments.base or not arguments.train:
        parser.error("name a model to start from and training data")
    if arguments.quick:
        arguments.steps, arguments.rounds, arguments.batch_tokens = 1, 1, 800
    values = {
        "base": arguments.base,
        "train": arguments.train,
        "examples": arguments.examples,
        "max_steps": WARM_UP + arguments.steps,
        "epochs": 100.0,  # `max_steps` ends it
        "batch_tokens": arguments.batch_tokens,
        "accumulate": 2,
        "dropout": 0.1,
        "device": "cpu",
        "threads": 1,
        "save_minutes": 0.0,
        "fix_offsets": True,
    }
    rates: dict[int, list[float]] = {1: [], 2: []}
    taken: set[int] = set()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.rounds):
            for processes in (1, 2) if number % 2 else (2, 1):
                rate, tokens = measured(values, Path(folder, f"{number}-{processes}"), processes)
                rates[processes].append(rate)
                taken.add(tokens)
    assert len(taken) == 1, f"the runs took {taken} tokens"
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    result = {
        "tokens": taken.pop(),
        "steps": arguments.steps,
        "one": spread_of(rates[1]),
        "two": spread_of(rates[2]),
        "ratio": spread_of(ratios),
        "asked": LIMIT,
    }
    for name in ("one", "two", "ratio"):
        own = result[name]
        print(f"{name:6}{own['median']:>9.2f}  ({own['q1']:.2f} to {own['q3']:.2f}), n={own['n']}")
    if arguments.record:
        arguments.record.parent.mkdir(parents=True, exist_ok=True)
        arguments.record.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result))
    return int(result["ratio"]["median"] < LIMIT)


if __name__ == "__main__":
    sys.exit(main())
