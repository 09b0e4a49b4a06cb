"""A distillation run of any task that labels texts, from recipe to model folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor

from potstill.bundle.cache import cache_folder
from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import HEADS
from potstill.compression.student import fresh_config, select_layers, take_layers
from potstill.data.labels import places, some
from potstill.errors import RecipeError
from potstill.models.pretrained import Pretrained
from potstill.text.tokenizer import Tokenizer
from potstill.training.loggers import make_loggers
from potstill.training.loop import Run, make_fabric, make_schedule
from potstill.training.runs import Listeners, heard, say_plan
from potstill.training.shards import fill
from potstill.training.task import (
    FloatArray,
    Task,
    TaskData,
    TaskRows,
    Taught,
    complete,
    fingerprint,
    head_weights,
    say_what_is_trained_on,
    take_weights,
    task_config,
)
from potstill.training.task_teachers import LogitCache, TaskTeacher

_FRESH_ONLY = ("hidden_width", "ffn_width", "n_heads")


@dataclass(frozen=True, slots=True, eq=False)
class TaughtRows:
    """Rows with what the teachers said of their examples.

    Attributes:
        rows: tokens and gold labels.
        said: example → the teachers' logits, mixed; only of examples that the run takes.
    """

    rows: TaskRows
    said: dict[int, FloatArray]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each row."""
        return self.rows.lengths

    def batch(self, rows: list[int]) -> dict[str, Tensor]:
        """As the rows' own, with ``teacher``."""
        batch = self.rows.batch(rows)
        if self.said:
            own = [self.said[i] for i in self.rows.example[rows].tolist()]
            batch["teacher"] = self.rows.targets(rows, own)
        return batch


def distil_task(
    recipe: Any,
    task: Task,
    *,
    resume: bool | str = False,
    cache_only: bool = False,
    dry_run: bool = False,
    listeners: Listeners | None = None,
) -> dict[str, float]:
    """Trains a student as ``recipe`` says and writes it to ``recipe.out``.

    Args:
        recipe: a recipe of the task that has `TeachingKeys` too.
        task: what it is about.
        resume: go on from the newest checkpoint in ``recipe.out``, or from that of this name.
        cache_only: only have the teachers label what the run needs, and train nothing.
        dry_run: check everything and say what would be done, and train and write nothing.
        listeners: told how it goes.

    Returns:
        The scores by name, where the recipe has data to score on.

    Raises:
        RecipeError: a value of the recipe cannot be used on this machine, with these data, or
            with these models.
        DataError: the data are wrong.
        CheckpointError: the run in ``recipe.out`` cannot be continued.
        ModelError: a model cannot be used.
        OutputError: the teachers' logits could not be written.
    """
    fabric = make_fabric(recipe, () if dry_run else make_loggers(recipe))
    listeners = heard(fabric, listeners)
    folder = find_model(recipe.base)
    tokenizer = Tokenizer.from_folder(folder)
    teachers = _open_teachers(recipe, task, fabric, listeners.note)
    data = task.load(recipe, _taught(recipe, [teacher for teacher, _ in teachers]))
    orders = [_order(teacher, recipe, data) for teacher, _ in teachers]
    rows = task.rows(data.train, tokenizer, recipe, data)
    say_what_is_trained_on(recipe, data, rows, listeners.note)
    torch.manual_seed(recipe.seed)
    student = make_student(recipe, task, folder, data, listeners.note)
    taught = TaughtRows(rows, {})

    def ask() -> None:
        wanted = dict.fromkeys(rows.example[make_schedule(rows, recipe).rows()].tolist())
        _ask(fabric, teachers, [data.train[i] for i in wanted], listeners)
        for i in wanted:
            taught.said[i] = _mixed(data.train[i], teachers, orders, recipe.mixture)

    def loss(module: Any, batch: dict[str, Tensor], _: float) -> Tensor:
        logits = task.logits(module, batch)
        total = logits.new_zeros((), dtype=torch.float32)
        if recipe.alpha_ce:
            total = total + recipe.alpha_ce * task.loss(logits, batch, data)
        if recipe.alpha_kd:
            soft = task.soft_loss(logits, batch, data, recipe.temperature)
            total = total + recipe.alpha_kd * soft
        return total

    if cache_only:
        if teachers:
            ask()
        return {}
    run = Run(
        fabric,
        student,
        taught,
        loss,
        recipe,
        fingerprint=":".join([fingerprint(recipe, data, rows), *(c.key for _, c in teachers)]),
        resume=resume,
    )
    say_plan(run, recipe, fabric, len(data.dev), listeners.note)
    if dry_run:
        return {}
    if teachers:
        ask()
    return complete(run, recipe, task, data, tokenizer, fabric, student, folder, listeners)


