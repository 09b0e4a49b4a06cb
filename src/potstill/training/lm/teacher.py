"""The teacher of a masked language model: its loss, and the head that it may lack."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.manifest import read_manifest
from potstill.bundle.weights import Weights, read_weights
from potstill.errors import CheckpointError, RecipeError
from potstill.losses.lm import hidden_cosine, masked_lm_cross_entropy, soft_target_kl
from potstill.models.lm import LMOutput, MaskedLM
from potstill.text.tokenizer import Tokenizer
from potstill.training.lm.corpus import Corpus
from potstill.training.lm.masking import MaskedRows, Masking
from potstill.training.recipe.lm import LMDistilRecipe, LMRecipe
from potstill.training.recipe.table import MAY_CHANGE
from potstill.training.run import checkpoint, processes
from potstill.training.run.course import Sitting
from potstill.training.run.report import Listeners

_HEAD_RATE = 1e-3
"""Learning rate of a head alone: nothing that was learnt before can be lost."""
_HEAD_ROWS = 64
"""Rows of a step of the head's stage."""


class LMDistilLoss:
    """α_ce · soft targets + α_mlm · masked LM + α_cos · cosine of the last hidden states.

    Sanh et al. 2019, §3 (https://arxiv.org/abs/1910.01108). Soft targets are compared on the
    hidden tokens, or on all that are real as hidden states are.
    """

    def __init__(
        self, recipe: LMDistilRecipe, masking: Masking, teacher: MaskedLM, fabric: Fabric
    ) -> None:
        """Takes the teacher over: it is frozen and moved to the run's device."""
        self._recipe, self._masking, self._fabric = recipe, masking, fabric
        self._teacher = teacher.requires_grad_(False).eval().to(fabric.device)

    def __call__(self, model: Any, batch: dict[str, Tensor], done: float) -> Tensor:
        """Mean over the batch, times its rows; scalar."""
        recipe = self._recipe
        rows = MaskedRows.of(batch, self._masking)
        seen = rows.real if recipe.all_positions else rows.positions
        student = self._run(model, rows, seen)
        loss = torch.zeros((), device=rows.shown.device)
        if recipe.alpha_mlm:
            found = student.logits[rows.positions[seen]] if recipe.all_positions else student.logits
            loss = loss + recipe.alpha_mlm * masked_lm_cross_entropy(found, rows.gold)
        if recipe.alpha_ce or recipe.alpha_cos:
            with torch.no_grad(), self._fabric.autocast():
                teacher = self._run(self._teacher, rows, seen)
            loss = loss + self._imitation(student, teacher, rows)
        return loss * len(rows.shown)

    def _imitation(self, student: LMOutput, teacher: LMOutput, rows: MaskedRows) -> Tensor:
        recipe = self._recipe
        assert student.hidden_states is not None and teacher.hidden_states is not None
        loss = torch.zeros((), device=rows.shown.device)
        if recipe.alpha_ce:
            soft = soft_target_kl(student.logits, teacher.logits, recipe.temperature)
            loss = loss + recipe.alpha_ce * soft
        if recipe.alpha_cos:
            cosine = hidden_cosine(
                student.hidden_states[-1], teacher.hidden_states[-1], rows.attention_mask
            )
            loss = loss + recipe.alpha_cos * cosine
        return loss

    @staticmethod
    def _run(model: Any, rows: MaskedRows, seen: Tensor) -> LMOutput:
        return model(rows.shown, rows.attention_mask, output_hidden_states=True, positions=seen)


def check_teacher(
    recipe: LMDistilRecipe, folder: Path, config: ModelConfig, tokenizer: Tokenizer
) -> None:
    """Refuses a teacher that cannot teach this student.

    Raises:
        RecipeError: names the key and the remedy.
    """
    teacher, name = read_config(folder), recipe.teacher or recipe.base
    theirs = Tokenizer.from_folder(folder)
    if teacher.vocab_size != config.vocab_size:
        raise RecipeError(
            f"teacher {name} has a vocabulary of {teacher.vocab_size:,} tokens and base "
            f"{recipe.base} one of {config.vocab_size:,}: a language model is distilled over one "
            "vocabulary; name a teacher or a base with the other's"
        )
    if theirs.tokens(range(theirs.vocab_size)) != tokenizer.tokens(range(tokenizer.vocab_size)):
        raise RecipeError(
            f"teacher {name} and base {recipe.base} number their tokens differently: "
            "name a teacher or a base with the other's vocabulary"
        )
    if recipe.seq_len > teacher.max_positions:
        raise RecipeError(
            f"seq_len {recipe.seq_len} is more than the {teacher.max_positions} positions of "
            f"teacher {name}"
        )
    width = (recipe.hidden_width if recipe.fresh else 0) or config.hidden_width
    if recipe.alpha_cos and width != teacher.hidden_width:
        raise RecipeError(
            f"alpha_cos compares hidden states of one width, and the student's is {width}, "
            f"teacher {name}'s {teacher.hidden_width}: set alpha_cos=0"
        )


