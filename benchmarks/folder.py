"""Questions of a whole folder: how much is lost because nobody says where the answer stands.

    python benchmarks/folder.py DATA [--noise FILE|FOLDER]... [-n 300] [--model MODEL]

DATA is a SQuAD 1.1 file: every article becomes a text file, and every question is asked of all of
them; ``--noise`` puts other files beside them, such as parts of Wikipedia. Measured are F1 with the
question's own paragraph given and with the folder, each question right after the other, how often
the paragraph is among what was read, and how long a question takes with an index. ``-n`` questions
are taken, spread evenly over the file; 0 for all.

How much the rank of a passage counts beside the reader was chosen on the even articles of SQuAD's
dev set (docs/log.md): ``--odd`` asks the others alone.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from records import add_options, finish

from potstill import QAClient, load_qa
from potstill.errors import InputError, PotstillError
from potstill.evaluation.qa import score_each
from potstill.records import QAExample
from potstill.retrieval.index import Index

_MATCHED = 80
"""Code points by which a paragraph is recognised in a passage."""


def write_articles(examples: list[QAExample], folder: Path) -> list[str]:
    """Writes every article as a text file of its own; gives their titles, in order.

    Raises:
        InputError: the examples name no articles.
    """
    articles: dict[str, dict[str, None]] = {}
    for example in examples:
        articles.setdefault(example.title, {})[example.context] = None
    if len(articles) < 2:
        raise InputError("the data do not say which article a paragraph is of: give SQuAD JSON")
    for title, paragraphs in articles.items():
        name = "".join(c if c.isalnum() or c in "-_. " else "_" for c in title)
        (folder / f"{name}.txt").write_text("\n\n".join(paragraphs), encoding="utf-8")
    return list(articles)


def ask(examples: list[QAExample], index: Index, reader: QAClient, windows: int) -> dict[str, Any]:
    """Asks every question of its paragraph and of the index."""
    given: dict[str, str] = {}
    found: dict[str, str] = {}
    seconds: list[float] = []
    n_read: list[int] = []
    among = right = 0
    for example in examples:
        answer = reader.predict(example.question, example.context, no_answer=False)
        given[example.id] = answer.text if answer else ""
        began = time.perf_counter()
        asked = index.ask(example.question, reader, windows=windows, no_answer=False)
        seconds.append(time.perf_counter() - began)
        first = next(iter(asked.citations), None)
        found[example.id] = first.text if first else ""
        n_read.append(asked.n_read)
        read = index.search(example.question, asked.n_read, reader=reader)
        among += any(_holds(hit.text, example.context) for hit in read)
        right += first is not None and _holds(first.passage, example.context)
    exact_given, f1_given = score_each(examples, given, no_answer=False)
    exact, f1 = score_each(examples, found, no_answer=False)
    mean = {
        name: 100 * statistics.mean(values.values())
        for name, values in {
            "exact_given": exact_given, "f1_given": f1_given, "exact": exact, "f1": f1
        }.items()
    }  # fmt: skip
    return {
        **mean,
        "share": 100 * mean["f1"] / max(mean["f1_given"], 1e-9),
        "among_read": 100 * among / len(examples),
        "from_it": 100 * right / len(examples),
        "read": statistics.mean(n_read),
        "seconds": statistics.median(seconds),
        "seconds_90": sorted(seconds)[int(0.9 * (len(seconds) - 1))],
    }


def _holds(passage: str, paragraph: str) -> bool:
    """Whether a passage is of a paragraph: has its beginning, its end, or is inside it."""
    return (
        paragraph[:_MATCHED] in passage
        or paragraph[-_MATCHED:] in passage
        or passage[:_MATCHED] in paragraph
    )


def measure(
    data: str, noise: list[str], n: int, model: str, windows: int, *, odd: bool = False, **how: Any
) -> dict[str, Any]:
    """The whole benchmark; ``how`` as of `potstill.QAClient.from_options`."""
    loaded = load_qa(data).examples
    reader = QAClient.from_options(model, **how)
    with tempfile.TemporaryDirectory() as folder:
        titles = write_articles(loaded, Path(folder))
        if odd:
            kept = set(titles[1::2])
            loaded = [example for example in loaded if example.title in kept]
        n = min(n or len(loaded), len(loaded))
        examples = [loaded[i * len(loaded) // n] for i in range(n)]
        index = Index.open(folder, create=True)
        began = time.perf_counter()
        changes = index.update([folder, *noise])
        indexed = time.perf_counter() - began
        return {
            "model": model,
            "questions": n,
            "files": changes.added,
            "passages": index.n_passages,
            "indexed_seconds": indexed,
            **ask(examples, index, reader, windows),
        }


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; 1 where it could not be run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--noise", action="append", default=[], metavar="PATH")
    parser.add_argument("-n", type=int, default=300, help="questions; 0 for all")
    parser.add_argument("--odd", action="store_true", help="of every second article alone")
    parser.add_argument("--model", default="default")
    parser.add_argument("--windows", type=int, default=32)
    parser.add_argument("--threads", type=int)
    add_options(parser)
    given = parser.parse_args(arguments)
    try:
        found = measure(
            given.data, given.noise, given.n, given.model, given.windows, odd=given.odd,
            threads=given.threads,
        )  # fmt: skip
    except PotstillError as error:
        print(f"folder: {error}", file=sys.stderr)
        return 1
    finish("folder", found, given)
    if not given.json:
        print(
            f"{found['questions']:,} questions, {found['files']:,} files, "
            f"{found['passages']:,} passages\n"
            f"paragraph given: EM {found['exact_given']:.2f}, F1 {found['f1_given']:.2f}\n"
            f"of the folder:   EM {found['exact']:.2f}, F1 {found['f1']:.2f}, "
            f"{found['share']:.1f}% of it\n"
            f"paragraph among the passages read {found['among_read']:.1f}%, "
            f"answer out of it {found['from_it']:.1f}%\n"
            f"passages read {found['read']:.1f}; a question {found['seconds']:.3f} s (median), "
            f"{found['seconds_90']:.3f} s (90th percentile)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
