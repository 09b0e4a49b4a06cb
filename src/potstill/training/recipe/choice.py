"""The recipes of multiple choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from potstill.errors import RecipeError
from potstill.training.recipe.data import LabelRecipe
from potstill.training.recipe.student import StudentKeys
from potstill.training.recipe.table import Between
from potstill.training.recipe.teach import TeachKeys


@dataclass(frozen=True, kw_only=True)
class ChoiceRecipe(LabelRecipe):
    """Fine-tuning on texts with several ways to go on."""

    TITLE = "Multiple choice"

    task: str = "multiple-choice"
    folds: Annotated[int, Between(0, 1e6)] = 0
    """Cut ``train`` into so many blocks of consecutive rows, train on all but one of them, and
    score on that one; 0 for no folds."""
    fold: Annotated[int, Between(0, 1e6)] = 0
    """The block to score on, from 0."""

    def check(self) -> None:
        """Checks what the keys say together.

        Raises:
            RecipeError: names the key whose value cannot be used.
        """
        if self.folds == 1:
            raise RecipeError("folds must be 0 or at least 2, not 1: one fold leaves no rows")
        if self.fold and self.fold >= self.folds:
            raise RecipeError(f"fold must be less than folds ({self.folds}), not {self.fold}")
        if self.folds and (self.dev or self.split):
            key = "dev" if self.dev else "split"
            raise RecipeError(f"folds and {key} both say what to score on: give one of them")


@dataclass(frozen=True, kw_only=True)
class ChoiceDistilRecipe(StudentKeys, TeachKeys, ChoiceRecipe):
    """Distilling a model that chooses from one teacher or several."""
