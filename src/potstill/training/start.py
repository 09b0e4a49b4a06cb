"""Which run a recipe asks for."""

from __future__ import annotations

from potstill.training.distil import distil
from potstill.training.distil_recipe import DistilRecipe
from potstill.training.finetune import finetune
from potstill.training.lm import train_lm
from potstill.training.lm_distil import distil_lm
from potstill.training.recipe import LMDistilRecipe, LMRecipe, Recipe, RunRecipe
from potstill.training.runs import Listeners


def start(
    recipe: RunRecipe, *, resume: bool = False, listeners: Listeners | None = None
) -> dict[str, float]:
    """Does the run of a recipe, whatever its task; see the function of each for its errors.

    Returns:
        The scores by name, where the recipe names data to score on.
    """
    if isinstance(recipe, DistilRecipe):  # first: it is a `Recipe` too
        return distil(recipe, resume=resume, listeners=listeners)
    if isinstance(recipe, Recipe):
        return finetune(recipe, resume=resume, listeners=listeners)
    if isinstance(recipe, LMDistilRecipe):
        return distil_lm(recipe, resume=resume, listeners=listeners)
    assert isinstance(recipe, LMRecipe)
    return train_lm(recipe, resume=resume, listeners=listeners)
