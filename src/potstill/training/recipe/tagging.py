"""The recipes of token classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from potstill.training.recipe.data import LabelRecipe
from potstill.training.recipe.student import StudentKeys
from potstill.training.recipe.table import OneOf
from potstill.training.recipe.teach import TeachKeys


@dataclass(frozen=True, kw_only=True)
class TaggingRecipe(LabelRecipe):
    """Fine-tuning on words with a tag each."""

    TITLE = "Token classification"

    task: str = "token-classification"
    word: str = ""
    """Column of the words: its number from 1, in JSONL its key; by default the first, in JSONL
    ``words`` or ``tokens``."""
    tag: str = ""
    """Column of the tags; by default the last, in JSONL ``tags``, ``ner_tags`` or ``labels``."""
    labels: tuple[str, ...] = ()
    """What the numbers 0, 1, … mean, where the tags of the data are numbers."""
    scheme: Annotated[str, OneOf(("", "spans", "plain"))] = ""
    """``spans``: tags mark where names begin and go on; ``plain``: each stands for itself, as
    parts of speech do; by default what the tags look like."""
    pieces: Annotated[str, OneOf(("first", "all"))] = "first"
    """Which tokens of a word are trained on its tag: the ``first``, or ``all``, where those behind
    the first of a name's first word go on with the name (``I-``)."""


@dataclass(frozen=True, kw_only=True)
class TaggingDistilRecipe(StudentKeys, TeachKeys, TaggingRecipe):
    """Distilling a model that tags from one teacher or several."""
