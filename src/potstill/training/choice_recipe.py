"""Recipes of multiple choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from potstill.errors import RecipeError
from potstill.training.task_recipe import TaskRecipe, TeachingKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceRecipe(TaskRecipe):
    """Fine-tuning on texts with several ways to go on."""

    task: str = "multiple-choice"
    folds: int = 0
    """Cut ``train`` into so many blocks of consecutive rows, train on all but one of them, and
    score on that one; 0 for no folds."""
    fold: int = 0
    """The block to score on, from 0."""

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        **TaskRecipe.RANGES,
        "folds": (0, 1e6),
        "fold": (0, 1e6),
    }

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            RecipeError: names the first key whose value cannot be used.
        """
        super(ChoiceRecipe, self).__post_init__()
        if self.folds == 1:
            raise RecipeError("folds must be 0 or at least 2, not 1: one fold leaves no rows")
        if self.fold and self.fold >= self.folds:
            raise RecipeError(f"fold must be less than folds ({self.folds}), not {self.fold}")
        if self.folds and (self.dev or self.split):
            key = "dev" if self.dev else "split"
            raise RecipeError(f"folds and {key} both say what to score on: give one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceDistilRecipe(TeachingKeys, ChoiceRecipe):
    """Distilling a model that chooses from one teacher or several."""

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        **ChoiceRecipe.RANGES,
        **TeachingKeys.TEACHING_RANGES,
    }
    MAY_CHANGE: ClassVar[frozenset[str]] = ChoiceRecipe.MAY_CHANGE | {"teacher", "cache"}
    PATHS: ClassVar[tuple[str, ...]] = (*ChoiceRecipe.PATHS, *TeachingKeys.TEACHING_PATHS)

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            RecipeError: names the first key whose value cannot be used.
        """
        super(ChoiceDistilRecipe, self).__post_init__()
        self.check_teaching()
