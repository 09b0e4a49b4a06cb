"""A run of any task that labels texts, from recipe to model folder.

What differs between the tasks is a `Task`: a stateless object that reads the data, makes rows of
them, says what a loss and a score are. The loop, the folders and the manifest are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor

from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import HEADS, HeadName, head_of
from potstill.bundle.manifest import Manifest, sha256_of
from potstill.bundle.weights import Weights, read_weights
from potstill.data.labels import places
from potstill.data.split import split_examples as split_examples
from potstill.errors import RecipeError
from potstill.models.pretrained import Pretrained
from potstill.runtime.session import Session
from potstill.text.tokenizer import Tokenizer
from potstill.training.loggers import make_loggers
from potstill.training.loop import Rows, Run, make_fabric
from potstill.training.runs import (
    Listeners,
    hardware,
    heard,
    say_plan,
    train,
    without_paths,
    write_model,
)
from potstill.training.task_recipe import ClassificationRecipe, TaskRecipe

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskData:
    """The data of a run."""

    train: Sequence[Any]
    dev: Sequence[Any] = ()
    """Scored and calibrated on; empty where the recipe names none."""
    golds: bool = True
    """Whether the labels of ``train`` are known; otherwise teachers alone say what is learned."""
    labels: tuple[str, ...] = ()
    """In the order of the logits; empty where the task has none (multiple choice)."""
    problem: str = ""
    """``single-label``, ``multi-label`` or ``regression``, where the task has several."""
    notes: tuple[str, ...] = ()
    """What is worth knowing of them, a line each."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the manifest's ``data`` says beside the file's name, hash and number of examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What is known of a run's labels before its data are read, where there are teachers."""

    labels: tuple[str, ...]
    """The teachers', in order: the student has them all, whether or not the data show them."""
    problem: str
    golds: bool
    """Whether the loss needs gold labels."""


class TaskRows(Rows, Protocol):
    """A training set in rows that know their examples."""

    @property
    def example(self) -> npt.NDArray[np.int64]:
        """Which example each row is of, ``[n_rows]``."""
        ...

    @property
    def truncated(self) -> int:
        """Rows that lost their end."""
        ...

    def targets(self, rows: list[int], said: Sequence[FloatArray]) -> Tensor:
        """What teachers said of the example of each row, laid out as the model's own logits."""
        ...


