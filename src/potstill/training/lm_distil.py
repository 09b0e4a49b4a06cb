"""Distilling a masked language model, the way DistilBERT was made from BERT."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.find import find_model
from potstill.bundle.manifest import read_manifest, sha256_of
from potstill.bundle.weights import Weights, read_weights, weights_file
from potstill.compression.student import drop_token_types
from potstill.errors import CheckpointError, RecipeError
from potstill.losses.lm import hidden_cosine, masked_lm_cross_entropy, soft_target_kl
from potstill.models.lm import LMOutput, MaskedLM
from potstill.text.tokenizer import Tokenizer
from potstill.training import checkpoint, processes
from potstill.training.corpus import Corpus
from potstill.training.lm import (
    HeldOutLoss,
    MaskedRows,
    check_text,
    finish,
    open_rows,
    read_start,
    start,
    train_lm,
)
from potstill.training.loggers import make_loggers
from potstill.training.loop import Run, make_fabric
from potstill.training.masking import Masking
from potstill.training.recipe import LMDistilRecipe, LMRecipe
from potstill.training.runs import Listeners, hardware, heard, say_plan, train

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


def distil_lm(
    recipe: LMDistilRecipe,
    *,
    resume: bool | str = False,
    dry_run: bool = False,
    listeners: Listeners | None = None,
) -> dict[str, float]:
    """Distils a masked language model as ``recipe`` says and writes it to ``recipe.out``.

    The student is a DistilBERT: layers of ``base`` (or fresh), without token types and pooler; a
    RoBERTa's student is a RoBERTa, as DistilRoBERTa is. A teacher without a masked-LM head is
    given one first, in ``out/teacher``.

    Args:
        recipe: the run.
        resume: go on from the newest checkpoint in ``recipe.out``, or from that of this name.
        dry_run: check everything and say what would be done, and train and write nothing.
        listeners: told how it goes.

    Returns:
        As `train_lm`.

    Raises:
        RecipeError: a value of the recipe cannot be used with these models or on this machine.
        DataError: the corpus cannot be read.
        CheckpointError: the run in ``recipe.out`` cannot be continued.
        ModelError: the base model or the teacher cannot be used.
    """
    folder = find_model(recipe.base)
    config, tokenizer = read_config(folder), Tokenizer.from_folder(folder)
    masking = check_text(recipe, config, tokenizer)
    taught_by = find_model(recipe.teacher or recipe.base)
    is_own = taught_by.resolve() == folder.resolve()
    _check_teacher(recipe, taught_by, config, tokenizer)
    fabric = make_fabric(recipe, () if dry_run else make_loggers(recipe))
    listeners = heard(fabric, listeners)
    weights = read_start(recipe, folder, config)
    torch.manual_seed(recipe.seed)
    model = start(recipe, *drop_token_types(config, weights))
    with fabric.rank_zero_first():
        corpus = open_rows(recipe, tokenizer, listeners)
    taught_by = _with_head(recipe, taught_by, corpus, fabric, listeners, dry_run=dry_run)
    teacher, _ = MaskedLM.from_folder(taught_by, read_config(taught_by))
    if is_own and not recipe.fresh:
        # Also where it was trained just now: the student's word table is the one it was made for.
        model.lm_head.load_state_dict(teacher.lm_head.state_dict())
    run = Run(
        fabric,
        model,
        corpus.train,
        LMDistilLoss(recipe, masking.to(fabric.device), teacher, fabric),
        recipe,
        fingerprint=f"{corpus.fingerprint}:{sha256_of(weights_file(taught_by))}",
        resume=resume,
        rows_per_step=recipe.sequences_per_step,
        whole_batches=True,  # a mean over a batch's hidden tokens
    )
    held_out = HeldOutLoss(corpus.held_out, masking, fabric, batch_tokens=recipe.batch_tokens)
    say_plan(run, recipe, fabric, held_out.n_rows, listeners.note)
    if dry_run:
        return {}
    scores = train(run, recipe, fabric, lambda: held_out.score(model), listeners)
    if fabric.is_global_zero:
        finish(model, config, folder, recipe, corpus, scores, hardware(fabric, run))
    return scores


def _check_teacher(
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


def _with_head(
    recipe: LMDistilRecipe,
    folder: Path,
    corpus: Corpus,
    fabric: Fabric,
    listeners: Listeners,
    *,
    dry_run: bool,
) -> Path:
    """The teacher's folder, or one of the same encoder with a head trained on top.

    With ``dry_run`` the training is only announced, and the folder is the teacher's.

    Raises:
        RecipeError: it has no head and none is to be trained.
        CheckpointError: the head in ``out/teacher`` is of another run.
    """
    weights = read_weights(folder, read_config(folder), head="mlm", require_head=False)
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
    if dry_run and needed:
        listeners.note(f"{name} has no masked-LM head: one would be trained first, in {out}")
        return folder
    if processes.agreed(fabric, needed):
        listeners.note(f"{name} has no masked-LM head: one is trained first, in {out}")
        train_lm(stage, resume=True, listeners=_of_stage(listeners), fabric=fabric)
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
        train_only_head=True,
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
    found = read_weights(out, read_config(out), head="mlm")
    if not all(name in found and np.array_equal(found[name], encoder[name]) for name in encoder):
        raise CheckpointError(
            f"{out} holds a head for another teacher than {stage.base}: remove that folder, "
            "or name another out"
        )
    may_differ = stage.MAY_CHANGE - {"max_steps"}
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
    "base out epochs max_steps learning_rate sequences_per_step accumulate train_only_head dropout "
    "fresh n_layers hidden_width ffn_width n_heads layers tensorboard wandb trackio "
    "evaluate_steps".split()
)
"""Keys that the head's stage has values of its own for, or none."""
