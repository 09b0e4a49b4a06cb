"""A step of distillation from a warm cache against a step of fine-tuning: same student and batches.

    python benchmarks/distil_epoch.py STUDENT TEACHER TRAIN [--steps 20] [--threads 2]

STUDENT and TEACHER are whatever a recipe's ``base`` takes: default, a folder or a hub id; TRAIN is
a file of questions with answers. Both runs are the real ones, each in a process of its own, and
take the same batches in turns. A first distillation run only fills the cache and is thrown away,
so that what is measured reads it from disk as any second run does. An epoch is its steps, so the
ratio of the sums is that of two epochs; what a run does once before its first step, laying the
teacher's outputs over the student's tokens, is given beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from compare import report, summary
from worker import Worker

DISTIL = "distil"
FINETUNE = "finetune"
CODE = """
import json, sys, time
from potstill.errors import PotstillError
from potstill.training.recipe_file import make_recipe
from potstill.training.runs import Listeners

verb, values = sys.argv[1], json.loads(sys.argv[2])
if verb == "distil":
    from potstill.training.distil import distil as train
else:
    from potstill.training.finetune import finetune as train

def wait():
    if not sys.stdin.readline():
        raise SystemExit

aligning = []

def stage(name, done, total):
    if name == "aligning":
        aligning.append(time.perf_counter())

def start(done, n_steps):
    if n_steps < int(sys.argv[3]):
        sys.exit(
            f"distil_epoch: error: the data make {n_steps} steps, {sys.argv[3]} are needed: "
            "give fewer --steps or more data"
        )
    print("ready", flush=True)
    wait()

def step(report):
    print(json.dumps({
        "seconds": report.seconds,
        "tokens": report.tokens,
        "n_steps": report.n_steps,
        "aligning": aligning[-1] - aligning[0] if aligning else None,
    }), flush=True)
    wait()

try:
    train(make_recipe(values, verb=verb), listeners=Listeners(start=start, step=step, stage=stage))
except PotstillError as error:
    sys.exit(f"{verb}: error: {error}")
"""
_WARM_UP = 2
"""Steps taken before the clock runs: the first ones allocate."""


def recipes(arguments: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """The two recipes: they differ in nothing but the teacher and what belongs to it."""
    shared = {
        "base": arguments.student,
        "train": arguments.train,
        "epochs": 1.0,
        # One more than is asked for: the last step of a run also writes a checkpoint.
        "max_steps": _WARM_UP + arguments.steps + 1,
        "batch_tokens": arguments.batch_tokens,
        "threads": arguments.threads,
        "save_minutes": 0.0,
    }
    cache = arguments.cache or str(folder / "cache")
    return {
        DISTIL: {
            **shared,
            "out": str(folder / DISTIL),
            "teacher": arguments.teacher,
            "cache": cache,
        },
        FINETUNE: {**shared, "out": str(folder / FINETUNE)},
    }


def measure(runs: dict[str, dict[str, Any]], steps: int) -> dict[str, Any]:
    """The whole benchmark.

    Args:
        runs: the recipes.
        steps: of each that count.

    Returns:
        What `compare.summary` does, with ``of_sums`` and ``of_sums_with_aligning`` in its ratio.
    """
    told = _take_steps(runs, _WARM_UP + steps)
    tokens = {verb: [step["tokens"] for step in each] for verb, each in told.items()}
    if tokens[DISTIL] != tokens[FINETUNE]:
        sys.exit("distil_epoch: error: the two runs took different batches")
    times = {
        verb: [after["seconds"] - before["seconds"] for before, after in itertools.pairwise(each)]
        for verb, each in told.items()
    }
    times = {verb: each[_WARM_UP - 1 :] for verb, each in times.items()}
    result = summary(times, slow=DISTIL, fast=FINETUNE)
    last = told[DISTIL][-1]
    if last["aligning"] is None:
        sys.exit("distil_epoch: error: the distillation run told of no stage 'aligning'")
    # All steps of the run were aligned at once, of which the measured ones are a part.
    aligning = last["aligning"] * steps / last["n_steps"]
    sums = {verb: sum(each) for verb, each in times.items()}
    result["ratio"]["of_sums"] = sums[DISTIL] / sums[FINETUNE]
    result["ratio"]["of_sums_with_aligning"] = (sums[DISTIL] + aligning) / sums[FINETUNE]
    result["tokens"] = sum(tokens[DISTIL][_WARM_UP:])
    return result


def _take_steps(runs: dict[str, dict[str, Any]], n: int) -> dict[str, list[dict[str, Any]]]:
    """What both runs told of their first ``n`` steps, taken in turns."""

    def start(verb: str) -> Worker:
        return Worker(sys.executable, CODE, verb, json.dumps(runs[verb]), str(n))

    start(DISTIL).close()  # fills the cache
    told: dict[str, list[dict[str, Any]]] = {verb: [] for verb in runs}
    with contextlib.ExitStack() as stack:
        workers = {verb: stack.enter_context(start(verb)) for verb in runs}
        for number in range(n):
            verbs = list(workers)
            for verb in verbs if number % 2 else reversed(verbs):
                told[verb].append(workers[verb].ask({}))
    return told


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("student", help="default, a model folder or a hub id")
    parser.add_argument("teacher", help="the same")
    parser.add_argument("train", help="file of questions with answers")
    parser.add_argument("--steps", type=int, default=20, help="steps measured of each run")
    parser.add_argument("--batch-tokens", type=int, default=4000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", help="folder of the teacher's outputs; default: a temporary one")
    arguments = parser.parse_args()
    if arguments.steps < 1:
        parser.error("--steps must be at least 1")
    with tempfile.TemporaryDirectory() as folder:
        result = measure(recipes(arguments, Path(folder)), arguments.steps)
    result["threads"] = arguments.threads
    ratio = result["ratio"]
    print(
        f"an epoch of distillation takes {ratio['of_sums']:.3f} times one of fine-tuning, "
        f"{ratio['of_sums_with_aligning']:.3f} times with what is done once before the first"
    )
    report(result, "ms", 1000, names=(DISTIL, FINETUNE), ratio="times slower")


if __name__ == "__main__":
    main()
