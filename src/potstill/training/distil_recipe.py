"""The recipe of task-level distillation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from potstill.errors import RecipeError
from potstill.training.prune_keys import PruneKeys
from potstill.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilRecipe(PruneKeys, Recipe):
    """Distilling a question-answering model from one teacher or several.

    ``base`` is what the student starts from: the teacher, for a student of its layers, or any
    other checkpoint.
    """

    teacher: str | tuple[str, ...] = "default"
    """Whom to learn from: a folder, hub id or ``default``, or a list of them. Their tokenizers
    and windows may differ from the student's."""
    teacher_weights: tuple[float, ...] = ()
    """Weight of each of several teachers; by default equal."""
    teacher_seq_len: int = 0
    """Longest window of the teachers, 0 for ``seq_len`` (and never more than they can read)."""
    teacher_stride: int = 0
    """Overlap of the teachers' windows, 0 for ``stride``."""
    cache: str = ""
    """Folder for the teachers' outputs; by default the user's cache."""
    alpha_ce: float = 0.5
    """Weight of the gold answers' cross-entropy."""
    alpha_kd: float = 0.5
    """Weight of the divergence from the teacher."""
    temperature: float = 2.0
    """Temperature of both distributions while they are compared."""
    mask_positions: bool = True
    """Compare over the positions that may hold an answer. ``false`` compares whole rows,
    question included, as published notebooks do; teacher and student must then cut text alike."""
    unlabelled: str | tuple[str, ...] = ()
    """Questions without answers for the teacher to label: ``paragraphs`` (training questions asked
    of other paragraphs of their article), ``cloze:FILE`` (made from plain text), ``search:FILE``
    (training questions asked of the best paragraphs of plain text), or a file."""
    unlabelled_share: float = 1.0
    """How many of them, as a share of the training questions."""
    fresh: bool = False
    """Start the student from random weights in the shape of ``base``."""
    n_layers: int = 0
    """Layers of the student, 0 for as many as ``base`` has."""
    hidden_width: int = 0
    """Width of a fresh student, 0 for that of ``base``."""
    ffn_width: int = 0
    """Feed-forward width of a fresh student, 0 for that of ``base``."""
    n_heads: int = 0
    """Attention heads of a fresh student, 0 for as many as ``base`` has."""
    layers: str | tuple[int, ...] = "uniform"
    """Which layers of ``base`` the student takes where ``n_layers`` is fewer: ``uniform``,
    ``first``, ``last``, ``skip``, or a list of their numbers from 0."""
    alpha_hidden: float = 0.0
    """Weight of matching hidden states."""
    alpha_attention: float = 0.0
    """Weight of matching attention scores."""
    alpha_relation: float = 0.0
    """Weight of matching self-attention relations."""
    relation_heads: int = 0
    """Heads that relations are cut into, 0 for the teacher's own number."""
    layer_map: str | tuple[int, ...] = "uniform"
    """Teacher layer that each student layer matches: ``uniform``, ``last``, ``skip``, or a list
    of numbers from 0, one for each student layer (-1 leaves a layer out). Relations are matched
    for the last pair alone, as MiniLM does."""
    transfer_first: float = 0.0
    """Share of the steps, at the start, in which only these inner losses count."""
    transfer_until: float = 1.0
    """Share of the steps after which they no longer count."""

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        **Recipe.RANGES,
        **PruneKeys.PRUNE_RANGES,
        "teacher_seq_len": (0, 1e6),
        "teacher_stride": (0, 1e6),
        "alpha_ce": (0, 1e6),
        "alpha_kd": (0, 1e6),
        "temperature": (1e-3, 1e3),
        "unlabelled_share": (0, 1e3),
        "n_layers": (0, 1000),
        "hidden_width": (0, 1e6),
        "ffn_width": (0, 1e6),
        "n_heads": (0, 1e4),
        "alpha_hidden": (0, 1e6),
        "alpha_attention": (0, 1e6),
        "alpha_relation": (0, 1e6),
        "relation_heads": (0, 1e4),
        "transfer_first": (0, 1),
        "transfer_until": (0, 1),
    }
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {**Recipe.CHOICES, **PruneKeys.PRUNE_CHOICES}
    MAY_CHANGE: ClassVar[frozenset[str]] = Recipe.MAY_CHANGE | {"teacher", "cache"}
    PATHS: ClassVar[tuple[str, ...]] = (*Recipe.PATHS, "teacher", "cache", "unlabelled")

    @property
    def teaches_live(self) -> bool:
        """Whether soft targets come out of the teacher's run that the inner losses need anyway.

        That is where every step needs it, and the only teacher reads the student's own windows.
        """
        windows = (self.teacher_seq_len or self.seq_len, self.teacher_stride or self.stride)
        return (
            self.alpha_kd > 0
            and self.matches_inside
            and self.transfer_until >= 1
            and len(self.teachers) == 1
            and windows == (self.seq_len, self.stride)
        )

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            RecipeError: names the first key whose value cannot be used.
        """
        super(DistilRecipe, self).__post_init__()
        shaped = bool(self.hidden_width or self.ffn_width or self.n_heads)
        self.check_pruning(fresh=self.fresh, shaped=shaped)
        teachers = self.teachers
        if not teachers or not all(teachers):
            raise RecipeError("teacher is empty: name a folder, a hub id or 'default'")
        if self.teacher_weights:
            if len(self.teacher_weights) != len(teachers):
                raise RecipeError(
                    f"teacher_weights has {len(self.teacher_weights)} values for "
                    f"{len(teachers)} teachers: give one for each"
                )
            if min(self.teacher_weights) < 0 or sum(self.teacher_weights) <= 0:
                raise RecipeError(
                    f"teacher_weights must be 0 or more and not all 0, "
                    f"not {list(self.teacher_weights)}"
                )
        if not self.alpha_ce + self.alpha_kd > 0:
            raise RecipeError("alpha_ce and alpha_kd sum to 0: give one of them a weight")
        if self.base_share and self.fresh:
            raise RecipeError(
                f"base_share is {self.base_share:g}, but a fresh student has no weights of its "
                "base: omit one of the two"
            )
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
        if not self.mask_positions and (self.teacher_seq_len or self.teacher_stride):
            raise RecipeError(
                "mask_positions=false compares rows position by position: "
                "omit teacher_seq_len and teacher_stride"
            )

    @property
    def teachers(self) -> tuple[str, ...]:
        """Every teacher, by name."""
        return (self.teacher,) if isinstance(self.teacher, str) else self.teacher

    @property
    def unlabelled_sources(self) -> tuple[str, ...]:
        """Where unlabelled questions come from."""
        if isinstance(self.unlabelled, str):
            return (self.unlabelled,) if self.unlabelled else ()
        return self.unlabelled

    @property
    def mixture(self) -> tuple[float, ...]:
        """Weight of each teacher; they sum to 1."""
        weights = self.teacher_weights or (1.0,) * len(self.teachers)
        return tuple(weight / sum(weights) for weight in weights)

    @property
    def matches_inside(self) -> bool:
        """Whether hidden states, attention or relations are matched."""
        return self.alpha_hidden + self.alpha_attention + self.alpha_relation > 0
