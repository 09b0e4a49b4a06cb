"""Questions put to contexts they were not written for: unlabelled pairs for a teacher to answer.

Everything here depends on the examples, their order and the seed alone, and asking for more pairs
only adds to what fewer would have been.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

from potstill.data.cloze import cloze_questions
from potstill.data.hub_set import local_data
from potstill.data.nearest import Nearest
from potstill.data.qa import check_ids, open_questions
from potstill.errors import DataError, InputError
from potstill.records import QAExample

_FEWEST_WORDS = 20
"""Of a paragraph that is worth asking."""
_HARDEST = 100
"""Most paragraphs that one question is tried on, those most like it first."""


def other_paragraphs(examples: Sequence[QAExample], n: int | None, *, seed: int) -> list[QAExample]:
    """Asks questions of other paragraphs of their article, without answers.

    Every question is asked of one other paragraph before any is asked of a second. Examples
    without a title count as one article.

    Args:
        examples: the questions and, together, the paragraphs.
        n: number of pairs; ``None`` for one of each question whose article has another paragraph.
        seed: which questions come first, and which paragraphs each is asked of.

    Returns:
        Unlabelled examples with the ids ``{id}@1``, ``{id}@2``, …

    Raises:
        InputError: there are no ``n`` such pairs.
    """
    articles = _articles(examples)
    places = {title: {c: i for i, c in enumerate(own)} for title, own in articles.items()}

    def ask(example: QAExample) -> Iterator[QAExample]:
        contexts = articles[example.title]
        others = len(contexts) - 1
        if not others:
            return
        place = places[example.title][example.context]
        first = Random(f"{seed} {example.id}").randrange(others)
        for k in range(others):
            context = contexts[(place + 1 + (first + k) % others) % len(contexts)]
            yield _asked_of(example, context, f"{example.id}@{k + 1}")

    return _in_turns([ask(example) for example in _shuffled(examples, seed)], n, "other paragraphs")


def found_paragraphs(
    examples: Sequence[QAExample], paragraphs: Sequence[str], n: int | None, *, seed: int
) -> list[QAExample]:
    """Asks questions of the paragraphs of a larger text that BM25 ranks best for them.

    Some of these answer the question and most do not: what a reader meets behind a search.

    Args:
        examples: the questions.
        paragraphs: of the text; those of fewer than twenty words are left out.
        n: number of pairs; ``None`` for one of each question that shares a word with a paragraph.
        seed: which questions come first.

    Returns:
        Unlabelled examples with the ids ``{id}@found1``, ``{id}@found2``, …

    Raises:
        InputError: there are no ``n`` such pairs.
    """
    kept = [text for text in dict.fromkeys(paragraphs) if len(text.split()) >= _FEWEST_WORDS]
    nearest = Nearest(kept)

    def ask(example: QAExample) -> Iterator[QAExample]:
        k = 0
        for i in nearest.best(example.question, _HARDEST):
            if kept[i] != example.context:
                k += 1
                yield _asked_of(example, kept[i], f"{example.id}@found{k}")

    return _in_turns([ask(example) for example in _shuffled(examples, seed)], n, "paragraphs found")


def cloze(
    paragraphs: Iterable[str], n: int | None, *, seed: int, per_paragraph: int = 1
) -> Iterator[QAExample]:
    """Makes cloze questions from plain paragraphs, see `potstill.data.cloze`.

    Args:
        paragraphs: read one at a time, and no further than needed.
        n: number of questions; ``None`` for as many as there are.
        seed: which of a paragraph's questions are taken.
        per_paragraph: most questions of one paragraph.

    Returns:
        Unlabelled examples with the ids ``cloze@{number of the paragraph}.{k}``, as a stream.

    Raises:
        InputError: ``n`` is less than 1; or, at the end of the stream, there were no questions
            at all or fewer than ``n``.
    """
    _check_number(n)
    found = _cloze(paragraphs, seed, per_paragraph)
    return _counted(found if n is None else islice(found, n), n)


def load_pairs(path: str | Path) -> list[QAExample]:
    """Reads questions and contexts, and drops whatever answers the file has.

    Args:
        path: any file that `potstill.data.qa.load_qa` reads; answers may be missing.

    Raises:
        DataError: the file cannot be read, holds no questions, repeats an id, or a question or a
            context is empty.
    """
    path = local_data(path)
    _, rows = open_questions(path, labelled=False)
    examples = [replace(row, answers=(), starts=(), is_impossible=False) for row in rows]
    if not examples:
        raise DataError(f"{path} holds no questions")
    check_ids(examples, path)
    for example in examples:
        for name in ("question", "context"):
            if not getattr(example, name).strip():
                raise DataError(f"{path}: question {example.id!r}: its {name} is empty: drop it")
    return examples


def _articles(examples: Iterable[QAExample]) -> dict[str, list[str]]:
    """Title → its distinct contexts, in the order of the file."""
    found: dict[str, dict[str, None]] = {}
    for example in examples:
        found.setdefault(example.title, {})[example.context] = None
    return {title: list(contexts) for title, contexts in found.items()}


def _shuffled(examples: Sequence[QAExample], seed: int) -> list[QAExample]:
    mixed = list(examples)
    Random(seed).shuffle(mixed)
    return mixed


def _asked_of(example: QAExample, context: str, name: str) -> QAExample:
    return replace(example, id=name, context=context, answers=(), starts=(), is_impossible=False)


def _in_turns(sources: list[Iterator[QAExample]], n: int | None, what: str) -> list[QAExample]:
    """One pair of each source, then a second of each, and so on until there are ``n``."""
    _check_number(n)
    found: list[QAExample] = []
    while sources and (n is None or len(found) < n):
        left: list[Iterator[QAExample]] = []
        for source in sources:
            if len(found) == n:
                break
            pair = next(source, None)
            if pair is not None:
                found.append(pair)
                left.append(source)
        if n is None:
            break
        sources = left
    if not found or (n is not None and len(found) < n):
        wanted = "any" if n is None else f"{n:,}"
        raise InputError(
            f"cannot make {wanted} pairs of questions and {what}, only {len(found):,}: "
            "ask for fewer, or give data with more paragraphs an article"
        )
    return found


def _check_number(n: int | None) -> None:
    if n is not None and n < 1:
        raise InputError(f"the number of pairs must be at least 1, not {n}")


def _cloze(paragraphs: Iterable[str], seed: int, per_paragraph: int) -> Iterator[QAExample]:
    for number, line in enumerate(paragraphs):
        paragraph = line.strip()
        found = cloze_questions(paragraph)
        taken = Random(f"{seed} {number}").sample(found, min(per_paragraph, len(found)))
        for k, one in enumerate(taken, start=1):
            yield QAExample(id=f"cloze@{number}.{k}", question=one.question, context=paragraph)


def _counted(found: Iterator[QAExample], n: int | None) -> Iterator[QAExample]:
    count = 0
    for example in found:
        yield example
        count += 1
    if not count or (n is not None and count < n):
        wanted = "any" if n is None else f"{n:,}"
        raise InputError(
            f"cannot make {wanted} cloze questions of these paragraphs, only {count:,}: ask for "
            "fewer, or give more English text of several sentences a paragraph"
        )
