"""Which sentences are kept of ten paragraphs, of which one answers the question.

    python benchmarks/prune.py DATA [-n 300] [--model MODEL] [--share 0.25]

DATA is a SQuAD 1.1 file. Each question gets its own paragraph and the nine others that BM25 ranks
best for it, as a search would give them. Measured are how often the sentence with a gold answer
is kept, and how many tokens are dropped: by ``prune`` as it is, and with a budget of ``--share``
of the tokens. Beside it, in how many of the questions the first sentence of ``highlight`` over
the own paragraph is one with a gold answer. ``-n`` questions are taken, spread evenly over the
file; 0 for all.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from typing import Any

from records import add_options, finish

from potstill import QAClient, load_qa
from potstill.data.nearest import Nearest
from potstill.errors import PotstillError
from potstill.records import QAExample, Sentence
from potstill.text.sentences import sentences

N_OTHERS = 9


def golds_in(example: QAExample) -> list[tuple[int, int]]:
    """The sentences of an example's context that hold a gold answer, where the file places it."""
    places = [
        (start, start + len(text))
        for text, start in zip(example.answers, example.starts, strict=True)
        if start is not None
    ]
    return [
        (a, b) for a, b in sentences(example.context) if any(a <= start < b for start, _ in places)
    ]


def with_others(examples: list[QAExample], nearest: Nearest, texts: list[str], seed: int) -> Any:
    """For each example its ten paragraphs, and the number of its own among them."""
    shuffle = random.Random(seed)
    for example in examples:
        best = [texts[i] for i in nearest.best(example.question, N_OTHERS + 1)]
        others = [text for text in best if text != example.context][:N_OTHERS]
        own = shuffle.randrange(len(others) + 1)
        yield example, [*others[:own], example.context, *others[own:]], own


def has(kept: list[Sentence], own: int, golds: list[tuple[int, int]]) -> bool:
    """Whether one of the sentences is one with a gold answer."""
    return any(one.source == own and (one.start, one.end) in golds for one in kept)


def measure(data: str, n: int, model: str, share: float, **how: Any) -> dict[str, Any]:
    """The whole benchmark; ``how`` as of `potstill.QAClient.from_options`."""
    loaded = load_qa(data).examples
    texts = list(dict.fromkeys(example.context for example in loaded))
    n = min(n or len(loaded), len(loaded))
    examples = [loaded[i * len(loaded) // n] for i in range(n)]
    reader = QAClient.from_options(model, **how)
    kept = {"enough": 0, "budget": 0}
    dropped: dict[str, list[float]] = {"enough": [], "budget": []}
    seconds: list[float] = []
    first = 0
    for example, passages, own in with_others(examples, Nearest(texts), texts, 0):
        golds = golds_in(example)
        prepared = [reader.prepare(text) for text in passages]
        total = sum(map(len, prepared))
        for name, tokens in (("enough", None), ("budget", max(1, int(share * total)))):
            began = time.perf_counter()
            found = reader.prune(example.question, prepared, tokens=tokens)
            if name == "enough":
                seconds.append(time.perf_counter() - began)
            kept[name] += has(found, own, golds)
            dropped[name].append(1 - sum(one.n_tokens for one in found) / total)
        top = reader.highlight(example.question, prepared[own], top_k=1)
        first += has(top, 0, golds)
    return {
        "model": model,
        "questions": n,
        "share": share,
        "kept": 100 * kept["enough"] / n,
        "dropped": 100 * statistics.mean(dropped["enough"]),
        "kept_budget": 100 * kept["budget"] / n,
        "dropped_budget": 100 * statistics.mean(dropped["budget"]),
        "highlighted_first": 100 * first / n,
        "seconds": statistics.median(seconds),
    }


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; 1 where it could not be run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data")
    parser.add_argument("-n", type=int, default=300, help="questions; 0 for all")
    parser.add_argument("--model", default="default")
    parser.add_argument("--share", type=float, default=0.25, help="of the tokens, as a budget")
    parser.add_argument("--threads", type=int)
    add_options(parser)
    given = parser.parse_args(arguments)
    try:
        found = measure(given.data, given.n, given.model, given.share, threads=given.threads)
    except PotstillError as error:
        print(f"prune: {error}", file=sys.stderr)
        return 1
    finish("prune", found, given)
    if not given.json:
        print(
            f"{found['questions']:,} questions of ten paragraphs each\n"
            f"prune: answering sentence kept {found['kept']:.1f}%, "
            f"tokens dropped {found['dropped']:.1f}%; {found['seconds']:.3f} s a question\n"
            f"with {100 * given.share:.0f}% of the tokens: kept {found['kept_budget']:.1f}%, "
            f"dropped {found['dropped_budget']:.1f}%\n"
            f"highlight: answering sentence first {found['highlighted_first']:.1f}%"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
