"""What every kind of run shares: its loggers, its metrics, the folder it leaves behind."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from potstill.bundle import layout
from potstill.bundle.atomic import replacing, write_json
from potstill.bundle.machine import describe_machine
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.export.card import write_card
from potstill.export.card_data import origin_of
from potstill.models.pretrained import Pretrained
from potstill.training.recipe.run import RunRecipe
from potstill.training.recipe.table import PATH
from potstill.training.run.loggers import Log, logging
from potstill.training.run.loop import MetricsFile, Run, StepReport, computes_bf16

ADAPTER = "adapter"
"""Folder of a run for what its adapters learned (`Recipe.adapter_rank`)."""


def nothing(*_: Any) -> None:
    """Does nothing, and listens to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Who is told how a run goes."""

    start: Callable[[int, int], None] = nothing
    """The steps already done and those of the whole run."""
    step: Callable[[StepReport], None] = nothing
    """Every optimiser step."""
    note: Callable[[str], None] = nothing
    """What else is worth knowing, in a line."""
    stage: Callable[[str, int, int], None] = nothing
    """A stage before the training: its name, how much of it is done, how much there is."""


def heard(fabric: Fabric, listeners: Listeners | None) -> Listeners:
    """Who is told by this process: of several, the first alone speaks."""
    return listeners if listeners and fabric.is_global_zero else Listeners()


def say_plan(
    run: Run,
    recipe: RunRecipe,
    fabric: Fabric,
    n_scored: int,
    note: Callable[[str], None],
    *,
    before: str = "",
) -> None:
    """Says, before the first step, how many there are, what computes them and what comes of them.

    Args:
        run: new or continued.
        recipe: of the run.
        fabric: device and precision.
        n_scored: examples (of a language model: rows) to score on.
        note: told each line.
        before: who is scored before the first step, and on what.
    """
    note("the run: " + ", ".join(_plan(run, recipe, fabric)))
    if n_scored:
        every = f"every {_steps(recipe.evaluate_steps)} and " if recipe.evaluate_steps else ""
        note(f"scored {every}at the end on {n_scored:,} that are not trained on")
        if before:
            note(before)
    else:
        note("nothing is scored: the recipe holds no data out and names none")
    kept = f"a checkpoint every {recipe.save_minutes:g} minutes" if recipe.save_minutes else ""
    if recipe.save_steps:
        kept = " and ".join(filter(None, [kept, f"every {_steps(recipe.save_steps)}"]))
    note(f"written to {recipe.out}, {kept or 'no checkpoint before the last step'}")


def told(scores: Mapping[str, float]) -> str:
    """Scores in a line, to four digits."""
    return "  ".join(f"{name} {value:.4g}" for name, value in scores.items() if name != "total")


def _steps(n: int) -> str:
    return "step" if n == 1 else f"{n:,} steps"


def _plan(run: Run, recipe: RunRecipe, fabric: Fabric) -> Iterator[str]:
    yield f"{run.n_steps:,} steps of {run.schedule.rows_per_step:,.0f} rows on average"
    stopped = 0 < recipe.max_steps == run.n_steps
    yield "as max_steps says" if stopped else f"epochs={recipe.epochs:g}"
    teacher = getattr(recipe, "teacher", None)
    if teacher is not None:
        names = (teacher,) if isinstance(teacher, str) else teacher
        yield "taught by " + " and ".join(name or getattr(recipe, "base", "") for name in names)
    parameters = [(p.numel(), p.requires_grad) for p in run.model.parameters()]
    learning = sum(n for n, learns in parameters if learns)
    whole = sum(n for n, _ in parameters)
    yield f"{learning / 1e6:,.1f} million parameters" + (
        "" if learning == whole else f" of {whole / 1e6:,.1f}"
    )
    if fabric.world_size > 1:
        yield f"{fabric.world_size} processes"
    elif fabric.device.type == "cpu":
        yield f"{torch.get_num_threads()} threads"
    yield f"{fabric.device.type} in {'bfloat16' if computes_bf16(fabric) else 'float32'}"


def train(
    run: Run,
    recipe: RunRecipe,
    fabric: Fabric,
    score: Callable[[], Mapping[str, float]],
    listeners: Listeners,
    *,
    finish: Callable[[], None] = nothing,
) -> dict[str, float]:
    """Takes every step of a run, writes its metrics and scores it at the end.

    Args:
        run: new or continued.
        recipe: of the run.
        fabric: with its loggers.
        score: the model as it stands → scores by name; empty where there is nothing to score on.
        listeners: told about every step.
        finish: done to the model behind the last step, before it is scored.

    Returns:
        The scores at the end; none but in the first process of several.

    Raises:
        OutputError: the metrics could not be written, or a service takes none.
    """
    if not fabric.is_global_zero:
        for _ in run:
            pass
        run.finish()
        return {}
    with logging(fabric, recipe, without_paths(recipe), step=run.step) as log:
        return _logged(run, recipe, score, listeners, log, finish)


def _logged(
    run: Run,
    recipe: RunRecipe,
    score: Callable[[], Mapping[str, float]],
    listeners: Listeners,
    log: Log,
    finish: Callable[[], None],
) -> dict[str, float]:
    metrics = MetricsFile(Path(recipe.out) / layout.METRICS, step=run.step)

    def evaluate() -> dict[str, float]:
        with run.finished():
            scores = dict(score())
        if scores:
            metrics.write(step=run.step, **scores)
            log({k: v for k, v in scores.items() if k != "total"}, run.step)
        return scores

    def is_due(step: int) -> bool:
        every = recipe.evaluate_steps
        return bool(every) and step % every == 0 and 0 < step < run.n_steps

    if recipe.max_steps > run.n_steps:
        listeners.note(
            f"max_steps is {recipe.max_steps:,}, but epochs={recipe.epochs:g} end behind step "
            f"{run.n_steps:,}: give more epochs to go on"
        )
    listeners.start(run.step, run.n_steps)
    if is_due(run.step):  # its scores may not have been written when the run was stopped
        evaluate()
    for report in run:
        if report.step % recipe.log_steps == 0 or report.step == report.n_steps:
            values = {
                "epoch": report.epoch,
                "loss": report.loss,
                "rate": report.rate,
                "grad_norm": report.grad_norm,
            }
            metrics.write(step=report.step, seconds=round(report.seconds, 3), **values)
            log(values, report.step)
        listeners.step(report)
        if is_due(report.step):
            evaluate()
    run.finish()
    finish()
    return evaluate()


def write_model(
    out: Path, model: Pretrained, text_from: Path, recipe: RunRecipe, manifest: Manifest
) -> None:
    """Leaves a whole model folder: weights, config, tokenizer, card, recipe, manifest.

    Args:
        out: folder of the run.
        model: the finished model.
        text_from: model folder whose tokenizer it uses.
        recipe: of the run.
        manifest: its ``name``, where empty, becomes that of the folder.

    Raises:
        OutputError: a file could not be written.
    """
    model.save_pretrained(out)
    for name in layout.TEXT_FILES:
        source = text_from / name
        if source.is_file() and source.resolve() != (out / name).resolve():
            with replacing(out / name) as temporary:
                shutil.copyfile(source, temporary)
    write_json(out / "recipe.json", recipe.to_dict())
    origin = origin_of(str(getattr(recipe, "base", "")), text_from, manifest.recipe)
    manifest = replace(manifest, origin=origin, licence=manifest.licence or _licence(origin))
    for folder in (out, out / ADAPTER):
        if folder.is_dir():
            write_manifest(folder, manifest)
    write_card(out, manifest, model.config, model.head)


def _licence(origin: Mapping[str, Any]) -> str:
    value = origin.get("licence", "")
    return value if isinstance(value, str) else ""


def hardware(fabric: Fabric, run: Run) -> dict[str, Any]:
    """What a run was computed on, and how long it took."""
    cuda = fabric.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(fabric.device) if cuda else platform.machine(),
        **describe_machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "processes": fabric.world_size,
        "training_seconds": round(run.seconds),
    }


def without_paths(recipe: RunRecipe) -> dict[str, Any]:
    """The recipe as it may be published: a manifest tells nothing of the disk it was made on."""
    values = recipe.to_dict()
    del values["out"]
    for key in recipe.marked(PATH):
        value = values[key]
        values[key] = [_name(v) for v in value] if isinstance(value, list) else _name(value)
    return values


def _name(value: str) -> str:
    prefix, colon, rest = value.partition(":")
    if colon and Path(rest).exists():  # such as cloze:FILE
        return f"{prefix}:{Path(rest).resolve().name}"
    return Path(value).resolve().name if value and Path(value).exists() else value  # else a hub id
