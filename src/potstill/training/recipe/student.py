"""The keys of a model that takes part of another, or only its shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from potstill.training.recipe.table import Between, Table

FRESH_ONLY = ("hidden_width", "ffn_width", "n_heads")
"""Keys of a shape that only a fresh model can have."""


@dataclass(frozen=True, kw_only=True)
class StudentKeys(Table):
    """What a model takes of ``base``: some of its layers, or only its shape."""

    TITLE = "The shape of a student"

    fresh: bool = False
    """Start from random weights in the shape of ``base``."""
    n_layers: Annotated[int, Between(0, 1000)] = 0
    """Layers of the model, 0 for as many as ``base`` has."""
    hidden_width: Annotated[int, Between(0, 1e6)] = 0
    """Width of a fresh model, 0 for that of ``base``."""
    ffn_width: Annotated[int, Between(0, 1e6)] = 0
    """Feed-forward width of a fresh model, 0 for that of ``base``."""
    n_heads: Annotated[int, Between(0, 1e4)] = 0
    """Attention heads of a fresh model, 0 for as many as ``base`` has."""
    layers: str | tuple[int, ...] = "uniform"
    """Which layers of ``base`` to take where ``n_layers`` is fewer: ``uniform``, ``first``,
    ``last``, ``skip``, or a list of their numbers from 0."""

    @property
    def shape(self) -> dict[str, int]:
        """The shape of a fresh model, as `fresh_config` takes it."""
        return {key: getattr(self, key) for key in ("n_layers", *FRESH_ONLY)}
