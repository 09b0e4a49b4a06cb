"""What a finished model is made of beside what was trained: adapters, and a share of its base."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from potstill.bundle.adapter import write_adapter
from potstill.bundle.heads import HEADS
from potstill.errors import RecipeError
from potstill.models import adapters
from potstill.models.qa import QuestionAnsweringModel
from potstill.training.recipe.qa import Recipe
from potstill.training.run.report import ADAPTER


def finishing(model: QuestionAnsweringModel, recipe: Recipe) -> Callable[[], None]:
    """What makes a finished model of ``model``, whose training begins now.

    With `Recipe.adapter_rank` its encoder is given adapters here; when called, they are written to
    ``adapter`` in the run's folder and folded in. With `Recipe.base_share` the weights that it has
    now get their share in those it has when called.
    """
    share = recipe.base_share
    start = {n: p.detach().clone() for n, p in model.named_parameters()} if share else {}
    if recipe.adapter_rank:
        if recipe.trained_layers is not None:
            raise RecipeError("adapter_rank leaves the layers as they are: omit trained_layers")
        if not model.config.spec.parted:
            raise RecipeError(
                f"adapter_rank is not for {model.config.model_type} models yet: omit it"
            )
        adapters.adapt(model.encoder, recipe.adapter_rank)

    @torch.no_grad()
    def finish() -> None:
        if recipe.adapter_rank:
            matrices = adapters.learned(model.encoder)
            head = {
                n: a
                for n, a in model.to_weights().items()
                if n in HEADS[model.head].shapes(model.config)
            }
            write_adapter(
                Path(recipe.out) / ADAPTER,
                matrices,
                head,
                model.config,
                model.head,
                base=recipe.base,
                scale=adapters.SCALE,
            )
            adapters.merge(model.encoder)
        parameters = dict(model.named_parameters())
        for name, before in start.items():
            parameters[name].lerp_(before.to(parameters[name].device), share)

    return finish