def with_head(
    recipe: LMDistilRecipe,
    folder: Path,
    corpus: Corpus,
    sitting: Sitting,
    train: Callable[..., object],
) -> Path:
    """The teacher's folder, or one of the same encoder with a head trained on top.

    In a dry run the training is only announced, and the folder is the teacher's.

    Args:
        recipe: of the run.
        folder: the teacher's.
        corpus: to train on.
        sitting: of the run.
        train: does the run of a recipe, as a stage of this one.

    Raises:
        RecipeError: it has no head and none is to be trained.
        CheckpointError: the head in ``out/teacher`` is of another run.
    """
    fabric, listeners = sitting.fabric, sitting.listeners
    weights = read_weights(folder, read_config(folder), head=MaskedLM.head, require_head=False)
    if "lm_head.bias" in weights:
        return folder
    name = recipe.teacher or recipe.base
    if not recipe.head_steps:
        raise RecipeError(
            f"teacher {name} has no masked-LM head: name one that has, "
            "or let one be trained first with head_steps (200, say)"
        )
    stage = _head_recipe(recipe, folder, len(corpus.train))
    out = Path(stage.out)
    # A run that has begun keeps the head it began with: whether that is right, `Run` will say.
    begun = checkpoint.latest(Path(recipe.out) / "checkpoints") and read_manifest(out)
    needed = not _is_done(out, stage, corpus, weights) and not begun
    if sitting.dry_run and needed:
        listeners.note(f"{name} has no masked-LM head: one would be trained first, in {out}")
        return folder
    if processes.agreed(fabric, needed):
        listeners.note(f"{name} has no masked-LM head: one is trained first, in {out}")
        train(stage, listeners=_of_stage(listeners))
    fabric.barrier()  # until the first process has written it
    return out


def _head_recipe(recipe: LMDistilRecipe, folder: Path, n_rows: int) -> LMRecipe:
    kept = {f.name for f in fields(LMRecipe)} - _NOT_THE_HEADS
    return LMRecipe(
        **{key: value for key, value in recipe.to_dict().items() if key in kept},
        base=str(folder),
        out=str(Path(recipe.out) / "teacher"),
        epochs=float(math.ceil(recipe.head_steps / max(1, n_rows // _HEAD_ROWS))),
        max_steps=recipe.head_steps,
        learning_rate=_HEAD_RATE,
        sequences_per_step=_HEAD_ROWS,
        trained_layers=0,
        dropout=0.0,
    )


def _is_done(out: Path, stage: LMRecipe, corpus: Corpus, encoder: Weights) -> bool:
    """Whether this very head was trained before, to its last step.

    Raises:
        CheckpointError: there is one, on another encoder.
    """
    manifest = read_manifest(out)  # written last of all
    if manifest is None:
        return False
    found = read_weights(out, read_config(out), head=MaskedLM.head)
    if not all(name in found and np.array_equal(found[name], encoder[name]) for name in encoder):
        raise CheckpointError(
            f"{out} holds a head for another teacher than {stage.base}: remove that folder, "
            "or name another out"
        )
    may_differ = {*stage.marked(MAY_CHANGE)} - {"max_steps"}
    return manifest.data.get("fingerprint") == corpus.fingerprint and all(
        manifest.recipe.get(key) == value
        for key, value in stage.to_dict().items()
        if key not in may_differ
    )


def _of_stage(listeners: Listeners) -> Listeners:
    return Listeners(
        note=listeners.note,
        step=lambda report: listeners.stage("masked-LM head", report.step, report.n_steps),
    )


_NOT_THE_HEADS = frozenset(
    "base out epochs max_steps learning_rate sequences_per_step accumulate trained_layers dropout "
    "fresh n_layers hidden_width ffn_width n_heads layers tensorboard wandb trackio "
    "evaluate_steps".split()
)
"""Keys that the head's stage has values of its own for, or none."""
