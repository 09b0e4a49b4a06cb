"""Whether a reader knows when a text does not speak of the question.

    python benchmarks/answerability.py MODEL DATA [-n 0] [--threads N]

MODEL is whatever ``--model`` takes; DATA is a SQuAD 1.1 file. Every other question is asked of its
own paragraph, the rest each of the paragraph of another article that BM25 ranks best for it and
that holds none of its answers. Nothing is fitted here: the threshold and the temperature are those
that the model ships with.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import Any

import numpy as np
from records import add_options, finish

from potstill import QAClient, load_qa
from potstill.data.nearest import Nearest
from potstill.data.normal import normalize_answer
from potstill.errors import InputError, PotstillError
from potstill.evaluation.calibration import expected_calibration_error
from potstill.evaluation.metrics import roc_auc
from potstill.evaluation.qa import score_each
from potstill.records import QAExample
from potstill.runtime.reading import Reading

_LOOKED_AT = 50
"""Paragraphs that are tried for a question, the best first."""


def half_and_half(examples: list[QAExample], n: int) -> list[QAExample]:
    """Questions of which every other one has no answer in what it is asked of.

    Args:
        examples: of one file, with titles and gold answers.
        n: how many, spread evenly over the file; 0 for all.

    Raises:
        InputError: the examples name no articles.
    """
    if len({example.title for example in examples}) < 2:
        raise InputError("the data do not say which article a paragraph is of: give SQuAD JSON")
    titles = {example.context: example.title for example in examples}
    contexts = list(titles)
    normal = list(map(normalize_answer, contexts))
    nearest = Nearest(contexts)
    n = min(n or len(examples), len(examples))
    found: list[QAExample] = []
    for i in range(n):
        example = examples[i * len(examples) // n]
        if i % 2 == 0:
            found.append(example)
            continue
        golds = [normalize_answer(answer) for answer in example.answers]
        for k in nearest.best(example.question, _LOOKED_AT):
            if titles[contexts[k]] != example.title and not any(g in normal[k] for g in golds):
                away = replace(example, context=contexts[k], answers=(), starts=())
                found.append(replace(away, is_impossible=True))
                break
    return found


def figures(
    examples: list[QAExample], readings: list[Reading], *, trained: bool
) -> dict[str, float | None]:
    """What the readings are worth.

    Args:
        examples: of `half_and_half`.
        readings: one of each.
        trained: whether the model was trained to say that there is no answer; otherwise the score
            of its best span has to tell.
    """
    spans = {
        e.id: r.spans[0].text if r.spans else "" for e, r in zip(examples, readings, strict=True)
    }
    exact, f1 = score_each(examples, spans, no_answer=True)
    answerable = np.array([not example.is_impossible for example in examples])
    worth = np.array([f1[example.id] for example in examples]) * answerable
    right = np.array([exact[example.id] for example in examples]) * answerable
    score = np.array([r.spans[0].score if r.spans else 0.0 for r in readings])
    leaning = np.array([-r.null_odds for r in readings]) if trained else score
    refused = np.array([r.is_null for r in readings])
    return {
        "questions": len(examples),
        "unanswerable": int((~answerable).sum()),
        "auroc": 100 * roc_auc(leaning, answerable),
        "f1": 100 * float(worth[answerable].mean()),
        "f1_kept": 100 * float((worth * ~refused).sum() / worth.sum()),
        "refused": 100 * float(refused[~answerable].mean()),
        "ece": expected_calibration_error(score, right),
    }


def measure(model: str, data: str, n: int, **options: Any) -> dict[str, Any]:
    """The whole benchmark; ``options`` as of `potstill.QAClient.from_options`."""
    asked = half_and_half(load_qa(data).examples, n)
    client = QAClient.from_options(model, **options)
    readings = list(client.read_many((e.question, e.context) for e in asked))
    trained = client.options.no_answer
    return {"model": model, "trained": trained, **figures(asked, readings, trained=trained)}


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; 1 where it could not be run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("-n", type=int, default=0, help="questions; 0 for all")
    parser.add_argument("--threads", type=int)
    add_options(parser)
    given = parser.parse_args(arguments)
    try:
        found = measure(given.model, given.data, given.n, threads=given.threads)
    except PotstillError as error:
        print(f"answerability: {error}", file=sys.stderr)
        return 1
    finish("answerability", found, given)
    if not given.json:
        says = "" if found["trained"] else " (never trained to refuse: by the best span's score)"
        print(
            f"{found['questions']:,} questions, {found['unanswerable']:,} without an answer\n"
            f"AUROC {found['auroc']:.2f}{says}\n"
            f"F1 of the others {found['f1']:.2f}, of which {found['f1_kept']:.1f}% is kept\n"
            f"refused of those without {found['refused']:.1f}%\n"
            f"calibration error of the score {found['ece']:.3f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
