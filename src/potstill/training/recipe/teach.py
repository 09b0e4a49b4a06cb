"""The keys of a run with teachers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from potstill.errors import RecipeError
from potstill.training.recipe.table import MAY_CHANGE, PATH, WEIGHT, Between, Table


@dataclass(frozen=True, kw_only=True)
class TeachKeys(Table):
    """Learning from one teacher or several, whose outputs are kept.

    ``base`` is what the student starts from: the teacher, for a student of its layers, or any
    other checkpoint.
    """

    TITLE = "Teachers"

    teacher: Annotated[str | tuple[str, ...], MAY_CHANGE, PATH] = ""
    """Whom to learn from: a folder or hub id of a model of the same task and labels, or a list of
    them. By default ``base``."""
    teacher_weights: tuple[float, ...] = ()
    """Weight of each of several teachers; by default equal."""
    teacher_seq_len: Annotated[int, Between(0, 1e6)] = 0
    """Longest row of the teachers, 0 for ``seq_len`` (and never more than they can read)."""
    cache: Annotated[str, MAY_CHANGE, PATH] = ""
    """Folder for the teachers' outputs; by default the user's cache."""
    alpha_ce: Annotated[float, WEIGHT] = 0.5
    """Weight of the loss on gold answers or labels."""
    alpha_kd: Annotated[float, WEIGHT] = 0.5
    """Weight of the divergence from the teachers."""
    temperature: Annotated[float, Between(1e-3, 1e3)] = 2.0
    """Temperature of both distributions while they are compared; without effect on a regression."""

    def check(self) -> None:
        """Checks what the keys say together.

        Raises:
            RecipeError: names the key whose value cannot be used.
        """
        if isinstance(self.teacher, tuple) and not (self.teacher and all(self.teacher)):
            raise RecipeError("teacher is empty: name a folder or a hub id, or a list of them")
        given, n = self.teacher_weights, len(self.teachers)
        if given and len(given) != n:
            raise RecipeError(
                f"teacher_weights has {len(given)} values for {n} teachers: give one for each"
            )
        if given and (min(given) < 0 or sum(given) <= 0):
            raise RecipeError(f"teacher_weights must be 0 or more and not all 0, not {list(given)}")
        if not self.alpha_ce + self.alpha_kd > 0:
            raise RecipeError("alpha_ce and alpha_kd sum to 0: give one of them a weight")

    @property
    def teachers(self) -> tuple[str, ...]:
        """Every teacher, by name."""
        return (self.teacher,) if isinstance(self.teacher, str) else self.teacher

    @property
    def mixture(self) -> tuple[float, ...]:
        """Weight of each teacher; they sum to 1."""
        weights = self.teacher_weights or (1.0,) * len(self.teachers)
        return tuple(weight / sum(weights) for weight in weights)
