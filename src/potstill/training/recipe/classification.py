"""The recipes of text classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from potstill.errors import RecipeError
from potstill.training.recipe.data import LabelRecipe
from potstill.training.recipe.student import StudentKeys
from potstill.training.recipe.table import MAY_CHANGE, Between, OneOf
from potstill.training.recipe.teach import TeachKeys


@dataclass(frozen=True, kw_only=True)
class ClassificationRecipe(LabelRecipe):
    """Fine-tuning on labelled texts or pairs of texts, or on a number for each."""

    TITLE = "Text classification"

    task: str = "text-classification"
    format: str = "table"
    """``table``: CSV, TSV or JSONL with the columns below; or a set by name, which settles them:
    one of GLUE's (``SST-2``, ``MRPC``, …), ``goemotions``, ``jigsaw``, ``imdb``."""
    text: str = "text"
    """Column of the text."""
    pair: str = ""
    """Column of the second text of a pair, where there is one."""
    label: str | tuple[str, ...] = "label"
    """Column of the label; or several columns of 0 and 1, one a label (multi-label)."""
    separator: str = ""
    """What stands between the labels of a text in the one column ``label`` (multi-label)."""
    labels: tuple[str, ...] = ()
    """The labels, in order; by default those of the training data, sorted."""
    problem: Annotated[str, OneOf(("", "single-label", "multi-label", "regression"))] = ""
    """``single-label``, ``multi-label`` or ``regression``; by default what the columns say."""
    max_windows: Annotated[int, Between(0, 1e6), MAY_CHANGE] = 1
    """Rows that the trained model reads a long text in, spread evenly from its beginning to its
    end, 0 for as many as it takes; what it says of each is averaged. Training is on beginnings."""
    class_weights: str | tuple[float, ...] = ""
    """``balanced``: a label weighs the more in the loss the rarer it is (single-label n / (labels ·
    its rows), multi-label rows without / rows with it, on the latter); or a number for each."""

    def check(self) -> None:
        """Checks what the keys say together.

        Raises:
            RecipeError: names the key whose value cannot be used.
        """
        if isinstance(self.class_weights, str):
            if self.class_weights not in ("", "balanced"):
                raise RecipeError(
                    f"class_weights must be 'balanced' or a list of numbers, "
                    f"not {self.class_weights!r}"
                )
        elif min(self.class_weights, default=0) < 0 or not sum(self.class_weights):
            raise RecipeError(
                f"class_weights must be 0 or more and not all 0, not {list(self.class_weights)}"
            )


@dataclass(frozen=True, kw_only=True)
class ClassificationDistilRecipe(StudentKeys, TeachKeys, ClassificationRecipe):
    """Distilling a classifier from one teacher or several."""