class Task(Protocol):
    """What a run needs to know of a task."""

    name: str
    """As recipes and manifests call it."""
    head: HeadName
    model_class: type[Pretrained]

    def load(self, recipe: Any, taught: Taught | None = None) -> TaskData:
        """Reads the data of a recipe, for a student of teachers by their labels.

        Raises:
            DataError: the data are wrong.
            RecipeError: a key of the recipe does not fit them.
        """
        ...

    def rows(
        self, examples: Sequence[Any], tokenizer: Tokenizer, recipe: Any, data: TaskData
    ) -> TaskRows:
        """Examples as tokens with their labels."""
        ...

    def prior(self, recipe: Any, data: TaskData) -> npt.NDArray[np.floating[Any]] | None:
        """The bias a new output layer starts with, ``[n_labels]``; ``None`` leaves it 0."""
        ...

    def logits(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        """What a model says of a batch."""
        ...

    def loss(self, logits: Tensor, batch: dict[str, Tensor], data: TaskData) -> Tensor:
        """Loss on the gold labels, summed over the rows; scalar."""
        ...

    def soft_loss(
        self, logits: Tensor, batch: dict[str, Tensor], data: TaskData, temperature: float
    ) -> Tensor:
        """Loss on ``batch["teacher"]`` (see `TaskRows.targets`), summed over the rows; scalar."""
        ...

    def texts(self, example: Any) -> tuple[str, ...]:
        """All that a teacher reads of an example: what its logits are kept under."""
        ...

    def teach(
        self,
        session: Session,
        tokenizer: Tokenizer,
        examples: Sequence[Any],
        *,
        seq_len: int,
    ) -> list[FloatArray]:
        """A teacher's logits of each example; the last axis is its labels, where it has some."""
        ...

    def score(
        self,
        model: Pretrained,
        tokenizer: Tokenizer,
        examples: Sequence[Any],
        recipe: Any,
        data: TaskData,
    ) -> dict[str, float]:
        """Scores through the reader that ships, on a torch session."""
        ...

    def baselines(self, recipe: Any, data: TaskData) -> dict[str, dict[str, float]]:
        """What needs no network, scored on ``data.dev``: name → scores."""
        ...

    def finish(
        self, model: Pretrained, tokenizer: Tokenizer, recipe: Any, data: TaskData
    ) -> dict[str, Any]:
        """What is fitted on ``data.dev`` after training: the manifest's ``calibration``."""
        ...


def finetune_task(
    recipe: TaskRecipe,
    task: Task,
    *,
    resume: bool | str = False,
    dry_run: bool = False,
    listeners: Listeners | None = None,
) -> dict[str, float]:
    """Trains a model of a task as ``recipe`` says and writes it to ``recipe.out``.

    Args:
        recipe: the run.
        task: what it is about.
        resume: go on from the newest checkpoint in ``recipe.out``, or from that of this name.
        dry_run: check everything and say what would be done, and train and write nothing.
        listeners: told how it goes.

    Returns:
        The scores by name, where the recipe has data to score on.

    Raises:
        RecipeError: a value of the recipe cannot be used on this machine or with these data.
        DataError: the data are wrong.
        CheckpointError: the run in ``recipe.out`` cannot be continued.
        ModelError: the base model cannot be used.
    """
    folder = find_model(recipe.base)
    base = read_config(folder)
    fabric = make_fabric(recipe, () if dry_run else make_loggers(recipe))
    listeners = heard(fabric, listeners)
    data = task.load(recipe)
    tokenizer = Tokenizer.from_folder(folder)
    rows = task.rows(data.train, tokenizer, recipe, data)
    say_what_is_trained_on(recipe, data, rows, listeners.note)
    config = task_config(base, recipe, data)
    torch.manual_seed(recipe.seed)  # before a new head is made
    model = task.model_class(config)
    weights = head_weights(folder, base, config, task)
    prior = task.prior(recipe, data)
    if prior is not None:
        weights = {"classifier.bias": prior.astype(np.float32), **weights}
    new_head = not take_weights(model, weights)

    def loss(module: Any, batch: dict[str, Tensor], _: float) -> Tensor:
        return task.loss(task.logits(module, batch), batch, data)

    run = Run(
        fabric,
        model,
        rows,
        loss,
        recipe,
        fingerprint=fingerprint(recipe, data, rows),
        resume=resume,
    )
    if new_head and not run.step:
        listeners.note(f"{recipe.base} has no {HEADS[task.head].title} for these labels: a new one")
    say_plan(run, recipe, fabric, len(data.dev), listeners.note)
    if dry_run:
        return {}
    return complete(run, recipe, task, data, tokenizer, fabric, model, folder, listeners)


def complete(
    run: Run,
    recipe: TaskRecipe,
    task: Task,
    data: TaskData,
    tokenizer: Tokenizer,
    fabric: Fabric,
    model: Pretrained,
    folder: Path,
    listeners: Listeners,
) -> dict[str, float]:
    """Takes a prepared run to its end and leaves the finished model's folder.

    Args:
        run: new or continued.
        recipe: of the run.
        task: what it is about.
        data: what is trained and scored on.
        tokenizer: of ``folder``.
        fabric: device and precision.
        model: that is trained.
        folder: of the base model: the tokenizer's files and the dropout rates come from there.
        listeners: told how it goes.

    Returns:
        The scores at the end.
    """

    def score() -> dict[str, float]:
        return task.score(model, tokenizer, data.dev, recipe, data) if data.dev else {}

    scores = train(run, recipe, fabric, score, listeners)
    if not fabric.is_global_zero:
        return scores
    calibration = task.finish(model, tokenizer, recipe, data) if data.dev else {}
    fitted = {k: v for k, v in calibration.items() if isinstance(v, (int, float))}
    if fitted:
        listeners.note(f"calibrated, each figure on rows that were not fitted on: {told(fitted)}")
    baselines = task.baselines(recipe, data) if data.dev and recipe.baseline else {}
    for name, found in baselines.items():
        listeners.note(f"for comparison, {name}: {told(found)}")
    # The dropout of a run is a matter of its recipe: the model keeps its base's own rates.
    model.config = model.config.with_dropout_of(read_config(folder))
    manifest = Manifest(
        task=task.name,
        name=Path(recipe.out).resolve().name,
        seq_len=recipe.seq_len,
        max_windows=recipe.max_windows if isinstance(recipe, ClassificationRecipe) else 1,
        data={
            "train": Path(recipe.train).name,
            "sha256": sha256_of(Path(recipe.train)),
            "examples": len(data.train),
            "scored": len(data.dev),
            **data.facts,
            **({"baselines": baselines} if baselines else {}),
        },
        recipe=without_paths(recipe),
        scores=scores,
        hardware=hardware(fabric, run),
        calibration=calibration,
    )
    write_model(Path(recipe.out), model, folder, recipe, manifest)
    return scores


def task_config(base: ModelConfig, recipe: TaskRecipe, data: TaskData) -> ModelConfig:
    """The config to train with: the labels of the data, the dropout of the recipe.

    Raises:
        RecipeError: the recipe's rows are longer than the model can read.
    """
    if recipe.seq_len > base.max_positions:
        raise RecipeError(
            f"seq_len {recipe.seq_len} is more than the {base.max_positions} positions of "
            f"{recipe.base}"
        )
    config = replace(base, labels=data.labels, problem=data.problem)
    return config if recipe.dropout is None else config.with_dropout(recipe.dropout)


def head_weights(folder: Path, base: ModelConfig, config: ModelConfig, task: Task) -> Weights:
    """The weights of a folder; an output layer that was trained for something else is left out.

    Its rows are put in the order of the config's labels.
    """
    weights = read_weights(folder, base, head=task.head, require_head=False)
    order: list[int] | None = None
    if head_of(base) == task.head:
        order = places(config.labels, base.label_names)
        if config.problem == "regression" or not config.labels:
            order = [0] if base.n_labels == 1 or not config.labels else None
    output = [name for name in weights if name.startswith("classifier.")]
    for name in output:
        rows = weights.pop(name)
        if order is not None:
            weights[name] = rows[order]
    return weights


def take_weights(model: Pretrained, weights: Weights) -> bool:
    """Loads weights; whether the head was among them, all of it."""
    model.load_weights(weights)
    return all(name in weights for name in HEADS[model.head].shapes(model.config))


def say_what_is_trained_on(
    recipe: TaskRecipe, data: TaskData, rows: TaskRows, note: Callable[[str], None]
) -> None:
    """Notes on the data, the number of tokens, and how many rows lost their end."""
    for line in data.notes:
        note(line)
    note(
        f"{len(data.train):,} examples to train on, {len(data.dev):,} to score, "
        f"{len(rows):,} rows, {int(rows.lengths.sum()):,} tokens"
    )
    if rows.truncated:
        note(
            f"{rows.truncated:,} of {len(rows):,} rows are longer than seq_len {recipe.seq_len}: "
            "their ends are left out"
        )


def fingerprint(recipe: TaskRecipe, data: TaskData, rows: TaskRows) -> str:
    """Identifies the training data of a run."""
    labels = "|".join(data.labels)
    return f"{sha256_of(Path(recipe.train))}:{len(rows)}:{int(rows.lengths.sum())}:{labels}"


def told(scores: Mapping[str, float]) -> str:
    """Scores in a line, to four digits."""
    return "  ".join(f"{name} {value:.4g}" for name, value in scores.items() if name != "total")
