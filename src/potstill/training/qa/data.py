"""The questions of a run: what is trained on, what is held out, what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from potstill.data.negatives import NEGATIVES
from potstill.data.noise import add_noise
from potstill.data.pairs import cloze, found_paragraphs, load_pairs, other_paragraphs
from potstill.data.qa import load_qa
from potstill.data.text import documents
from potstill.errors import InputError, RecipeError
from potstill.records import QAExample
from potstill.training.recipe.qa import DistilRecipe, Recipe
from potstill.training.run.sampling import is_held_out
from potstill.training.run.task import TaskData

_MARKED = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class QATrainingData(TaskData):
    """The questions of a run; ``train`` has those that teachers alone answer at the end."""

    held_out: list[QAExample]
    """Of other contexts than ``train``, with negatives of their own; empty where nothing is held
    out. Then ``dev`` is what the recipe names."""
    n_gold: int
    """Examples of ``train`` whose answers are known: those of the file, and negatives."""
    no_answer: bool
    """Whether the model learns to say that there is no answer."""
    rules_v2: bool
    """Whether ``dev`` is scored by SQuAD v2.0's rules."""
    tidy_questions: bool
    """Whether nearly all questions end in a question mark, as the file has them, so that others
    are to be mended."""


def load_split(recipe: Recipe) -> QATrainingData:
    """The data of a recipe: what is trained on, what is held out or scored, what was mined.

    Raises:
        DataError: the data are wrong.
        RecipeError: so many negatives, or unlabelled questions, cannot be made.
    """
    data = load_qa(recipe.train, offsets="fix" if recipe.fix_offsets else "strict")
    distils = isinstance(recipe, DistilRecipe)
    if not distils or recipe.alpha_ce:  # where the loss is all of teachers, golds are not needed
        data.check_golds(recipe.train)
    examples = data.examples[: recipe.examples or None]
    train_on, held_out = split_held_out(examples, recipe.holdout)
    n_labelled = len(train_on)
    if recipe.negatives:
        # Held-out questions are asked of any paragraph: only so are they as hard as in training.
        held_out = held_out + _negatives(held_out, recipe, among=examples)
        train_on = train_on + _negatives(train_on, recipe)
    train_on = add_noise(train_on, recipe.noise, seed=recipe.seed)
    unlabelled = _unlabelled(recipe, train_on) if distils else []
    notes = [f"{recipe.train}: {data.warning}"] if data.warning else []
    no_answer = data.no_answer or bool(recipe.negatives)
    dev, rules_v2 = held_out, no_answer
    if recipe.dev and not held_out:
        scored = load_qa(recipe.dev)
        scored.check_golds(recipe.dev)
        dev, rules_v2 = scored.examples, scored.no_answer
        notes += [f"{recipe.dev}: {scored.warning}"] if scored.warning else []
    return QATrainingData(
        train=train_on + unlabelled,
        dev=dev,
        notes=tuple(notes),
        facts={"examples": n_labelled, **({"unlabelled": len(unlabelled)} if distils else {})},
        n_gold=len(train_on),
        held_out=held_out,
        no_answer=no_answer,
        rules_v2=rules_v2,
        tidy_questions=sum(e.question.rstrip().endswith("?") for e in examples)
        >= _MARKED * len(examples),
    )


def _negatives(
    examples: list[QAExample], recipe: Recipe, *, among: Sequence[QAExample] = ()
) -> list[QAExample]:
    n, ways = round(recipe.negatives * len(examples)), recipe.negative_ways
    found: list[QAExample] = []
    for k, way in enumerate(ways):
        share = n // len(ways) + (k < n % len(ways))
        try:
            if share:
                found += NEGATIVES[way](examples, share, seed=recipe.seed, among=among)
        except InputError as error:
            raise RecipeError(f"negatives={recipe.negatives:g} from {way}: {error}") from None
    return found


def split_held_out(
    examples: list[QAExample], share: float
) -> tuple[list[QAExample], list[QAExample]]:
    """Keeps whole articles out of training: what is trained on, and what is held out.

    Which are held out depends on their titles alone, not on the seed, so that runs compare. Where
    there are so few articles that the share of them is less than one, and where an example has no
    title, contexts are held out instead.

    Args:
        examples: all of them.
        share: of the articles, 0 to 1.
    """
    few = share * len({example.title for example in examples}) < 1
    names = [e.context if few else e.title or e.context for e in examples]
    held = [is_held_out(name, share) for name in names]
    kept = [e for e, out in zip(examples, held, strict=True) if not out]
    return kept, [e for e, out in zip(examples, held, strict=True) if out]


def _unlabelled(recipe: DistilRecipe, train_on: list[QAExample]) -> list[QAExample]:
    """The questions that only teachers answer, an equal number from each source.

    Raises:
        RecipeError: a source has too few.
        DataError: a source cannot be read.
    """
    sources = recipe.unlabelled_sources
    n = round(recipe.unlabelled_share * len(train_on) / max(1, len(sources)))
    if not n:
        return []
    found: list[QAExample] = []
    for source in sources:
        try:
            found += _from_source(source, n, train_on, recipe.seed)
        except InputError as error:
            raise RecipeError(f"unlabelled={source}: {error}") from None
    return found


def _from_source(source: str, n: int, train_on: list[QAExample], seed: int) -> list[QAExample]:
    if source == "paragraphs":
        return other_paragraphs([e for e in train_on if not e.is_impossible], n, seed=seed)
    kind, colon, path = source.partition(":")
    if colon and kind in ("cloze", "search"):
        paragraphs = (text for document in documents([path]) for text in document.paragraphs)
        if kind == "search":
            return found_paragraphs(train_on, list(paragraphs), n, seed=seed)
        return list(cloze(paragraphs, n, seed=seed))
    pairs = load_pairs(source)
    order = np.random.default_rng(seed).permutation(len(pairs))[:n]
    return [pairs[i] for i in np.sort(order)]
