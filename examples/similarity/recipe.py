"""The recipes of sentence similarity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from potstill.training.recipe.data import LabelRecipe
from potstill.training.recipe.student import StudentKeys
from potstill.training.recipe.table import Between
from potstill.training.recipe.teach import TeachKeys


@dataclass(frozen=True, kw_only=True)
class SimilarityRecipe(LabelRecipe):
    """Fine-tuning on pairs of sentences, with a number for how alike they are."""

    TITLE = "Sentence similarity"

    task: str = "sentence-similarity"
    text: str = "text"
    """Column of the first sentence."""
    pair: str = "pair"
    """Column of the second."""
    label: str = "label"
    """Column of the number: 0 for sentences that have nothing in common."""
    highest: Annotated[float, Between(1e-3, 1e6)] = 1.0
    """The number of sentences that mean the same, such as 5 in STS-B."""


@dataclass(frozen=True, kw_only=True)
class SimilarityDistilRecipe(StudentKeys, TeachKeys, SimilarityRecipe):
    """Distilling a model of sentence similarity from one teacher or several."""
