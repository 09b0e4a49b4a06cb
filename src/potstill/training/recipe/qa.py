"""The recipes of question answering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from potstill.data.negatives import NEGATIVES
from potstill.errors import RecipeError
from potstill.training.recipe.data import TaskRecipe
from potstill.training.recipe.prune import PruneKeys
from potstill.training.recipe.table import MAY_CHANGE, PATH, SHARE, Between
from potstill.training.recipe.teach import TeachKeys
from potstill.training.recipe.transfer import TransferKeys


@dataclass(frozen=True, kw_only=True)
class Recipe(TaskRecipe):
    """Fine-tuning on question answering."""

    TITLE = "Question answering"

    task: str = "question-answering"
    holdout: Annotated[float, Between(0, 0.9)] = 0.0
    """Share of the training articles (of the contexts, where articles are few) kept out of
    training and scored on instead of ``dev``; confidence and the null threshold are fitted on
    them."""
    answers_kept: Annotated[float, SHARE, MAY_CHANGE] = 0.0
    """Share of the F1 on held-out questions with an answer that the null threshold has to leave,
    such as 0.99; 0 fits it to F1 over all that is held out."""
    base_share: Annotated[float, SHARE, MAY_CHANGE] = 0.0
    """Share of the base's weights in the finished model's, for a base that can answer already: at
    0.5 it is the mean of what the run began and ended with (Wortsman et al., 2022, WiSE-FT)."""
    adapter_rank: Annotated[int, Between(0, 1e4)] = 0
    """Leave the base's encoder as it is and train low-rank adapters beside its dense layers (Hu et
    al., 2021, LoRA), which are folded into the finished model and also written to ``adapter`` in
    PEFT's format; 0 trains every weight."""
    negatives: Annotated[float, Between(0, 10)] = 0.0
    """Unanswerable questions to make, as a share of the training questions; the model learns to
    say that they have no answer."""
    negatives_from: str | tuple[str, ...] = "paragraphs"
    """How they are made, in equal parts: another of the article's ``paragraphs``, the best one of
    other ``articles``, the own one without the ``sentences`` that answer, or with other ``names``
    and figures, or words turned into their ``opposites``, in the question."""
    noise: Annotated[float, SHARE] = 0.0
    """Share of the training questions that are asked as people type them: without their mark, in
    lower case, in capitals, with a typo; or of a paragraph with a sentence of chatter beside it, or
    of its one sentence that answers."""
    seq_len: Annotated[int, Between(8, 1e6)] = 384
    """Longest window, in tokens."""
    stride: Annotated[int, Between(1, 1e6)] = 128
    """Tokens that neighbouring windows of a context share."""
    max_answer_tokens: Annotated[int, Between(1, 1e6), MAY_CHANGE] = 30
    """Longest answer the scoring may give, in tokens."""
    fix_offsets: bool = False
    """Move wrong answer offsets to the answer's nearest occurrence instead of refusing them."""

    def check(self) -> None:
        """Checks what the keys say together.

        Raises:
            RecipeError: names the key whose value cannot be used.
        """
        ways = self.negative_ways
        if not ways or not set(ways) <= set(NEGATIVES):
            raise RecipeError(
                f"negatives_from must be one or more of {', '.join(NEGATIVES)}, not {list(ways)}"
            )

    @property
    def negative_ways(self) -> tuple[str, ...]:
        """How unanswerable questions are made."""
        if isinstance(self.negatives_from, str):
            return (self.negatives_from,)
        return self.negatives_from


@dataclass(frozen=True, kw_only=True)
class DistilRecipe(TransferKeys, PruneKeys, TeachKeys, Recipe):
    """Distilling a question-answering model from one teacher or several."""

    TITLE = "Distilling question answering"

    teacher: Annotated[str | tuple[str, ...], MAY_CHANGE, PATH] = "default"
    """Whom to learn from: a folder, hub id or ``default``, or a list of them. Their tokenizers
    and windows may differ from the student's."""
    teacher_stride: Annotated[int, Between(0, 1e6)] = 0
    """Overlap of the teachers' windows, 0 for ``stride``."""
    mask_positions: bool = True
    """Compare over the positions that may hold an answer. ``false`` compares whole rows,
    question included, as published notebooks do; teacher and student must then cut text alike."""
    unlabelled: Annotated[str | tuple[str, ...], PATH] = ()
    """Questions without answers for the teacher to label: ``paragraphs`` (training questions asked
    of other paragraphs of their article), ``cloze:FILE`` (made from plain text), ``search:FILE``
    (training questions asked of the best paragraphs of plain text), or a file."""
    unlabelled_share: Annotated[float, Between(0, 1e3)] = 1.0
    """How many of them, as a share of the training questions."""

    def check(self) -> None:
        """Checks what the keys say together.

        Raises:
            RecipeError: names the key whose value cannot be used.
        """
        if not self.teacher:
            raise RecipeError("teacher is empty: name a folder, a hub id or 'default'")
        if self.base_share and self.fresh:
            raise RecipeError(
                f"base_share is {self.base_share:g}, but a fresh student has no weights of its "
                "base: omit one of the two"
            )
        if not self.mask_positions and (self.teacher_seq_len or self.teacher_stride):
            raise RecipeError(
                "mask_positions=false compares rows position by position: "
                "omit teacher_seq_len and teacher_stride"
            )

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

    @property
    def unlabelled_sources(self) -> tuple[str, ...]:
        """Where unlabelled questions come from."""
        if isinstance(self.unlabelled, str):
            return (self.unlabelled,) if self.unlabelled else ()
        return self.unlabelled
