"""Training masked language models, and distilling them: corpus → masked rows → loss."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import HEADS
from potstill.bundle.manifest import Manifest, sha256_of
from potstill.bundle.weights import Weights, read_weights, weights_file
from potstill.compression.student import (
    drop_token_types,
    fresh_config,
    narrow_embeddings,
    select_layers,
    take_layers,
)
from potstill.errors import RecipeError
from potstill.losses.lm import masked_lm_cross_entropy
from potstill.models.lm import LMOutput, MaskedLM
from potstill.text.tokenizer import Tokenizer
from potstill.training.lm.corpus import Corpus, CorpusPacking, CorpusRows, open_corpus
from potstill.training.lm.masking import MaskedRows, Masking
from potstill.training.lm.teacher import LMDistilLoss, check_teacher, with_head
from potstill.training.recipe.lm import LMDistilRecipe, LMRecipe
from potstill.training.recipe.student import FRESH_ONLY
from potstill.training.run.course import (
    Course,
    Score,
    Sitting,
    Training,
    carry_out,
    config_of_run,
    train_upper_layers,
)
from potstill.training.run.report import Listeners

_SCORED_ROWS = 512
"""Held-out rows that are scored: about 10,000 predicted tokens at 128 a row."""
_SCORING_SEED = 20_180_810
"""Of the masks on held-out rows. One for all runs, so that their losses compare."""


class LMTraining(Training):
    """Masked language modelling on plain text, with or without a teacher.

    Devlin et al. 2019, §3.1 (https://arxiv.org/abs/1810.04805), without the next-sentence task and
    with dynamic masking, as Liu et al. 2019 (https://arxiv.org/abs/1907.11692). A student is a
    DistilBERT: layers of ``base`` (or fresh), without token types and pooler; a RoBERTa's student
    is a RoBERTa, as DistilRoBERTa is. A teacher without a masked-LM head is given one first, in
    ``out/teacher``.

    Scores are ``mlm_loss`` on the held-out documents and ``total``, the tokens it is the mean of.
    """

    model_class = MaskedLM

    def prepare(self, recipe: LMRecipe, sitting: Sitting) -> Course:
        """Opens models and corpus."""
        fabric, listeners = sitting.fabric, sitting.listeners
        distils = isinstance(recipe, LMDistilRecipe)
        folder = find_model(recipe.base, weights=distils or needs_weights(recipe))
        config, tokenizer = read_config(folder), Tokenizer.from_folder(folder)
        masking = check_text(recipe, config, tokenizer)
        taught_by = find_model(recipe.teacher or recipe.base) if distils else folder
        if distils:
            check_teacher(recipe, taught_by, config, tokenizer)
        weights = read_start(recipe, folder, config)
        torch.manual_seed(recipe.seed)  # before anything random is made
        first = drop_token_types(config, weights) if distils else (config, weights)
        model = start(recipe, *first)
        train_upper_layers(model, recipe)
        with fabric.rank_zero_first():  # the others find it packed
            corpus = open_rows(recipe, tokenizer, listeners)
        marks = [corpus.fingerprint]
        here = masking.to(fabric.device)
        loss: Any = MaskedLMLoss(here)
        witness: MaskedLM | None = None
        has_head = "lm_head.bias" in weights
        if distils:
            is_own = taught_by.resolve() == folder.resolve()
            train = partial(carry_out, training=self, resume=True, fabric=fabric)
            taught_by = with_head(recipe, taught_by, corpus, sitting, train)
            teacher, _ = MaskedLM.from_folder(taught_by, read_config(taught_by))
            if is_own and not recipe.fresh:
                # Also where it was trained just now: the student's word table is the one it was
                # made for.
                model.lm_head.load_state_dict(teacher.lm_head.state_dict())
                has_head = True
            loss = LMDistilLoss(recipe, here, teacher, fabric)
            witness = teacher
            marks.append(sha256_of(weights_file(taught_by)))
        held_out = HeldOutLoss(corpus.held_out, masking, fabric, batch_tokens=recipe.batch_tokens)
        is_new = not (has_head or recipe.fresh)
        before: dict[str, Score] = {}
        if has_head and not recipe.fresh:
            before["the start"] = partial(held_out.score, model)
        if witness is not None:
            name = recipe.teacher or recipe.base if isinstance(recipe, LMDistilRecipe) else ""
            before[f"teacher {name}"] = partial(held_out.score, witness)
        data = {"corpus": Path(recipe.corpus).name, "fingerprint": corpus.fingerprint}
        return Course(
            model=model,
            module=model,
            rows=corpus.train,
            loss=loss,
            fingerprint=":".join(marks),
            folder=folder,
            base=config,
            n_scored=held_out.n_rows,
            score=lambda: held_out.score(model),
            describe=lambda: Manifest(data={**data, "rows": len(corpus.train)}),
            new_head=f"{recipe.base} has no {HEADS[self.head].title}: a new one was made"
            if is_new
            else "",
            before=before,
            n_before=held_out.n_rows,
            rows_per_step=recipe.sequences_per_step,
            whole_batches=True,  # a mean over a batch's hidden tokens
        )


class MaskedLMLoss:
    """The loss of plain masked language modelling, as the training loop asks for it."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking

    def __call__(self, model: Any, batch: dict[str, Tensor], done: float) -> Tensor:
        """Mean over the hidden tokens of the batch, times its rows; scalar."""
        rows = MaskedRows.of(batch, self._masking)
        output: LMOutput = model(rows.shown, rows.attention_mask, positions=rows.positions)
        return masked_lm_cross_entropy(output.logits, rows.gold) * len(rows.shown)


class HeldOutLoss:
    """Masked-LM loss on held-out rows: always the same rows and the same masks."""

    def __init__(
        self, rows: CorpusRows, masking: Masking, fabric: Fabric, *, batch_tokens: int
    ) -> None:
        """Draws the masks, leaving torch's own generator as it is.

        Args:
            rows: of documents that are not trained on.
            masking: on the CPU, so that every device scores the same masks.
            fabric: device and precision.
            batch_tokens: most tokens of one batch.
        """
        self._fabric = fabric
        self.n_rows = n_rows = min(len(rows), _SCORED_ROWS)
        """Rows that are scored."""
        self._rows: MaskedRows | None = None
        if n_rows:
            source = torch.Generator().manual_seed(_SCORING_SEED)
            self._rows = MaskedRows.of(rows.batch(list(range(n_rows))), masking, source)
            self._step = max(1, batch_tokens // self._rows.shown.shape[1])

    @torch.no_grad()
    def score(self, model: MaskedLM) -> dict[str, float]:
        """``mlm_loss`` and ``total``, the tokens it is the mean of; empty without such rows.

        Args:
            model: left in the mode (training or not) it was in.
        """
        if self._rows is None or not len(self._rows.gold):
            return {}
        training = model.training
        model.eval()
        total, at = 0.0, 0
        for begin in range(0, len(self._rows.shown), self._step):
            part = slice(begin, begin + self._step)
            positions = self._rows.positions[part]
            n = int(positions.sum())
            mask = self._rows.attention_mask
            move = self._fabric.to_device
            with self._fabric.autocast():
                output: LMOutput = model(
                    move(self._rows.shown[part]),
                    None if mask is None else move(mask[part]),
                    positions=move(positions),
                )
            gold = move(self._rows.gold[at : at + n])
            total += float(masked_lm_cross_entropy(output.logits, gold)) * n
            at += n
        model.train(training)
        return {"mlm_loss": total / at, "total": at}


def check_text(recipe: LMRecipe, config: ModelConfig, tokenizer: Tokenizer) -> Masking:
    """Checks that a model can learn a language in such tokens, and gives its masking.

    Raises:
        RecipeError: names the key that has to change.
    """
    if tokenizer.vocab_size > config.vocab_size:
        raise RecipeError(
            f"base {recipe.base} has a tokenizer of {tokenizer.vocab_size:,} tokens and embeddings "
            f"for {config.vocab_size:,}: name a model whose files belong together"
        )
    return Masking.of(tokenizer, share=recipe.mask_share, whole_words=recipe.whole_words)


def needs_weights(recipe: LMRecipe) -> bool:
    """Whether a run takes any weights from ``base``."""
    return not recipe.fresh or recipe.embeddings == "base"


def read_start(recipe: LMRecipe, folder: Path, config: ModelConfig) -> Weights:
    """The weights that a run starts from, with or without a head; none where all are random.

    Raises:
        ModelError: they cannot be read.
    """
    if not needs_weights(recipe):
        return {}
    return read_weights(folder, config, head=MaskedLM.head, require_head=False)


def start(recipe: LMRecipe, config: ModelConfig, weights: Weights) -> MaskedLM:
    """The model as it is before the first step.

    Args:
        recipe: of the run.
        config: of the model to start from.
        weights: as `read_start` gives them.

    Raises:
        RecipeError: the shape that is asked for cannot be had.
    """
    if recipe.fresh:
        return _fresh(recipe, config, weights)
    for name in FRESH_ONLY:
        if getattr(recipe, name):
            raise RecipeError(f"{name} can only be chosen for a fresh model: add fresh=true")
    if recipe.embeddings != "random":
        raise RecipeError("embeddings can only be chosen for a fresh model: add fresh=true")
    layers = select_layers(recipe.layers, config.n_layers, recipe.n_layers)
    config, weights = take_layers(config, weights, layers)
    model = MaskedLM(config_of_run(config, recipe))
    model.load_weights(weights)
    return model


def _fresh(recipe: LMRecipe, config: ModelConfig, weights: Weights) -> MaskedLM:
    model = MaskedLM(config_of_run(fresh_config(config, **recipe.shape), recipe))
    if recipe.embeddings == "base":
        table = narrow_embeddings(weights["embeddings.word.weight"], model.config.table_width)
        with torch.no_grad():
            model.encoder.embeddings.word.weight.copy_(torch.from_numpy(table))
    return model


def open_rows(recipe: LMRecipe, tokenizer: Tokenizer, listeners: Listeners) -> Corpus:
    """The corpus of a recipe in rows.

    Raises:
        DataError: it cannot be read.
        OutputError: the cache cannot be written.
    """
    packing = CorpusPacking(
        seq_len=recipe.seq_len, holdout=recipe.holdout, max_rows=recipe.max_rows
    )
    corpus = open_corpus(
        recipe.corpus, tokenizer, packing, cache=recipe.cache or None, note=listeners.note
    )
    if recipe.holdout and not len(corpus.held_out):
        listeners.note(f"holdout {recipe.holdout:g} of so few documents is none: nothing is scored")
    return corpus
