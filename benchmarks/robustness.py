"""How many answers change when a question is typed less tidily.

    python benchmarks/robustness.py MODEL DATA [-n 2000] [--seed 0]

MODEL is whatever ``--model`` takes; DATA is a file of questions with gold answers. Each question is
asked as it stands and then once in each way of `potstill.data.noise`. An answer has changed where
its text is another one in the form in which answers are scored.
"""

from __future__ import annotations

import argparse
import sys
from random import Random
from typing import Any

from records import add_options, finish

from potstill import QAClient, load_qa
from potstill.data.noise import NOISE
from potstill.data.normal import normalize_answer
from potstill.errors import PotstillError
from potstill.evaluation.readings import collect, score_predictions


def measure(model: str, data: str, n: int, *, seed: int, **options: Any) -> dict[str, Any]:
    """The whole benchmark; ``options`` as of `potstill.QAClient.from_options`."""
    examples = load_qa(data).examples
    n = min(n or len(examples), len(examples))
    plain = [examples[i * len(examples) // n] for i in range(n)]
    client = QAClient.from_options(model, **options)
    ways: dict[str, Any] = {}
    texts: list[str] = []
    for way in ("plain", *NOISE):
        asked = plain
        if way != "plain":
            asked = [NOISE[way](e, Random(f"{seed} {way} {e.id}")) for e in plain]
        readings = client.read_many((e.question, e.context) for e in asked)
        found = collect(asked, readings)
        scores = score_predictions(asked, found, rules_v2=False, null_threshold=None)
        answers = [normalize_answer(found.answers[e.id]) for e in asked]
        texts = texts or answers
        changed = sum(a != b for a, b in zip(answers, texts, strict=True))
        ways[way] = {"f1": scores["f1"], "exact": scores["exact"], "changed": 100 * changed / n}
    return {"model": model, "questions": n, "ways": ways}


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; 1 where it could not be run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("-n", type=int, default=2000, help="questions; 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="of the typing mistakes")
    parser.add_argument("--threads", type=int)
    add_options(parser)
    given = parser.parse_args(arguments)
    try:
        found = measure(given.model, given.data, given.n, seed=given.seed, threads=given.threads)
    except PotstillError as error:
        print(f"robustness: {error}", file=sys.stderr)
        return 1
    finish("robustness", found, given)
    if not given.json:
        print(f"{found['questions']:,} questions")
        for way, row in found["ways"].items():
            print(f"{way:>10}  F1 {row['f1']:6.2f}  answers changed {row['changed']:5.1f}%")
    return 0


if __name__ == "__main__":
    sys.exit(main())
