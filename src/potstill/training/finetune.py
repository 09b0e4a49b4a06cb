"""A fine-tuning run from recipe to model folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from potstill.bundle.adapter import write_adapter
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import HEADS
from potstill.bundle.manifest import Manifest, sha256_of
from potstill.data.negatives import NEGATIVES
from potstill.data.noise import add_noise
from potstill.data.qa import load_qa
from potstill.errors import InputError, RecipeError
from potstill.evaluation.confidence import Calibration
from potstill.models import adapters
from potstill.models.qa import QuestionAnsweringModel
from potstill.records import QAExample
from potstill.text.tokenizer import Tokenizer
from potstill.training import qa
from potstill.training.features import open_rows
from potstill.training.loggers import make_loggers
from potstill.training.loop import Run, make_fabric
from potstill.training.recipe import Recipe
from potstill.training.runs import (
    ADAPTER,
    Listeners,
    hardware,
    heard,
    say_plan,
    train,
    without_paths,
    write_model,
)
from potstill.training.sampling import is_held_out


def finetune(
    recipe: Recipe,
    *,
    resume: bool | str = False,
    dry_run: bool = False,
    listeners: Listeners | None = None,
) -> dict[str, float]:
    """Trains a question-answering model as ``recipe`` says and writes it to ``recipe.out``.

    Args:
        recipe: the run.
        resume: go on from the newest checkpoint in ``recipe.out``, or from that of this name.
        dry_run: check everything and say what would be done, and train and write nothing.
        listeners: told how it goes.

    Returns:
        The scores (``exact``, ``f1``, ``total``), where the recipe names data to score on.

    Raises:
        RecipeError: a value of the recipe cannot be used on this machine or with these data.
        DataError: the training data are wrong.
        CheckpointError: the run in ``recipe.out`` cannot be continued.
        ModelError: the base model cannot be used.
    """
    folder = find_model(recipe.base)
    config = with_recipe(read_config(folder), recipe)
    tokenizer = Tokenizer.from_folder(folder)
    fabric = make_fabric(recipe, () if dry_run else make_loggers(recipe))
    listeners = heard(fabric, listeners)
    data = load_split(recipe)
    rows = open_rows(
        data.train, tokenizer, seq_len=recipe.seq_len, stride=recipe.stride, note=listeners.note
    )
    if data.warning:
        listeners.note(f"{recipe.train}: {data.warning}")
    listeners.note(describe(data.train, rows))
    torch.manual_seed(recipe.seed)  # before a new head is made
    model, new_head = QuestionAnsweringModel.from_folder(folder, config)
    if new_head:
        check_head(recipe)
    finish = finishing(model, recipe)
    run = Run(
        fabric,
        model,
        rows,
        qa.batch_loss,
        recipe,
        fingerprint=fingerprint(recipe, rows),
        resume=resume,
    )
    if new_head and not run.step:
        listeners.note(f"{recipe.base} has no question-answering head: a new one was made")
    scorer = qa.Scorer(recipe, tokenizer, data, listeners.note)
    say_plan(run, recipe, fabric, scorer.n_examples, listeners.note)
    if dry_run:
        return {}
    scores = train(run, recipe, fabric, lambda: scorer.score(model), listeners, finish=finish)
    if not fabric.is_global_zero:
        return scores
    # The dropout of this run is a matter of the recipe: the model keeps its base's own rates.
    model.config = model.config.with_dropout_of(read_config(folder))
    manifest = describe_run(recipe, data, scores, scorer.calibration(model))
    manifest = replace(manifest, hardware=hardware(fabric, run))
    write_model(Path(recipe.out), model, folder, recipe, manifest)
    return scores


def check_head(recipe: Recipe) -> None:
    """Refuses a share for a head that the base has not.

    Raises:
        RecipeError: ``recipe.base_share`` is not 0.
    """
    if recipe.base_share:
        raise RecipeError(
            f"base_share is {recipe.base_share:g}, but {recipe.base} has no question-answering "
            "head, whose weights could have a share: omit it"
        )


def finishing(model: QuestionAnsweringModel, recipe: Recipe) -> Callable[[], None]:
    """What makes a finished model of ``model``, whose training begins now.

    With `Recipe.adapter_rank` its encoder is given adapters here; when called, they are written to
    ``adapter`` in the run's folder and folded in. With `Recipe.base_share` the weights that it has
    now get their share in those it has when called.
    """
    share = recipe.base_share
    start = {n: p.detach().clone() for n, p in model.named_parameters()} if share else {}
    if recipe.adapter_rank:
        if not model.config.spec.parted:
            raise RecipeError(
                f"adapter_rank is not for {model.config.model_type} models yet: omit it"
            )
        adapters.adapt(model.encoder, recipe.adapter_rank)

    @torch.no_grad()
    def finish() -> None:
        if recipe.adapter_rank:
            matrices = adapters.learned(model.encoder)
            head = {
                n: a
                for n, a in model.to_weights().items()
                if n in HEADS[model.head].shapes(model.config)
            }
            write_adapter(
                Path(recipe.out) / ADAPTER,
                matrices,
                head,
                model.config,
                model.head,
                base=recipe.base,
                scale=adapters.SCALE,
            )
            adapters.merge(model.encoder)
        parameters = dict(model.named_parameters())
        for name, before in start.items():
            parameters[name].lerp_(before.to(parameters[name].device), share)

    return finish


def load_split(recipe: Recipe) -> qa.QASplit:
    """The training data of a recipe: what is trained on, what is held out, what was mined.

    Raises:
        DataError: the data are wrong.
        RecipeError: so many negatives cannot be mined from them.
    """
    data = load_qa(recipe.train, offsets="fix" if recipe.fix_offsets else "strict")
    if getattr(recipe, "alpha_ce", 1):  # where the loss is all of teachers, golds are not needed
        data.check_golds(recipe.train)
    examples = data.examples[: recipe.examples or None]
    train_on, held_out = split_held_out(examples, recipe.holdout)
    n_train = len(train_on)
    if recipe.negatives:
        # Held-out questions are asked of any paragraph: only so are they as hard as in training.
        held_out = held_out + _negatives(held_out, recipe, among=examples)
        train_on = train_on + _negatives(train_on, recipe)
    train_on = add_noise(train_on, recipe.noise, seed=recipe.seed)
    return qa.QASplit(
        warning=data.warning,
        train=train_on,
        held_out=held_out,
        n_labelled=n_train,
        no_answer=data.no_answer or bool(recipe.negatives),
    )


def _negatives(
    examples: list[QAExample], recipe: Recipe, *, among: Sequence[QAExample] = ()
) -> list[QAExample]:
    n, ways = round(recipe.negatives * len(examples)), recipe.negative_ways
    found: list[QAExample] = []
    for k, way in enumerate(ways):
        share = n // len(ways) + (k < n % len(ways))
        try:
            if share:
                found += NEGATIVES[way](examples, share, seed=recipe.seed, among=among)
        except InputError as error:
            raise RecipeError(f"negatives={recipe.negatives:g} from {way}: {error}") from None
    return found


def split_held_out(
    examples: list[QAExample], share: float
) -> tuple[list[QAExample], list[QAExample]]:
    """Keeps whole articles out of training: what is trained on, and what is held out.

    Which are held out depends on their titles alone, not on the seed, so that runs compare. Where
    there are so few articles that the share of them is less than one, and where an example has no
    title, contexts are held out instead.

    Args:
        examples: all of them.
        share: of the articles, 0 to 1.
    """
    few = share * len({example.title for example in examples}) < 1
    names = [e.context if few else e.title or e.context for e in examples]
    held = [is_held_out(name, share) for name in names]
    kept = [e for e, out in zip(examples, held, strict=True) if not out]
    return kept, [e for e, out in zip(examples, held, strict=True) if out]


def with_recipe(config: ModelConfig, recipe: Recipe) -> ModelConfig:
    """The config to train with.

    Raises:
        RecipeError: the recipe's windows are longer than the model can read.
    """
    if recipe.seq_len > config.max_positions:
        raise RecipeError(
            f"seq_len {recipe.seq_len} is more than the {config.max_positions} positions of "
            f"{recipe.base}"
        )
    return config if recipe.dropout is None else config.with_dropout(recipe.dropout)


def describe(examples: list[QAExample], rows: qa.QARows) -> str:
    """What is trained on, in a line."""
    return f"{len(examples):,} examples, {len(rows):,} windows, {int(rows.bounds[-1]):,} tokens"


def fingerprint(recipe: Recipe, rows: qa.QARows) -> str:
    """Identifies the training data of a run."""
    return f"{sha256_of(Path(recipe.train))}:{len(rows)}:{rows.bounds[-1]}"


def describe_run(
    recipe: Recipe, data: qa.QASplit, scores: dict[str, float], calibration: Calibration | None
) -> Manifest:
    """The manifest of a finished run, without its hardware."""
    threshold = calibration.null_threshold if calibration else None
    return Manifest(
        name=Path(recipe.out).resolve().name,
        no_answer=data.no_answer,
        null_threshold=threshold or 0.0,
        seq_len=recipe.seq_len,
        stride=recipe.stride,
        max_answer_tokens=recipe.max_answer_tokens,
        data={
            "train": Path(recipe.train).name,
            "sha256": sha256_of(Path(recipe.train)),
            "examples": data.n_labelled,
        },
        recipe=without_paths(recipe),
        scores=scores,
        calibration=calibration.to_manifest() if calibration else {},
    )
