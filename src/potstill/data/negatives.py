"""Questions that their paragraph does not answer, made out of those that it does.

Everything here depends on the examples, their order and the seed alone, and asking for more pairs
only adds to what fewer would have been.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from random import Random

import numpy as np
import numpy.typing as npt

from potstill.data.cloze import names, sentences
from potstill.data.nearest import Nearest
from potstill.data.normal import normalize_answer
from potstill.data.opposites import contraries
from potstill.data.pairs import _HARDEST, _articles, _asked_of, _in_turns, _shuffled
from potstill.records import QAExample


def mine_negatives(
    examples: Sequence[QAExample],
    n: int | None,
    *,
    seed: int,
    among: Iterable[QAExample] = (),
) -> list[QAExample]:
    """Pairs questions with paragraphs of their article that do not answer them.

    A paragraph does not answer a question where none of its gold answers occurs in it, both in the
    normal form in which answers are scored, not even inside a word. That is a check of the text:
    a paragraph that answers in other words passes. Of the paragraphs that pass, those that share
    the most, and the rarest, words with the question are taken first, for they are the hardest.

    Args:
        examples: questions with gold answers; those without are left out.
        n: number of pairs; ``None`` for one of each question that has one.
        seed: which questions come first.
        among: examples whose paragraphs may be used beside those of ``examples``.

    Returns:
        Examples with ``is_impossible`` and the ids ``{id}~1``, ``{id}~2``, …

    Raises:
        InputError: there are no ``n`` such pairs.

    Source:
        Clark and Gardner, "Simple and Effective Multi-Paragraph Reading Comprehension", 2018
        (arXiv:1710.10723), section 3: paragraphs of the same article, ranked by TF-IDF.
    """
    articles = {title: _Article(own) for title, own in _articles([*examples, *among]).items()}
    golds = _golds(examples)

    def ask(example: QAExample) -> Iterator[QAExample]:
        article, own = articles[example.title], golds[_key(example)]
        k = 0
        for i in article.most_like(example.question):
            if article.contexts[i] == example.context or _holds(article.normal[i], own):
                continue
            k += 1
            yield _unanswerable(example, article.contexts[i], str(k))

    asked = _checkable(examples, golds, seed)
    return _in_turns([ask(example) for example in asked], n, "paragraphs without the answer")


def cut_sentences(
    examples: Sequence[QAExample],
    n: int | None,
    *,
    seed: int,
    among: Iterable[QAExample] = (),
) -> list[QAExample]:
    """Asks questions of their own paragraph, without the sentences that hold a gold answer.

    What is left is about the same things, in the same words. The check is that of
    `mine_negatives`, and so are the arguments (``among`` is not looked at) and the errors; ids are
    ``{id}~cut``.
    """
    golds = _golds(examples)

    def ask(example: QAExample) -> Iterator[QAExample]:
        own = golds[_key(example)]
        kept = [s for s in sentences(example.context) if not _holds(normalize_answer(s), own)]
        context = " ".join(kept)
        # An answer may run from one sentence into the next.
        if kept and not _holds(normalize_answer(context), own):
            yield _unanswerable(example, context, "cut")

    asked = _checkable(examples, golds, seed)
    return _in_turns([ask(example) for example in asked], n, "paragraphs cut short")


def swap_names(
    examples: Sequence[QAExample],
    n: int | None,
    *,
    seed: int,
    among: Iterable[QAExample] = (),
) -> list[QAExample]:
    """Puts another name or figure into questions, which then ask for what their paragraph lacks.

    A name, a date or a figure of the question that its paragraph has, too, gives way to one of the
    same kind out of another paragraph of the article, none of whose words the own one holds. The
    paragraph still has what looks like an answer. Arguments and errors are those of
    `mine_negatives`; ids are ``{id}~swap1``, ``{id}~swap2``, …

    Source:
        Rajpurkar, Jia and Liang, "Know What You Don't Know", 2018 (arXiv:1806.03822), table 2: the
        largest kind of unanswerable question that is not neutral is an entity swap.
    """
    articles = _articles([*examples, *among])
    found = {title: _names_of(contexts) for title, contexts in articles.items()}
    golds = _golds(examples)

    def ask(example: QAExample) -> Iterator[QAExample]:
        question, own = example.question, set(normalize_answer(example.context).split())
        k = 0
        for name in names(question):
            text = _bare(question[name.start : name.end])
            if not set(normalize_answer(text).split()) <= own:
                continue
            others = [
                other
                for other, words in found[example.title].get(name.kind, {}).items()
                if not words & own
            ]
            if others:
                k += 1
                other = Random(f"{seed} {example.id} {k}").choice(others)
                swapped = f"{question[: name.start]}{other}{question[name.start + len(text) :]}"
                asked = _unanswerable(example, example.context, f"swap{k}")
                yield replace(asked, question=swapped)

    asked = _checkable(examples, golds, seed)
    return _in_turns([ask(example) for example in asked], n, "other names")


def turn_words(
    examples: Sequence[QAExample],
    n: int | None,
    *,
    seed: int,
    among: Iterable[QAExample] = (),
) -> list[QAExample]:
    """Turns a word of questions into its opposite: the smallest, where the largest is told.

    See `contraries` for which words. Arguments and errors are those of `mine_negatives` (``among``
    is not looked at); ids are ``{id}~turn1``, ``{id}~turn2``, …

    Source:
        Rajpurkar, Jia and Liang, 2018 (see `swap_names`), table 2: antonyms are as frequent as
        entity swaps.
    """

    def ask(example: QAExample) -> Iterator[QAExample]:
        turned = contraries(example.question, example.context, seed=f"{seed} {example.id}")
        for k, question in enumerate(turned, start=1):
            asked = _unanswerable(example, example.context, f"turn{k}")
            yield replace(asked, question=question)

    asked = [example for example in _shuffled(examples, seed) if example.answers]
    return _in_turns([ask(example) for example in asked], n, "words with an opposite")


def other_articles(
    examples: Sequence[QAExample],
    n: int | None,
    *,
    seed: int,
    among: Iterable[QAExample] = (),
) -> list[QAExample]:
    """Asks questions of the paragraphs of other articles that BM25 ranks best for them.

    What a search over many documents gives a reader where none of them holds the answer. The check
    is that of `mine_negatives`, and so are arguments and errors; ids are ``{id}~far1``, …
    """
    titles: dict[str, str] = {}
    for example in [*examples, *among]:
        titles.setdefault(example.context, example.title)
    contexts = list(titles)
    nearest, normal = Nearest(contexts), list(map(normalize_answer, contexts))
    golds = _golds(examples)

    def ask(example: QAExample) -> Iterator[QAExample]:
        own, k = golds[_key(example)], 0
        for i in nearest.best(example.question, _HARDEST):
            if titles[contexts[i]] == example.title or _holds(normal[i], own):
                continue
            k += 1
            yield _unanswerable(example, contexts[i], f"far{k}")

    asked = _checkable(examples, golds, seed)
    return _in_turns([ask(example) for example in asked], n, "paragraphs of other articles")


NEGATIVES = {
    "paragraphs": mine_negatives,
    "articles": other_articles,
    "sentences": cut_sentences,
    "names": swap_names,
    "opposites": turn_words,
}
"""Ways to make a question unanswerable: by a paragraph of the same or another article, by less of
its own, or by another name or the opposite word in the question."""


class _Article:
    """Paragraphs that can be ranked by the words they share with a question."""

    def __init__(self, contexts: list[str]) -> None:
        self.contexts = contexts
        self.normal = [normalize_answer(context) for context in contexts]
        places: dict[str, list[int]] = {}
        for i, normal in enumerate(self.normal):
            for word in dict.fromkeys(normal.split()):
                places.setdefault(word, []).append(i)
        self._places = {word: np.array(found, np.int64) for word, found in places.items()}

    def most_like(self, question: str) -> npt.NDArray[np.int64]:
        """Indices of the paragraphs most like a question, best first; equal ones in order."""
        scores = np.zeros(len(self.contexts))
        for word in dict.fromkeys(normalize_answer(question).split()):
            found = self._places.get(word)
            if found is not None:
                scores[found] += math.log(1 + len(self.contexts) / len(found))
        return np.argsort(-scores, kind="stable")[:_HARDEST].copy()


_Golds = dict[tuple[str, str], set[str]]
"""Title and question → gold answers in the form in which they are scored."""


def _golds(examples: Iterable[QAExample]) -> _Golds:
    """One question may be asked of two paragraphs: neither answer may occur then."""
    found: _Golds = defaultdict(set)
    for example in examples:
        found[_key(example)].update(map(normalize_answer, example.answers))
    return found


def _checkable(examples: Sequence[QAExample], golds: _Golds, seed: int) -> list[QAExample]:
    """In an order of the seed; an answer of nothing but articles cannot be looked for."""
    return [e for e in _shuffled(examples, seed) if e.answers and all(golds[_key(e)])]


def _holds(normal: str, golds: Iterable[str]) -> bool:
    return any(gold in normal for gold in golds)


def _unanswerable(example: QAExample, context: str, suffix: str) -> QAExample:
    return replace(_asked_of(example, context, f"{example.id}~{suffix}"), is_impossible=True)


def _names_of(contexts: Iterable[str]) -> dict[str, dict[str, set[str]]]:
    """Kind → name → its words, in the order of the text."""
    found: dict[str, dict[str, set[str]]] = {}
    for sentence in (sentence for context in contexts for sentence in sentences(context)):
        for name in names(sentence):
            text = _bare(sentence[name.start : name.end])
            words = set(normalize_answer(text).split())
            if words:
                found.setdefault(name.kind, {})[text] = words
    return found


def _bare(name: str) -> str:
    """A name without its genitive."""
    return name.removesuffix("'s").removesuffix("’s")


def _key(example: QAExample) -> tuple[str, str]:
    return example.title, normalize_answer(example.question)
