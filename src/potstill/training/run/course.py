"""The one run that every task goes through, from recipe to model folder.

What differs between the tasks is a `Training`: it opens the models and the data and says what is
trained on what, and by which loss. The loop, its checkpoints, its scores and the folder it leaves
behind are the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import nn

from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import HEADS, HeadName
from potstill.bundle.manifest import Manifest
from potstill.errors import PotstillError, RecipeError
from potstill.models.pretrained import Pretrained
from potstill.training.run.loggers import make_loggers
from potstill.training.run.loop import Loss, Rows, Run, make_fabric, make_schedule
from potstill.training.run.report import (
    Listeners,
    hardware,
    heard,
    nothing,
    say_plan,
    told,
    train,
    without_paths,
    write_model,
)

Ask: TypeAlias = Callable[[npt.NDArray[np.int64]], None]
"""Has teachers say what is learned of some rows."""
Score: TypeAlias = Callable[[], Mapping[str, float]]
"""Scores a model as it stands: scores by name, empty where there is nothing to score on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """One call that does a run, or goes on with it."""

    fabric: Fabric
    listeners: Listeners
    cache_only: bool = False
    """Teachers label, and nothing is trained."""
    dry_run: bool = False
    """Nothing is trained or written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """All of a run that is open before its first step."""

    model: Pretrained
    """What is trained, and left behind in the end."""
    module: nn.Module
    """What takes the steps: the model, or the model and what is trained beside it."""
    rows: Rows
    loss: Loss
    fingerprint: str
    """Identifies the training data, and the teachers; a resumed run must have the same."""
    folder: Path
    """Of the model to start from: the tokenizer's files are its."""
    base: ModelConfig
    """Of the same: the finished model has its dropout rates."""
    n_scored: int
    """Examples (of a language model: rows) to score on."""
    score: Score
    """Of the model."""
    describe: Callable[[], Manifest]
    """What the manifest says of the task and its data, once the model is finished."""
    new_head: str = ""
    """What is noted where a run begins with a head that was made new."""
    before: Mapping[str, Score] = field(default_factory=dict[str, Score])
    """Who is scored before the first step, by name: the model to start from, where it has a head
    that was trained, and the teachers."""
    n_before: int = 0
    """Examples that they are scored on, of those to score on."""
    ask: Ask | None = None
    """Done before the first step, where teachers label rows."""
    finish: Callable[[], None] = nothing
    """Done to the model behind the last step, before it is scored."""
    rows_per_step: int = 0
    """As `Schedule` takes it."""
    whole_batches: bool = False
    """As `Run` takes it."""


class Training(ABC):
    """How the models of one task are trained: what `potstill.tasks` says of it, with torch."""

    model_class: ClassVar[type[Pretrained]]

    @property
    def head(self) -> HeadName:
        """The head of its models."""
        return self.model_class.head

    @property
    def name(self) -> str:
        """As recipes and manifests call the task."""
        return HEADS[self.head].task

    @abstractmethod
    def prepare(self, recipe: Any, sitting: Sitting) -> Course:
        """Opens models and data.

        Raises:
            RecipeError: a value of the recipe cannot be used with these data, or these models.
            DataError: the data are wrong.
            ModelError: a model cannot be used.
        """


def carry_out(
    recipe: Any,
    training: Training,
    *,
    resume: bool | str = False,
    cache_only: bool = False,
    dry_run: bool = False,
    listeners: Listeners | None = None,
    fabric: Fabric | None = None,
) -> dict[str, float]:
    """Trains a model as ``recipe`` says and writes it to ``recipe.out``.

    Args:
        recipe: the run.
        training: of its task.
        resume: go on from the newest checkpoint in ``recipe.out``, or from that of this name.
        cache_only: only have the teachers label what the run needs, and train nothing.
        dry_run: check everything and say what would be done, and train and write nothing.
        listeners: told how it goes.
        fabric: that of the run that this is a stage of.

    Returns:
        The scores by name, where the recipe has data to score on.

    Raises:
        RecipeError: a value of the recipe cannot be used on this machine, with these data, or
            with these models.
        DataError: the data are wrong.
        CheckpointError: the run in ``recipe.out`` cannot be continued.
        ModelError: a model cannot be used.
        OutputError: what teachers said, or the model, could not be written.
    """
    fabric = fabric or make_fabric(recipe, () if dry_run else make_loggers(recipe))
    listeners = heard(fabric, listeners)
    sitting = Sitting(fabric=fabric, listeners=listeners, cache_only=cache_only, dry_run=dry_run)
    course = training.prepare(recipe, sitting)
    if cache_only:
        if course.ask is not None:
            course.ask(make_schedule(course.rows, recipe).rows())
        return {}
    run = Run(
        fabric,
        course.module,
        course.rows,
        course.loss,
        recipe,
        fingerprint=course.fingerprint,
        resume=resume,
        rows_per_step=course.rows_per_step,
        whole_batches=course.whole_batches,
    )
    if course.new_head and not run.step:
        listeners.note(course.new_head)
    begins = course.n_before and course.before and not run.step
    names = ", ".join(course.before)
    before = f"scored on {course.n_before:,} of them before the first step: {names}"
    note = listeners.note
    say_plan(run, recipe, fabric, course.n_scored, note, before=before if begins else "")
    if dry_run:
        return {}
    if begins and fabric.is_global_zero:
        _score_before(course, fabric, listeners)
    if course.ask is not None:
        course.ask(run.schedule.rows())
    scores = train(run, recipe, fabric, course.score, listeners, finish=course.finish)
    if not fabric.is_global_zero:
        return scores
    manifest = replace(
        course.describe(),
        task=training.name,
        name=Path(recipe.out).resolve().name,
        seq_len=recipe.seq_len,
        recipe=without_paths(recipe),
        scores=scores,
        hardware=hardware(fabric, run),
    )
    # The dropout of a run is a matter of its recipe: the model keeps its base's own rates.
    model = course.model
    model.config = model.config.with_dropout_of(course.base)
    write_model(Path(recipe.out), model, course.folder, recipe, manifest)
    return scores


def _score_before(course: Course, fabric: Fabric, listeners: Listeners) -> None:
    """Says what the start and the teachers are worth; the run's random numbers are not touched."""
    devices = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        for name, score in course.before.items():
            try:
                said = told(score())
            except PotstillError as error:  # the run itself may have no such trouble
                said = f"not scored: {error}"
            listeners.note(f"before the first step, {name}: {said}")


def config_of_run(base: ModelConfig, recipe: Any) -> ModelConfig:
    """The config to train with: of ``base``, with the dropout of the recipe.

    Raises:
        RecipeError: the recipe's rows are longer than the model can read.
    """
    if recipe.seq_len > base.max_positions:
        raise RecipeError(
            f"seq_len {recipe.seq_len} is more than the {base.max_positions} positions of "
            f"{recipe.base}"
        )
    return base if recipe.dropout is None else base.with_dropout(recipe.dropout)


def train_upper_layers(model: Any, recipe: Any) -> None:
    """Has only the layers of ``model`` learn that `RunRecipe.trained_layers` says.

    Raises:
        RecipeError: there are not so many, or those below would stay random.
    """
    n_layers = recipe.trained_layers
    if n_layers is None:
        return
    if getattr(recipe, "fresh", False):
        raise RecipeError(
            f"trained_layers={n_layers} would leave layers random: omit it, or omit fresh"
        )
    try:
        model.encoder.train_upper(n_layers)
    except ValueError as error:
        raise RecipeError(f"trained_layers: {error} of the model") from None
