"""A fine-tuning run from recipe to model folder."""

from __future__ import annotations

import hashlib
import platform
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from potstill.bundle import layout
from potstill.bundle.atomic import replacing, write_json
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.layout import find_model
from potstill.bundle.manifest import Manifest, sha256_of, write_manifest
from potstill.data.qa import QAData, load_qa
from potstill.errors import MissingExtraError, RecipeError
from potstill.models.qa import QuestionAnsweringModel
from potstill.records import QAExample
from potstill.text.tokenizer import Tokenizer
from potstill.training import qa
from potstill.training.loop import Metrics, Run, StepReport, make_fabric
from potstill.training.recipe import Recipe

Listener = Callable[[StepReport], None]


def finetune(
    recipe: Recipe,
    *,
    resume: bool = False,
    on_start: Callable[[int, int], None] | None = None,
    on_step: Listener | None = None,
    on_note: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Trains a question-answering model as ``recipe`` says and writes it to ``recipe.out``.

    Args:
        recipe: the run.
        resume: go on from the newest checkpoint in ``recipe.out``.
        on_start: told the steps already done and those of the whole run.
        on_step: told about every step.
        on_note: told, in a line, what else is worth knowing.

    Returns:
        The scores (``exact``, ``f1``, ``total``), where the recipe names data to score on.

    Raises:
        RecipeError: a value of the recipe cannot be used on this machine or with these data.
        DataError: the training data are wrong.
        CheckpointError: the run in ``recipe.out`` cannot be continued.
        ModelError: the base model cannot be used.
    """
    note = on_note or (lambda _: None)
    folder = find_model(recipe.base)
    config = _config(folder, recipe)
    tokenizer = Tokenizer.from_folder(folder)
    fabric = make_fabric(recipe, _loggers(recipe))
    data = load_qa(recipe.train, offsets="fix" if recipe.fix_offsets else "strict")
    train, held_out = split_held_out(data.examples, recipe.holdout)
    rows = qa.make_rows(train, tokenizer, seq_len=recipe.seq_len, stride=recipe.stride)
    note(f"{len(train):,} examples, {len(rows):,} windows, {int(rows.bounds[-1]):,} tokens")
    torch.manual_seed(recipe.seed)  # before a new head is made
    model, new_head = QuestionAnsweringModel.from_folder(folder, config)
    run = Run(
        fabric,
        model,
        rows,
        qa.batch_loss,
        recipe,
        fingerprint=f"{sha256_of(Path(recipe.train))}:{len(rows)}:{rows.bounds[-1]}",
        resume=resume,
    )
    if new_head and not run.step:
        note(f"{recipe.base} has no question-answering head: a new one was made")
    if on_start:
        on_start(run.step, run.n_steps)
    score = _scorer(recipe, tokenizer, data, held_out, note)
    scores = _train(run, recipe, fabric, lambda: score(model), on_step)
    hardware = _hardware(fabric, run)
    _write_model(Path(recipe.out), folder, model, config, recipe, data, scores, hardware)
    return scores


def split_held_out(
    examples: list[QAExample], share: float
) -> tuple[list[QAExample], list[QAExample]]:
    """Keeps whole contexts out of training: what is trained on, and what is held out.

    Which contexts are held out depends on their text alone, not on the seed, so that runs compare.

    Args:
        examples: all of them.
        share: of the contexts, 0 to 1.
    """
    if not share:
        return examples, []

    def held(example: QAExample) -> bool:
        digest = hashlib.sha256(example.context.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") < share * 2**64

    return [e for e in examples if not held(e)], [e for e in examples if held(e)]


def _config(folder: Path, recipe: Recipe) -> ModelConfig:
    config = read_config(folder)
    if recipe.seq_len > config.max_positions:
        raise RecipeError(
            f"seq_len {recipe.seq_len} is more than the {config.max_positions} positions of "
            f"{recipe.base}"
        )
    return config if recipe.dropout is None else config.with_dropout(recipe.dropout)


def _loggers(recipe: Recipe) -> list[Any]:
    if not recipe.tensorboard:
        return []
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger

    try:
        return [TensorBoardLogger(recipe.out, name="tensorboard", version="")]
    except ModuleNotFoundError:
        raise MissingExtraError("tensorboard", "tensorboard", "tensorboard = true") from None


def _scorer(
    recipe: Recipe,
    tokenizer: Tokenizer,
    data: QAData,
    held_out: list[QAExample],
    note: Callable[[str], None],
) -> Callable[[QuestionAnsweringModel], dict[str, Any]]:
    examples, rules_v2 = held_out, data.no_answer
    if recipe.dev and not held_out:
        dev = load_qa(recipe.dev)
        examples, rules_v2 = dev.examples, dev.no_answer
        if dev.warning:
            note(f"{recipe.dev}: {dev.warning}")

    def score(model: QuestionAnsweringModel) -> dict[str, Any]:
        if not examples:
            return {}
        return qa.evaluate(
            model, tokenizer, examples, recipe, no_answer=data.no_answer, rules_v2=rules_v2
        )

    return score


def _train(
    run: Run,
    recipe: Recipe,
    fabric: Fabric,
    score: Callable[[], dict[str, Any]],
    on_step: Listener | None,
) -> dict[str, Any]:
    metrics = Metrics(Path(recipe.out) / "metrics.jsonl", step=run.step)

    def evaluate() -> dict[str, Any]:
        scores = score()
        if scores:
            metrics.write(step=run.step, **scores)
            fabric.log_dict({k: scores[k] for k in ("exact", "f1")}, step=run.step)
        return scores

    for report in run:
        if report.step % recipe.log_steps == 0 or report.step == report.n_steps:
            values = {
                "epoch": report.epoch,
                "loss": report.loss,
                "rate": report.rate,
                "grad_norm": report.grad_norm,
            }
            metrics.write(step=report.step, seconds=round(report.seconds, 3), **values)
            fabric.log_dict(values, step=report.step)
        if on_step:
            on_step(report)
        every = recipe.evaluate_steps
        if every and report.step % every == 0 and report.step < report.n_steps:
            evaluate()
    return evaluate()


def _write_model(
    out: Path,
    base: Path,
    model: QuestionAnsweringModel,
    config: ModelConfig,
    recipe: Recipe,
    data: QAData,
    scores: dict[str, Any],
    hardware: dict[str, Any],
) -> None:
    # The dropout of this run is a matter of the recipe: the model keeps its base's own rates.
    rates = {n: getattr(read_config(base), n) for n in _DROPOUTS}
    model.config = replace(config, **rates)
    model.save_pretrained(out)
    model.config = config
    for name in layout.TEXT_FILES:
        if (base / name).is_file():
            with replacing(out / name) as temporary:
                shutil.copyfile(base / name, temporary)
    write_json(out / "recipe.json", recipe.to_dict())
    write_manifest(
        out,
        Manifest(
            name=out.resolve().name,
            no_answer=data.no_answer,
            seq_len=recipe.seq_len,
            stride=recipe.stride,
            max_answer_tokens=recipe.max_answer_tokens,
            data={
                "train": Path(recipe.train).name,
                "sha256": sha256_of(Path(recipe.train)),
                "examples": len(data.examples),
            },
            recipe=_without_paths(recipe),
            scores=scores,
            hardware=hardware,
        ),
    )


def _hardware(fabric: Fabric, run: Run) -> dict[str, Any]:
    cuda = fabric.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(fabric.device) if cuda else platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "training_seconds": round(run.seconds),
    }


def _without_paths(recipe: Recipe) -> dict[str, Any]:
    """The recipe as it may be published: a manifest tells nothing of the disk it was made on."""
    values = recipe.to_dict()
    del values["out"]
    for key in ("base", "train", "dev"):
        if values[key] and Path(values[key]).exists():  # else a hub id
            values[key] = Path(values[key]).resolve().name
    return values


_DROPOUTS = ("hidden_dropout", "attention_dropout", "qa_dropout")
