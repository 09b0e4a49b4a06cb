"""Recipes of the tasks that label texts: what all of them share, and what distilling adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from potstill.errors import RecipeError
from potstill.training.recipe import RunRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecipe(RunRecipe):
    """Fine-tuning on labelled texts; each task has a class of its own below this one."""

    base: str
    """Model to start from: a folder, a hub id or ``default``. A head that does not fit the labels
    is made new."""
    train: str
    """Training data, plain or packed (.gz, .xz)."""
    dev: str = ""
    """Data to score and calibrate on after training; never trained on."""
    split: float = 0.0
    """Share of ``train`` kept out of training and scored on instead of ``dev``; the rows are those
    that scikit-learn's ``train_test_split`` takes."""
    split_seed: int = 42
    """Its ``random_state``."""
    examples: int = 0
    """Train on the first so many examples (of those that ``split`` leaves), 0 for all."""
    seq_len: int = 128
    """Longest row, in tokens; what is longer loses its end, and a note says how often."""
    baseline: bool = True
    """Also score what needs no network at all, for comparison."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("base", "train", "out")
    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        **RunRecipe.RANGES,
        "split": (0, 0.9),
        "split_seed": (0, 2**32 - 1),
        "examples": (0, 1e12),
        "seq_len": (8, 1e6),
    }
    MAY_CHANGE: ClassVar[frozenset[str]] = RunRecipe.MAY_CHANGE | {
        "base",
        "train",
        "dev",
        "baseline",
    }
    PATHS: ClassVar[tuple[str, ...]] = ("base", "train", "dev")


# Without slots: a class cannot have two bases that both have them.
@dataclass(frozen=True, kw_only=True)
class TeachingKeys:
    """What distilling adds to the recipe of a task.

    ``base`` is what the student starts from: the teacher, for a student of its layers, or any
    other checkpoint.
    """

    teacher: str | tuple[str, ...] = ""
    """Whom to learn from: a folder or hub id of a model of the same task and labels, or a list of
    them. By default ``base``."""
    teacher_weights: tuple[float, ...] = ()
    """Weight of each of several teachers' logits; by default equal."""
    teacher_seq_len: int = 0
    """Longest row of the teachers, 0 for ``seq_len`` (and never more than they can read)."""
    cache: str = ""
    """Folder for the teachers' logits; by default the user's cache."""
    alpha_ce: float = 0.5
    """Weight of the loss on the gold labels."""
    alpha_kd: float = 0.5
    """Weight of the loss on the teachers' logits."""
    temperature: float = 2.0
    """Temperature of both sides while they are compared; without effect on a regression."""
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

    TEACHING_RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        "teacher_seq_len": (0, 1e6),
        "alpha_ce": (0, 1e6),
        "alpha_kd": (0, 1e6),
        "temperature": (1e-3, 1e3),
        "n_layers": (0, 1000),
        "hidden_width": (0, 1e6),
        "ffn_width": (0, 1e6),
        "n_heads": (0, 1e4),
    }
    TEACHING_PATHS: ClassVar[tuple[str, ...]] = ("teacher", "cache")

    def check_teaching(self) -> None:
        """Checks what the keys say together.

        Raises:
            RecipeError: names the key whose value cannot be used.
        """
        if not isinstance(self.teacher, str) and not (self.teacher and all(self.teacher)):
            raise RecipeError("teacher is an empty list: name a folder or hub id")
        if not self.alpha_ce + self.alpha_kd > 0:
            raise RecipeError("alpha_ce and alpha_kd sum to 0: give one of them a weight")
        n = 1 if isinstance(self.teacher, str) else len(self.teacher)
        given = self.teacher_weights
        if given and (len(given) != n or min(given) < 0 or sum(given) <= 0):
            raise RecipeError(
                f"teacher_weights must be {n} numbers of 0 or more and not all 0, not {list(given)}"
            )

    @property
    def mixture(self) -> tuple[float, ...]:
        """Weight of each teacher; they sum to 1."""
        n = 1 if isinstance(self.teacher, str) else len(self.teacher)
        weights = self.teacher_weights or (1.0,) * n
        return tuple(weight / sum(weights) for weight in weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationRecipe(TaskRecipe):
    """Fine-tuning on labelled texts or pairs of texts, or on a number for each."""

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
    problem: str = ""
    """``single-label``, ``multi-label`` or ``regression``; by default what the columns say."""
    max_windows: int = 1
    """Rows that the trained model reads a long text in, spread evenly from its beginning to its
    end, 0 for as many as it takes; what it says of each is averaged. Training is on beginnings."""
    class_weights: str | tuple[float, ...] = ""
    """``balanced``: a label weighs the more in the loss the rarer it is (single-label n / (labels ·
    its rows), multi-label rows without / rows with it, on the latter); or a number for each."""

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        **TaskRecipe.RANGES,
        "max_windows": (0, 1e6),
    }
    MAY_CHANGE: ClassVar[frozenset[str]] = TaskRecipe.MAY_CHANGE | {"max_windows"}
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        **TaskRecipe.CHOICES,
        "problem": ("", "single-label", "multi-label", "regression"),
    }

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            RecipeError: names the first key whose value cannot be used.
        """
        super(ClassificationRecipe, self).__post_init__()
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationDistilRecipe(TeachingKeys, ClassificationRecipe):
    """Distilling a classifier from one teacher or several."""

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        **ClassificationRecipe.RANGES,
        **TeachingKeys.TEACHING_RANGES,
    }
    MAY_CHANGE: ClassVar[frozenset[str]] = ClassificationRecipe.MAY_CHANGE | {"teacher", "cache"}
    PATHS: ClassVar[tuple[str, ...]] = (
        *ClassificationRecipe.PATHS,
        *TeachingKeys.TEACHING_PATHS,
    )

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            RecipeError: names the first key whose value cannot be used.
        """
        super(ClassificationDistilRecipe, self).__post_init__()
        self.check_teaching()
