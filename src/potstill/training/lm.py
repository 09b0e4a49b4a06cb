"""Masked language models for the training loop: corpus → masked rows → loss, and a whole run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.find import find_model
from potstill.bundle.manifest import Manifest
from potstill.bundle.weights import Weights, read_weights
from potstill.compression.student import (
    fresh_config,
    narrow_embeddings,
    select_layers,
    take_layers,
)
from potstill.errors import RecipeError
from potstill.losses.lm import IGNORE, masked_lm_cross_entropy
from potstill.models.lm import LMOutput, MaskedLM
from potstill.text.tokenizer import Tokenizer
from potstill.training.corpus import Corpus, CorpusRows, Packing, open_corpus
from potstill.training.loggers import make_loggers
from potstill.training.loop import Run, make_fabric
from potstill.training.masking import Masking, mask_tokens
from potstill.training.recipe import LMRecipe
from potstill.training.runs import (
    Listeners,
    hardware,
    heard,
    say_plan,
    train,
    without_paths,
    write_model,
)

_SCORED_ROWS = 512
"""Held-out rows that are scored: about 10,000 predicted tokens at 128 a row."""
_SCORING_SEED = 20_180_810
"""Of the masks on held-out rows. One for all runs, so that their losses compare."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskedRows:
    """A batch with its tokens hidden."""

    shown: Tensor
    """Ids with masks, int64 ``[batch, seq]``."""
    attention_mask: Tensor | None
    """1 for real tokens, ``[batch, seq]``; ``None`` where nothing is padded."""
    positions: Tensor
    """True where a token is to be found, bool ``[batch, seq]``."""
    gold: Tensor
    """The tokens to be found, int64 ``[n]``."""

    @classmethod
    def of(
        cls,
        batch: dict[str, Tensor],
        masking: Masking,
        generator: torch.Generator | None = None,
    ) -> MaskedRows:
        """Masks a batch of `CorpusRows`, by torch's own generator unless one is given."""
        shown, labels = mask_tokens(batch["input_ids"], masking, generator)
        positions = labels != IGNORE
        return cls(shown, batch.get("attention_mask"), positions, labels[positions])

    @property
    def real(self) -> Tensor:
        """True for tokens that are no padding, bool ``[batch, seq]``."""
        if self.attention_mask is None:
            return torch.ones_like(self.positions)
        return self.attention_mask.bool()


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


def train_lm(
    recipe: LMRecipe,
    *,
    resume: bool | str = False,
    dry_run: bool = False,
    listeners: Listeners | None = None,
    fabric: Fabric | None = None,
) -> dict[str, float]:
    """Trains a masked language model as ``recipe`` says and writes it to ``recipe.out``.

    Devlin et al. 2019, §3.1 (https://arxiv.org/abs/1810.04805), without the next-sentence task
    and with dynamic masking, as Liu et al. 2019 (https://arxiv.org/abs/1907.11692).

    Args:
        recipe: the run.
        resume: go on from the newest checkpoint in ``recipe.out``, or from that of this name.
        dry_run: check everything and say what would be done, and train and write nothing.
        listeners: told how it goes.
        fabric: that of the run that this is a stage of.

    Returns:
        ``mlm_loss`` on the held-out documents and ``total``, the tokens it is the mean of; empty
        where none are held out.

    Raises:
        RecipeError: a value of the recipe cannot be used with this model or on this machine.
        DataError: the corpus cannot be read.
        CheckpointError: the run in ``recipe.out`` cannot be continued.
        ModelError: the base model cannot be used.
    """
    folder = find_model(recipe.base, weights=needs_weights(recipe))
    config = read_config(folder)
    tokenizer = Tokenizer.from_folder(folder)
    masking = check_text(recipe, config, tokenizer)
    fabric = fabric or make_fabric(recipe, () if dry_run else make_loggers(recipe))
    listeners = heard(fabric, listeners)
    torch.manual_seed(recipe.seed)  # before anything random is made
    weights = read_start(recipe, folder, config)
    model = start(recipe, config, weights)
    if recipe.train_only_head:
        model.encoder.requires_grad_(False)
    with fabric.rank_zero_first():  # the others find it packed
        corpus = open_rows(recipe, tokenizer, listeners)
    run = Run(
        fabric,
        model,
        corpus.train,
        MaskedLMLoss(masking.to(fabric.device)),
        recipe,
        fingerprint=corpus.fingerprint,
        resume=resume,
        rows_per_step=recipe.sequences_per_step,
        whole_batches=True,  # a mean over a batch's hidden tokens
    )
    if not recipe.fresh and "lm_head.bias" not in weights and not run.step:
        listeners.note(f"{recipe.base} has no masked-LM head: a new one was made")
    held_out = HeldOutLoss(corpus.held_out, masking, fabric, batch_tokens=recipe.batch_tokens)
    say_plan(run, recipe, fabric, held_out.n_rows, listeners.note)
    if dry_run:
        return {}
    scores = train(run, recipe, fabric, lambda: held_out.score(model), listeners)
    if fabric.is_global_zero:
        finish(model, config, folder, recipe, corpus, scores, hardware(fabric, run))
    return scores


