"""The recipes of masked language models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from potstill.errors import RecipeError
from potstill.training.recipe.run import RunRecipe
from potstill.training.recipe.student import StudentKeys
from potstill.training.recipe.table import (
    COUNT,
    MAY_CHANGE,
    PATH,
    REQUIRED,
    WEIGHT,
    Between,
    OneOf,
)


@dataclass(frozen=True, kw_only=True)
class LMRecipe(StudentKeys, RunRecipe):
    """Training a masked language model on plain text."""

    TITLE = "Masked language models"

    task: str = "masked-lm"
    corpus: Annotated[str, REQUIRED, MAY_CHANGE, PATH]
    """Plain text: a file, a folder or a glob of ``.txt``, plain or packed (.gz, .xz)."""
    cache: Annotated[str, MAY_CHANGE, PATH] = ""
    """Folder for the packed corpus; by default the user's cache."""
    max_rows: Annotated[int, COUNT] = 0
    """Use only the first so many rows of the corpus, 0 for all."""
    holdout: Annotated[float, Between(0, 0.9)] = 0.01
    """Share of the documents kept out of training; the loss on them is reported."""
    seq_len: Annotated[int, Between(8, 1e6)] = 128
    """Tokens of a row."""
    sequences_per_step: Annotated[int, Between(0, 1e9)] = 0
    """Rows of one optimiser step, cut into batches of ``batch_tokens``; 0 for ``accumulate``
    batches."""
    mask_share: Annotated[float, Between(0.01, 0.9)] = 0.15
    """Share of the tokens to predict."""
    whole_words: bool = False
    """Mask whole words rather than single pieces."""
    embeddings: Annotated[str, OneOf(("random", "base"))] = "random"
    """Word embeddings of a fresh model: ``random``, or ``base`` for those of ``base``, reduced to
    their first principal components where the model is narrower."""


@dataclass(frozen=True, kw_only=True)
class LMDistilRecipe(LMRecipe):
    """Distilling a language model, as DistilBERT was made (https://arxiv.org/abs/1910.01108)."""

    TITLE = "Distilling masked language models"

    teacher: Annotated[str, MAY_CHANGE, PATH] = ""
    """The masked language model to learn from; by default ``base``."""
    head_steps: Annotated[int, COUNT] = 200
    """Steps that first train a head for a teacher that has none; 0 refuses such a teacher."""
    alpha_ce: Annotated[float, WEIGHT] = 5.0
    """Weight of the teacher's soft targets."""
    alpha_mlm: Annotated[float, WEIGHT] = 2.0
    """Weight of the masked-language-model loss."""
    alpha_cos: Annotated[float, WEIGHT] = 1.0
    """Weight of the cosine between the last hidden states."""
    temperature: Annotated[float, Between(1e-3, 1e3)] = 2.0
    """Temperature of the soft targets."""
    all_positions: bool = False
    """Compare soft targets on every real token rather than on the hidden ones alone: what
    DistilBERT's published code does by default, at several times the cost."""

    def check(self) -> None:
        """Checks what the keys say together.

        Raises:
            RecipeError: names the key whose value cannot be used.
        """
        if not self.alpha_ce + self.alpha_mlm + self.alpha_cos > 0:
            raise RecipeError("alpha_ce, alpha_mlm and alpha_cos sum to 0: give one a weight")
