"""EM and F1 where the answering paragraph stands somewhere in a long text.

    python benchmarks/long_texts.py MODEL DATA [-n 300] [--words 3000] [--seed 0]

MODEL is whatever ``--model`` takes; DATA is a SQuAD file, whose articles are asked as users ask a
document: neighbouring paragraphs of an article, the question's own among them, joined until they
are so many words long. Beside the scores stands how many answers come out of the right paragraph.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from records import add_options, finish

from potstill import QAClient, load_qa
from potstill.errors import InputError, PotstillError
from potstill.evaluation.readings import collect, score_predictions
from potstill.records import QAExample

_BETWEEN = "\n\n"


def long_examples(
    examples: list[QAExample], n: int, *, words: int, seed: int
) -> Iterator[tuple[QAExample, range]]:
    """Questions with a long text in place of their paragraph, and where that stands in it.

    Args:
        examples: of one file, with titles.
        n: how many; spread evenly over the file.
        words: the text is at least so many words long, or the whole article.
        seed: where in the text the own paragraph comes to stand.
    """
    articles: dict[str, dict[str, None]] = {}
    for example in examples:
        articles.setdefault(example.title, {})[example.context] = None
    for i in range(min(n, len(examples))):
        example = examples[i * len(examples) // n]
        paragraphs = list(articles[example.title])
        first = last = paragraphs.index(example.context)
        random = Random(f"{seed} {example.id}")
        n_words = len(example.context.split())
        while n_words < words and (first > 0 or last + 1 < len(paragraphs)):
            if last + 1 == len(paragraphs) or (first > 0 and random.random() < 0.5):
                first -= 1
                n_words += len(paragraphs[first].split())
            else:
                last += 1
                n_words += len(paragraphs[last].split())
        at = sum(
            len(text) + len(_BETWEEN)
            for text in paragraphs[first : paragraphs.index(example.context)]
        )
        text = _BETWEEN.join(paragraphs[first : last + 1])
        yield replace(example, context=text, starts=()), range(at, at + len(example.context))


def measure(model: str, data: str, n: int, *, words: int, seed: int) -> dict[str, Any]:
    """The whole benchmark.

    Raises:
        InputError: the data have no titles, so that nothing can be joined.
    """
    examples = load_qa(data).examples
    if not all(example.title for example in examples):
        raise InputError(f"{data} does not say which article a paragraph is of")
    asked = list(long_examples(examples, n, words=words, seed=seed))
    client = QAClient.from_options(model)
    long = [example for example, _ in asked]
    readings = list(client.read_many((e.question, e.context) for e in long))
    scores = score_predictions(long, collect(long, readings), rules_v2=False, null_threshold=None)
    right = sum(
        bool(r.answers) and r.answers[0].start in own
        for r, (_, own) in zip(readings, asked, strict=True)
    )
    return {
        "model": model,
        "questions": len(asked),
        "words": round(sum(len(e.context.split()) for e in long) / len(long)),
        "windows": round(sum(r.n_windows for r in readings) / len(readings), 1),
        "exact": scores["exact"],
        "f1": scores["f1"],
        "right_paragraph": 100 * right / len(asked),
    }


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; 1 where it could not be run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("-n", type=int, default=300, help="questions")
    parser.add_argument("--words", type=int, default=3000, help="of a text, at least")
    parser.add_argument("--seed", type=int, default=0)
    add_options(parser)
    given = parser.parse_args(arguments)
    try:
        found = measure(given.model, given.data, given.n, words=given.words, seed=given.seed)
    except PotstillError as error:
        print(f"long_texts: {error}", file=sys.stderr)
        return 1
    finish("long-texts", found, given)
    if not given.json:
        print(
            f"{found['questions']} questions of texts of {found['words']} words "
            f"({found['windows']} windows): EM {found['exact']:.2f}  F1 {found['f1']:.2f}  "
            f"answers out of the right paragraph {found['right_paragraph']:.1f}%"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