def check_text(recipe: LMRecipe, config: ModelConfig, tokenizer: Tokenizer) -> Masking:
    """Checks that a model can learn a language from such rows, and gives its masking.

    Raises:
        RecipeError: names the key that has to change.
    """
    if recipe.seq_len > config.max_positions:
        raise RecipeError(
            f"seq_len {recipe.seq_len} is more than the {config.max_positions} positions of "
            f"{recipe.base}"
        )
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
    return read_weights(folder, config, head="mlm", require_head=False)


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
    for name in _FRESH_ONLY:
        if getattr(recipe, name):
            raise RecipeError(f"{name} can only be chosen for a fresh model: add fresh=true")
    if recipe.embeddings != "random":
        raise RecipeError("embeddings can only be chosen for a fresh model: add fresh=true")
    layers = select_layers(recipe.layers, config.n_layers, recipe.n_layers)
    config, weights = take_layers(config, weights, layers)
    model = MaskedLM(with_dropout(config, recipe))
    model.load_weights(weights)
    return model


def _fresh(recipe: LMRecipe, config: ModelConfig, weights: Weights) -> MaskedLM:
    if recipe.train_only_head:
        raise RecipeError("train_only_head would leave a fresh encoder random: drop fresh")
    shape = {k: getattr(recipe, k) for k in ("n_layers", *_FRESH_ONLY)}
    config = with_dropout(fresh_config(config, **shape), recipe)
    model = MaskedLM(config)
    if recipe.embeddings == "base":
        table = narrow_embeddings(weights["embeddings.word.weight"], config.table_width)
        with torch.no_grad():
            model.encoder.embeddings.word.weight.copy_(torch.from_numpy(table))
    return model


def with_dropout(config: ModelConfig, recipe: LMRecipe) -> ModelConfig:
    """The config to train with."""
    return config if recipe.dropout is None else config.with_dropout(recipe.dropout)


def open_rows(recipe: LMRecipe, tokenizer: Tokenizer, listeners: Listeners) -> Corpus:
    """The corpus of a recipe in rows.

    Raises:
        DataError: it cannot be read.
        OutputError: the cache cannot be written.
    """
    packing = Packing(seq_len=recipe.seq_len, holdout=recipe.holdout, max_rows=recipe.max_rows)
    corpus = open_corpus(
        recipe.corpus, tokenizer, packing, cache=recipe.cache or None, note=listeners.note
    )
    if recipe.holdout and not len(corpus.held_out):
        listeners.note(f"holdout {recipe.holdout:g} of so few documents is none: nothing is scored")
    return corpus


def finish(
    model: MaskedLM,
    base: ModelConfig,
    text_from: Path,
    recipe: LMRecipe,
    corpus: Corpus,
    scores: dict[str, float],
    made_on: dict[str, Any],
) -> None:
    """Writes the finished model's folder.

    Args:
        model: it keeps the dropout rates of its base: those of a run are a matter of its recipe.
        base: config of the model it started from.
        text_from: folder of its tokenizer.
        recipe: of the run.
        corpus: what it was trained on.
        scores: at the end.
        made_on: the hardware.

    Raises:
        OutputError: a file could not be written.
    """
    model.config = model.config.with_dropout_of(base)
    manifest = Manifest(
        task="masked-lm",
        name=Path(recipe.out).resolve().name,
        seq_len=recipe.seq_len,
        data={
            "corpus": Path(recipe.corpus).name,
            "fingerprint": corpus.fingerprint,
            "rows": len(corpus.train),
        },
        recipe=without_paths(recipe),
        scores=scores,
        hardware=made_on,
    )
    write_model(Path(recipe.out), model, text_from, recipe, manifest)


_FRESH_ONLY = ("hidden_width", "ffn_width", "n_heads")
