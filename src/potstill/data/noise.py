"""Questions as people type them, and paragraphs as they come: training data made less tidy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from potstill.data.cloze import sentences
from potstill.records import QAExample

_MARKS = " \t\n?¿!."
_WORD = re.compile(r"[^\W\d_]{4,}")
_CHATTER = (
    "Hello and thank you for writing to us.",
    "Sorry for the late reply!",
    "Here is what I found on the web.",
    "Please see the text below.",
    "I hope that this helps.",
    "Let me know if anything is unclear.",
    "This page was last updated on Monday.",
    "Click here to read more.",
    "Share this article with your friends.",
    "All rights reserved.",
    "Skip to main content.",
    "Best regards, Tom",
)


def without_mark(example: QAExample, random: Random) -> QAExample:
    """The question without its question mark."""
    return replace(example, question=example.question.rstrip(_MARKS) or example.question)


def lower_case(example: QAExample, random: Random) -> QAExample:
    """The question in lower case."""
    return replace(example, question=example.question.lower())


def capitals(example: QAExample, random: Random) -> QAExample:
    """The question in capitals."""
    return replace(example, question=example.question.upper())


def typo(example: QAExample, random: Random) -> QAExample:
    """The question with two neighbouring letters swapped, or one left out, inside a word.

    The first letter of a word stays. A question without a word of four letters stays as it is.
    """
    words = list(_WORD.finditer(example.question))
    if not words:
        return example
    word = random.choice(words)
    at = random.randrange(word.start() + 1, word.end() - 1)
    text = example.question
    swapped = "" if random.random() < 0.5 else text[at + 1] + text[at]
    after = at + 1 if not swapped else at + 2
    return replace(example, question=text[:at] + swapped + text[after:])


def chatter(example: QAExample, random: Random) -> QAExample:
    """The paragraph with a sentence in front of it or behind it that has nothing to do with it."""
    sentence = random.choice(_CHATTER)
    if random.random() < 0.5:
        return replace(example, context=f"{example.context} {sentence}")
    shift = len(sentence) + 1
    starts = tuple(None if start is None else start + shift for start in example.starts)
    return replace(example, context=f"{sentence} {example.context}", starts=starts)


def one_sentence(example: QAExample, random: Random) -> QAExample:
    """The sentence of the paragraph that holds the first answer; one drawn where there is none.

    Of several answers those in that sentence stay. An answer that runs from one sentence into the
    next leaves the paragraph as it is.
    """
    spans: list[tuple[int, int]] = []
    for text in sentences(example.context):
        at = example.context.index(text, spans[-1][1] if spans else 0)
        spans.append((at, at + len(text)))
    places = [
        (s, s + len(a))
        for a, s in zip(example.answers, example.starts, strict=True)
        if s is not None
    ]
    if places:
        first = places[0]
        spans = [(a, b) for a, b in spans if a <= first[0] and first[1] <= b]
    elif example.answers:
        spans = []
    if not spans:
        return example
    start, end = random.choice(spans)
    kept = [
        (answer, at - start)
        for answer, at in zip(example.answers, example.starts, strict=True)
        if at is not None and start <= at and at + len(answer) <= end
    ]
    return replace(
        example,
        context=example.context[start:end],
        answers=tuple(answer for answer, _ in kept),
        starts=tuple(at for _, at in kept),
    )


NOISE: Mapping[str, Callable[[QAExample, Random], QAExample]] = {
    "mark": without_mark,
    "lower": lower_case,
    "capitals": capitals,
    "typo": typo,
    "chatter": chatter,
    "sentence": one_sentence,
}
"""Ways to make an example less tidy."""


def add_noise(examples: Sequence[QAExample], share: float, *, seed: int) -> list[QAExample]:
    """Makes some of the examples less tidy, each in one of the ways of `NOISE`.

    Which ones, and how, depends on the seed and an example's id alone. Ids, answers and what can be
    answered stay; the offsets of answers move with them.

    Args:
        examples: with offsets that are right.
        share: of the examples, 0 to 1.
        seed: of the draw.
    """
    found: list[QAExample] = []
    for example in examples:
        random = Random(f"{seed} noise {example.id}")
        if random.random() < share:
            example = NOISE[random.choice(list(NOISE))](example, random)
        found.append(example)
    return found
