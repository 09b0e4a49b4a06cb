"""The first 1,000 questions one at a time through a teacher and its student, in turns.

    python benchmarks/thousand.py TEACHER STUDENT DATA [-n 1000] [--threads 2] [--precision fp32]

TEACHER and STUDENT are whatever ``--model`` takes: default, a folder or a hub id; DATA is a file
of questions with gold answers (SQuAD JSON and others). It is the speed test that articles on
distilled readers end with, with three differences: both models are asked each question one right
after the other, so that what slows the machine slows both; medians and quartiles are given, not
one sum; and EM and F1 on the same questions stand beside them. Loading, and the first questions,
asked once before, are left out.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from compare import report, summary

from potstill import QAClient, load_qa
from potstill.bundle import layout
from potstill.bundle.layout import ONNX_FILES
from potstill.errors import PotstillError
from potstill.evaluation.readings import collect, score_predictions
from potstill.records import QAExample
from potstill.runtime.native_session import NativeSession
from potstill.runtime.reading import Reading
from potstill.runtime.session import OnnxSession

TEACHER = "teacher"
STUDENT = "student"
_WARM_UP = 5
"""Questions asked before the clock runs: the first calls allocate."""


def ask_in_turns(
    clients: dict[str, QAClient], examples: list[QAExample]
) -> tuple[dict[str, list[float]], dict[str, list[Reading]]]:
    """Seconds and readings of every question, by client; who comes first alternates."""
    for example in examples[:_WARM_UP]:
        for client in clients.values():
            client.read(example.question, example.context)
    times: dict[str, list[float]] = {name: [] for name in clients}
    readings: dict[str, list[Reading]] = {name: [] for name in clients}
    for number, example in enumerate(examples):
        names = list(clients)
        for name in names if number % 2 else reversed(names):
            began = time.perf_counter()
            reading = clients[name].read(example.question, example.context)
            times[name].append(time.perf_counter() - began)
            readings[name].append(reading)
    return times, readings


def precision_of(client: QAClient) -> str:
    """Which of a folder's files a client runs."""
    assert isinstance(client.session, (NativeSession, OnnxSession))
    return layout.precision_of(client.session.file)


def measure(models: dict[str, str], data: str, n: int, **options: Any) -> dict[str, Any]:
    """The whole benchmark.

    Args:
        models: teacher and student → model, as the user names it.
        data: file of questions.
        n: of its first questions.
        **options: of both clients, see `potstill.QAClient.from_options`.

    Raises:
        PotstillError: a model or the data cannot be used.
    """
    loaded = load_qa(data)
    examples = loaded.examples[:n]
    clients = {name: QAClient.from_options(model, **options) for name, model in models.items()}
    times, readings = ask_in_turns(clients, examples)
    result = summary(times, slow=TEACHER, fast=STUDENT)
    for name, client in clients.items():
        scores = score_predictions(
            examples,
            collect(examples, readings[name]),
            rules_v2=loaded.no_answer,
            null_threshold=client.options.threshold,
        )
        result[name] |= {"model": Path(models[name]).name, "precision": precision_of(client)}
        result[name] |= {"exact": scores["exact"], "f1": scores["f1"]}
    if result[TEACHER]["f1"]:
        result["f1_kept"] = result[STUDENT]["f1"] / result[TEACHER]["f1"]
    return result


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teacher", help="default, a model folder or a hub id")
    parser.add_argument("student", help="the same")
    parser.add_argument("data", help="file of questions with gold answers")
    parser.add_argument("-n", type=int, default=1000, help="questions, from the file's beginning")
    parser.add_argument("--threads", type=int, default=2, help="threads of one question")
    parser.add_argument(
        "--precision", choices=list(ONNX_FILES), help="file of both models; default: their own"
    )
    arguments = parser.parse_args()
    if arguments.n < 1:
        parser.error("-n must be at least 1")
    models = {TEACHER: arguments.teacher, STUDENT: arguments.student}
    try:
        result = measure(
            models,
            arguments.data,
            arguments.n,
            threads=arguments.threads,
            precision=arguments.precision,
        )
    except PotstillError as error:
        print(f"thousand: error: {error}", file=sys.stderr)
        return 1
    result["threads"] = arguments.threads
    for name in (TEACHER, STUDENT):
        row = result[name]
        print(
            f"{name}: {row['model']} ({row['precision']}), "
            f"EM {row['exact']:.2f}, F1 {row['f1']:.2f}"
        )
    report(result, "ms", 1000, names=(TEACHER, STUDENT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
