"""Recipes of token classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from potstill.training.task_recipe import TaskRecipe, TeachingKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggingRecipe(TaskRecipe):
    """Fine-tuning on words with a tag each."""

    task: str = "token-classification"
    word: str = ""
    """Column of the words: its number from 1, in JSONL its key; by default the first, in JSONL
    ``words`` or ``tokens``."""
    tag: str = ""
    """Column of the tags; by default the last, in JSONL ``tags``, ``ner_tags`` or ``labels``."""
    labels: tuple[str, ...] = ()
    """What the numbers 0, 1, … mean, where the tags of the data are numbers."""
    scheme: str = ""
    """``spans``: tags mark where names begin and go on; ``plain``: each stands for itself, as
    parts of speech do; by default what the tags look like."""
    pieces: str = "first"
    """Which tokens of a word are trained on its tag: the ``first``, or ``all``, where those behind
    the first of a name's first word go on with the name (``I-``)."""

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        **TaskRecipe.CHOICES,
        "scheme": ("", "spans", "plain"),
        "pieces": ("first", "all"),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggingDistilRecipe(TeachingKeys, TaggingRecipe):
    """Distilling a model that tags from one teacher or several."""

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        **TaggingRecipe.RANGES,
        **TeachingKeys.TEACHING_RANGES,
    }
    MAY_CHANGE: ClassVar[frozenset[str]] = TaggingRecipe.MAY_CHANGE | {"teacher", "cache"}
    PATHS: ClassVar[tuple[str, ...]] = (*TaggingRecipe.PATHS, *TeachingKeys.TEACHING_PATHS)

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            RecipeError: names the first key whose value cannot be used.
        """
        super(TaggingDistilRecipe, self).__post_init__()
        self.check_teaching()
