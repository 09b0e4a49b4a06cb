"""Tasks that label texts, and their teachers: the loss on what teachers say of each label."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from potstill.bundle.cache import cache_folder, ensure_onnx
from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import LOGITS
from potstill.bundle.manifest import Manifest, head_of_folder
from potstill.bundle.weights import read_weights
from potstill.data.labels import places, some
from potstill.errors import ModelError, RecipeError
from potstill.models.pretrained import Pretrained
from potstill.runtime.machine import usable_cores
from potstill.runtime.runtimes import Layout, Runnable, open_usual
from potstill.runtime.session import Logits, Session
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Tokenizer
from potstill.text.windows import Batch
from potstill.training.kept.logits import LogitCache
from potstill.training.kept.shards import fill, tokenizer_hash, weights_hash
from potstill.training.recipe.teach import TeachKeys
from potstill.training.run.course import Sitting
from potstill.training.run.packed import INPUTS
from potstill.training.run.report import told
from potstill.training.run.task import (
    Base,
    FloatArray,
    Lesson,
    TaskData,
    TaskRows,
    TaskTraining,
    Taught,
    Witness,
    data_of,
)


class LabelRows(TaskRows, Protocol):
    """Rows that teachers can label."""

    def targets(self, rows: list[int], said: Sequence[FloatArray]) -> Tensor:
        """What teachers said of the example of each row, laid out as the model's own logits."""
        ...


