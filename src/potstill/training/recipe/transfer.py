"""The keys of matching what goes on inside teacher and student."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from potstill.errors import RecipeError
from potstill.training.recipe.table import SHARE, WEIGHT, Between, Table


@dataclass(frozen=True, kw_only=True)
class TransferKeys(Table):
    """Matching hidden states, attention or relations between the layers of teacher and student."""

    TITLE = "Matching inner states"

    alpha_hidden: Annotated[float, WEIGHT] = 0.0
    """Weight of matching hidden states."""
    alpha_attention: Annotated[float, WEIGHT] = 0.0
    """Weight of matching attention scores."""
    alpha_relation: Annotated[float, WEIGHT] = 0.0
    """Weight of matching self-attention relations."""
    relation_heads: Annotated[int, Between(0, 1e4)] = 0
    """Heads that relations are cut into, 0 for the teacher's own number."""
    layer_map: str | tuple[int, ...] = "uniform"
    """Teacher layer that each student layer matches: ``uniform``, ``last``, ``skip``, or a list
    of numbers from 0, one for each student layer (-1 leaves a layer out). Relations are matched
    for the last pair alone, as MiniLM does."""
    transfer_first: Annotated[float, SHARE] = 0.0
    """Share of the steps, at the start, in which only these inner losses count."""
    transfer_until: Annotated[float, SHARE] = 1.0
    """Share of the steps after which they no longer count."""

    def check(self) -> None:
        """Checks what the keys say together.

        Raises:
            RecipeError: names the key whose value cannot be used.
        """
        if self.transfer_first and not self.matches_inside:
            raise RecipeError(
                "transfer_first needs something to transfer: give alpha_hidden, alpha_attention "
                "or alpha_relation a weight"
            )
        if self.transfer_first > self.transfer_until:
            raise RecipeError(
                f"transfer_first {self.transfer_first:g} is more than transfer_until "
                f"{self.transfer_until:g}: nothing would be trained in between"
            )

    @property
    def matches_inside(self) -> bool:
        """Whether hidden states, attention or relations are matched."""
        return self.alpha_hidden + self.alpha_attention + self.alpha_relation > 0
