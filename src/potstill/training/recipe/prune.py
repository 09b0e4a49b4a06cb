"""What pruning adds to a recipe: the keys of its table ``[prune]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from potstill.errors import RecipeError
from potstill.training.recipe.student import FRESH_ONLY, StudentKeys
from potstill.training.recipe.table import Between, OneOf


@dataclass(frozen=True, kw_only=True)
class PruneKeys(StudentKeys):
    """Removing heads, feed-forward neurons and word pieces from ``base`` before the student learns.

    In a recipe they stand in a table, ``[prune]`` with ``heads = 8``, or as ``prune_heads = 8``.
    Whole layers go by ``n_layers`` and ``layers``.
    """

    TITLE = "Pruning"

    prune_heads: float | tuple[int, ...] = 0.0
    """Attention heads that each layer keeps: a number, a share below 1, or a list with a number
    for each layer (of ``base``'s chosen layers); 0 for all."""
    prune_ffn: float | tuple[int, ...] = 0.0
    """Feed-forward neurons that each layer keeps, said as ``prune_heads``."""
    prune_ragged: bool = False
    """Keep as many in all, but from whichever layers need them most: the layers then differ."""
    prune_criterion: Annotated[str, OneOf(("importance", "magnitude", "reconstruction"))] = (
        "importance"
    )
    """What stays: ``importance`` (gradient times activation on training windows), ``magnitude`` (of
    the weights, without data) or ``reconstruction`` (what the rest cannot stand in for on training
    windows; the rest is then fitted to what the full model computes)."""
    prune_windows: Annotated[int, Between(1, 1e9)] = 1000
    """Training windows that importance is measured on, or that the rest is fitted on."""
    prune_vocabulary: str | int = ""
    """``corpus`` keeps the pieces that the training text uses, a number at most so many of
    them, and empty all. Single letters and special tokens always stay."""

    @property
    def prunes(self) -> bool:
        """Whether anything is to be removed."""
        return bool(self.prune_heads or self.prune_ffn or self.prune_vocabulary)

    @property
    def piece_limit(self) -> int:
        """Most word pieces that stay; 0 for all that the corpus uses."""
        return 0 if self.prune_vocabulary in ("", "corpus") else int(self.prune_vocabulary)

    def check(self) -> None:
        """Checks what the keys say, as far as the recipe alone can tell.

        Raises:
            RecipeError: names the key whose value cannot be used.
        """
        for key in ("prune_heads", "prune_ffn"):
            value: float | tuple[int, ...] = getattr(self, key)
            numbers = value if isinstance(value, tuple) else (value,)
            if min(numbers, default=-1.0) < 0:
                raise RecipeError(
                    f"{key} must be 0, a share below 1, a number or a list of numbers, "
                    f"not {list(numbers) if isinstance(value, tuple) else value!r}"
                )
        words = self.prune_vocabulary
        if not (words in ("", "corpus") or (str(words).isdigit() and int(words) > 0)):
            raise RecipeError(f"prune_vocabulary must be 'corpus' or a number, not {words!r}")
        if self.prune_ragged and self.prune_criterion == "reconstruction":
            raise RecipeError(
                "prune_ragged compares layers, which reconstruction does not: "
                "give prune_heads and prune_ffn as lists, or use prune_criterion=importance"
            )
        if self.prunes and self.fresh:
            raise RecipeError("fresh=true has nothing to prune: omit one of them")
        if self.prunes and any(self.shape[key] for key in FRESH_ONLY):
            raise RecipeError(
                "hidden_width, ffn_width and n_heads are for a fresh student: "
                "use prune_ffn and prune_heads"
            )