def make_student(
    recipe: Any, task: Task, folder: Path, data: TaskData, note: Callable[[str], None]
) -> Pretrained:
    """The student before its first step.

    Raises:
        RecipeError: the shape cannot be had from ``recipe.base``.
        ModelError: ``recipe.base`` cannot be used.
    """
    base = read_config(folder)
    config = task_config(base, recipe, data)
    if recipe.fresh:
        shape = {key: getattr(recipe, key) for key in ("n_layers", *_FRESH_ONLY)}
        return task.model_class(fresh_config(config, **shape))
    for key in _FRESH_ONLY:
        if getattr(recipe, key) not in (0, getattr(config, key)):
            raise RecipeError(
                f"{key}={getattr(recipe, key)} is not that of {recipe.base} "
                f"({getattr(config, key)}): only a student with fresh=true can have another"
            )
    weights = head_weights(folder, base, config, task)
    layers = select_layers(recipe.layers, config.n_layers, recipe.n_layers)
    config, weights = take_layers(config, weights, layers)
    student = task.model_class(config)
    if not take_weights(student, weights):
        note(f"{recipe.base} has no {HEADS[task.head].title} for these labels: a new one")
    return student


def _open_teachers(
    recipe: Any, task: Task, fabric: Fabric, note: Callable[[str], None]
) -> list[tuple[TaskTeacher, LogitCache]]:
    if not recipe.alpha_kd:
        return []
    root = Path(recipe.cache) if recipe.cache else cache_folder() / "teachers"
    names = (recipe.teacher,) if isinstance(recipe.teacher, str) else recipe.teacher
    found: list[tuple[TaskTeacher, LogitCache]] = []
    for name in names:
        teacher = TaskTeacher(
            name or recipe.base,
            task,
            seq_len=recipe.teacher_seq_len or recipe.seq_len,
            device=fabric.device.type,
            threads=recipe.threads,
        )
        found.append((teacher, LogitCache(root, teacher.facts(), task.texts, note)))
    return found


def _taught(recipe: Any, teachers: Sequence[TaskTeacher]) -> Taught | None:
    if not teachers:
        return None
    config = teachers[0].config
    return Taught(labels=config.label_names, problem=config.problem, golds=bool(recipe.alpha_ce))


def _order(teacher: TaskTeacher, recipe: Any, data: TaskData) -> list[int] | None:
    """Where each label of the data stands among the teacher's; ``None`` where all are in place.

    Raises:
        RecipeError: the teacher's labels are others, or mean something else.
    """
    theirs, ours = teacher.config.label_names, data.labels
    problem = teacher.config.problem
    if problem and data.problem and problem != data.problem:
        raise RecipeError(
            f"teacher {teacher.name} was trained for {problem}, the data are {data.problem}"
        )
    if theirs == ours or not ours or data.problem == "regression":
        return None
    order = places(ours, theirs, order=getattr(recipe, "labels", ()))
    if order is None:
        raise RecipeError(
            f"teacher {teacher.name} knows other labels ({some(theirs)}) than the data "
            f"({some(ours)}): name one that was trained on them"
        )
    return order


def _ask(
    fabric: Fabric,
    teachers: Sequence[tuple[TaskTeacher, LogitCache]],
    examples: list[Any],
    listeners: Listeners,
) -> None:
    for teacher, cache in teachers:
        fill(
            cache,
            teacher,
            examples,
            lambda done, total, name=teacher.name: listeners.stage(f"asking {name}", done, total),
            fabric,
        )


def _mixed(
    example: Any,
    teachers: Sequence[tuple[TaskTeacher, LogitCache]],
    orders: Sequence[list[int] | None],
    mixture: Sequence[float],
) -> FloatArray:
    """The weighted mean of the teachers' logits: the geometric mean of their distributions."""
    total: FloatArray | None = None
    for (_, cache), order, weight in zip(teachers, orders, mixture, strict=True):
        said = cache[example]
        said = weight * (said if order is None else said[..., order])
        total = said if total is None else total + said
    assert total is not None
    return total.astype(np.float32)