class LabelTraining(TaskTraining):
    """Training on texts with labels, whose teachers know the same labels."""

    @abstractmethod
    def rows(
        self, examples: Sequence[Any], tokenizer: Tokenizer, recipe: Any, data: Any
    ) -> LabelRows:
        """Examples as tokens with their labels."""

    @abstractmethod
    def soft_loss(
        self, logits: Tensor, batch: dict[str, Tensor], data: TaskData, temperature: float
    ) -> Tensor:
        """Loss on ``batch["teacher"]`` (see `LabelRows.targets`), summed over the rows; scalar."""

    @abstractmethod
    def texts(self, example: Any) -> tuple[str, ...]:
        """All that a teacher reads of an example: what its logits are kept under."""

    @abstractmethod
    def teach(
        self,
        session: Session,
        tokenizer: Tokenizer,
        examples: Sequence[Any],
        *,
        seq_len: int,
    ) -> list[FloatArray]:
        """A teacher's logits of each example; the last axis is its labels, where it has some."""

    def open_rows(
        self, recipe: Any, data: TaskData, base: Base, note: Callable[[str], None]
    ) -> LabelRows:
        """The examples to train on."""
        return self.rows(data.train, base.tokenizer, recipe, data)

    def baselines(self, recipe: Any, data: TaskData) -> Mapping[str, Mapping[str, float]]:
        """What needs no network, scored on ``data.dev``: name → scores."""
        return {}

    def fit(self, model: Any, tokenizer: Tokenizer, recipe: Any, data: TaskData) -> dict[str, Any]:
        """What is fitted on ``data.dev`` after training: the manifest's ``calibration``."""
        return {}

    def logits(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        """What a model says of a batch."""
        return model(*(batch[name] for name in INPUTS)).logits

    def teaching(self, recipe: Any, sitting: Sitting) -> LabelTeaching | None:
        """Opens the teachers of a recipe of distilling."""
        return LabelTeaching(recipe, self, sitting) if isinstance(recipe, TeachKeys) else None

    def fingerprint(self, recipe: Any, data: TaskData, rows: TaskRows) -> str:
        """Identifies the training data of a run, and their labels."""
        return f"{super().fingerprint(recipe, data, rows)}:{'|'.join(data.labels)}"

    def describe(
        self, model: Any, base: Base, recipe: Any, data: TaskData, note: Callable[[str], None]
    ) -> Manifest:
        """Calibrates on ``data.dev``, and scores there what needs no network."""
        calibration = self.fit(model, base.tokenizer, recipe, data) if data.dev else {}
        fitted = {k: v for k, v in calibration.items() if isinstance(v, (int, float))}
        if fitted:
            note(f"calibrated, each figure on rows that were not fitted on: {told(fitted)}")
        baselines = self.baselines(recipe, data) if data.dev and recipe.baseline else {}
        for name, scores in baselines.items():
            note(f"for comparison, {name}: {told(scores)}")
        facts = {"examples": len(data.train), "scored": len(data.dev), **data.facts}
        more = {"baselines": baselines} if baselines else {}
        return Manifest(data=data_of(recipe, {**facts, **more}), calibration=calibration)


class TaskTeacher:
    """A model of a task that others learn from; its weights are loaded when it is first asked."""

    def __init__(
        self, name: str, task: LabelTraining, *, seq_len: int, device: str = "cpu", threads: int = 0
    ) -> None:
        """Opens a teacher.

        Args:
            name: a folder or a hub id.
            task: what it was trained for.
            seq_len: longest row, in tokens; less where the teacher has fewer positions.
            device: ``cpu`` or ``cuda``.
            threads: threads on the CPU, 0 for one for each core.

        Raises:
            ModelError: there is no such model, or it is one of another task.
        """
        self.name = name
        self.folder = find_model(name)
        self.config = read_config(self.folder)
        if head_of_folder(self.folder, self.config) != task.head:
            raise ModelError(
                f"teacher {name} is not a model of {task.name}: fine-tune one first, or name "
                "another"
            )
        self.tokenizer = Tokenizer.from_folder(self.folder)
        self.seq_len = min(seq_len, self.config.max_positions)
        self._task, self._device, self._threads = task, device, threads
        self._session: Session | None = None
        if device == "cpu":
            self._file = ensure_onnx(self.folder, head=task.head)

    def facts(self) -> dict[str, Any]:
        """All that the logits depend on, as hashes and numbers."""
        return {
            "task": self._task.name,
            "weights": weights_hash(self.folder),
            "tokenizer": tokenizer_hash(self.folder),
            "seq_len": self.seq_len,
        }

    def read(self, examples: Sequence[Any]) -> list[FloatArray]:
        """Its logits of each example."""
        if self._session is None:
            self._session = self.open()
        return self._task.teach(self._session, self.tokenizer, examples, seq_len=self.seq_len)

    def open(self) -> Session:
        """Loads its weights."""
        if self._device == "cpu":
            model = Runnable(folder=self.folder, file=self._file, head=self._task.head)
            return open_usual(model, Layout(1, self._threads or usable_cores()))[1]
        read_weights(self.folder, self.config, head=self._task.head)  # it must have one
        model, _ = self._task.model_class.from_folder(self.folder, self.config)
        return TorchSession(model.to(self._device), outputs=LOGITS)


class _InOrder:
    """A teacher's session whose labels come in the order of the data's."""

    def __init__(self, teacher: TaskTeacher, order: list[int] | None) -> None:
        self._session = teacher.open()
        self._order = slice(None) if order is None else order

    def run(self, batch: Batch) -> tuple[Logits, ...]:
        """Its logits, each label's in its new place."""
        return tuple(logits[..., self._order] for logits in self._session.run(batch))


@dataclass(frozen=True, slots=True, eq=False)
class TaughtRows:
    """Rows with what the teachers said of their examples.

    Attributes:
        rows: tokens and gold labels.
        said: example → the teachers' logits, mixed; only of examples that the run takes.
    """

    rows: LabelRows
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


class LabelTeaching:
    """The teachers of a run, whose logits are kept."""

    def __init__(self, recipe: Any, task: LabelTraining, sitting: Sitting) -> None:
        """Opens teachers and what is kept of them.

        Raises:
            ModelError: there is no such model, or it is one of another task.
        """
        self._recipe, self._task, self._sitting = recipe, task, sitting
        self._teachers: list[tuple[TaskTeacher, LogitCache]] = []
        root = Path(recipe.cache) if recipe.cache else cache_folder() / "teachers"
        for name in recipe.teachers if recipe.alpha_kd else ():
            teacher = TaskTeacher(
                name or recipe.base,
                task,
                seq_len=recipe.teacher_seq_len or recipe.seq_len,
                device=sitting.fabric.device.type,
                threads=recipe.threads,
            )
            cache = LogitCache(root, teacher.facts(), task.texts, sitting.listeners.note)
            self._teachers.append((teacher, cache))

    @property
    def taught(self) -> Taught | None:
        """The labels of the first of them."""
        if not self._teachers:
            return None
        config = self._teachers[0][0].config
        golds = bool(self._recipe.alpha_ce)
        return Taught(labels=config.label_names, problem=config.problem, golds=golds)

    def lesson(self, model: Pretrained, rows: LabelRows, data: TaskData, base: Base) -> Lesson:
        """What the student learns of its rows.

        Raises:
            RecipeError: a teacher's labels are others, or mean something else.
        """
        recipe, task = self._recipe, self._task
        orders = [_order(teacher, recipe, data) for teacher, _ in self._teachers]
        taught = TaughtRows(rows, {})

        def loss(module: Any, batch: dict[str, Tensor], _: float) -> Tensor:
            logits = task.logits(module, batch)
            total = logits.new_zeros((), dtype=torch.float32)
            if recipe.alpha_ce:
                total = total + recipe.alpha_ce * task.loss(logits, batch, data)
            if recipe.alpha_kd:
                soft = task.soft_loss(logits, batch, data, recipe.temperature)
                total = total + recipe.alpha_kd * soft
            return total

        return Lesson(
            module=model,
            rows=taught,
            loss=loss,
            marks=[cache.key for _, cache in self._teachers],
            ask=partial(self._ask, taught, data, orders) if self._teachers else None,
        )

    def witnesses(self, data: TaskData) -> list[Witness]:
        """The teachers, with the labels of the data."""
        return [
            Witness(
                name=teacher.name,
                tokenizer=teacher.tokenizer,
                open=partial(_InOrder, teacher, _order(teacher, self._recipe, data)),
                recipe=replace(self._recipe, seq_len=teacher.seq_len),
                data=data,
            )
            for teacher, _ in self._teachers
        ]

    def _ask(
        self,
        rows: TaughtRows,
        data: TaskData,
        orders: Sequence[list[int] | None],
        wanted: npt.NDArray[np.int64],
    ) -> None:
        asked = list(dict.fromkeys(rows.rows.example[wanted].tolist()))
        needed = [data.train[i] for i in asked]
        for teacher, cache in self._teachers:
            asking = partial(self._sitting.listeners.stage, f"asking {teacher.name}")
            fill(cache, teacher, needed, asking, self._sitting.fabric)
        for i in asked:
            rows.said[i] = _mixed(data.train[i], self._teachers, orders, self._recipe.mixture)


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
