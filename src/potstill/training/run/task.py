"""Training on examples: what every task but the masked language model shares.

A `TaskTraining` reads the data, makes rows of them and says what a loss and a score are. Teachers,
where there are any, are a `Teaching` of their own.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import HEADS, LOGITS, HeadName, head_of
from potstill.bundle.manifest import Manifest, sha256_of
from potstill.bundle.weights import Weights, read_weights
from potstill.compression.student import fresh_config, select_layers, take_layers
from potstill.data.labels import places
from potstill.errors import RecipeError
from potstill.models.pretrained import Pretrained
from potstill.runtime.session import Session
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Tokenizer
from potstill.training.recipe.prune import PruneKeys
from potstill.training.recipe.student import FRESH_ONLY, StudentKeys
from potstill.training.run.course import (
    Ask,
    Course,
    Score,
    Sitting,
    Training,
    config_of_run,
    train_upper_layers,
)
from potstill.training.run.loop import Loss, Rows
from potstill.training.run.report import nothing

FloatArray: TypeAlias = "npt.NDArray[np.float32]"
N_BEFORE = 128
"""Most examples that the start and the teachers of a run are scored on before its first step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskData:
    """The data of a run."""

    train: Sequence[Any]
    dev: Sequence[Any] = ()
    """Scored on; empty where the recipe names none."""
    golds: bool = True
    """Whether the labels of ``train`` are known; otherwise teachers alone say what is learned."""
    labels: tuple[str, ...] = ()
    """In the order of the logits; empty where the task has none."""
    problem: str = ""
    """``single-label``, ``multi-label`` or ``regression``, where the task has several."""
    notes: tuple[str, ...] = ()
    """What is worth knowing of them, a line each."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the manifest's ``data`` says beside the file's name and hash."""


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
    def example(self) -> npt.NDArray[np.integer[Any]]:
        """Which example each row is of, ``[n_rows]``."""
        ...

    @property
    def truncated(self) -> int:
        """Rows that lost their end."""
        ...


@dataclass(frozen=True, slots=True)
class Base:
    """The model that a run starts from."""

    folder: Path
    config: ModelConfig
    tokenizer: Tokenizer

    @classmethod
    def of(cls, folder: Path) -> Base:
        """Reads all but the weights."""
        return cls(folder, read_config(folder), Tokenizer.from_folder(folder))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What is learned of rows, and how."""

    module: nn.Module
    """What takes the steps: the model, or the model and what is trained beside it."""
    rows: Rows
    loss: Loss
    marks: Sequence[str] = ()
    """Hashes of the teachers."""
    ask: Ask | None = None
    """Done before the first step, where teachers label rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A teacher, to be scored as a model of the run is."""

    name: str
    tokenizer: Tokenizer
    open: Callable[[], Session]
    """Loads it; its labels are in the order of the run's."""
    recipe: Any
    """The run's, with the lengths of rows that the teacher reads."""
    data: Any
    """The run's, with what the teacher was taught to say."""


class Teaching(Protocol):
    """The teachers of a run."""

    @property
    def taught(self) -> Taught | None:
        """What they say of the labels before the data are read."""
        ...

    def lesson(self, model: Any, rows: Any, data: Any, base: Base) -> Lesson:
        """What a student learns of rows.

        Raises:
            RecipeError: a teacher does not fit the data, or the student.
        """
        ...

    def witnesses(self, data: Any) -> Sequence[Witness]:
        """The teachers, to be scored before the first step.

        Raises:
            RecipeError: a teacher does not fit the data.
        """
        ...


class TaskTraining(Training):
    """Training on examples."""

    outputs: ClassVar[tuple[str, ...]] = LOGITS
    """Of its models."""
    unit: ClassVar[str] = "rows"
    """What a run calls its rows when it counts them."""

    @abstractmethod
    def load(self, recipe: Any, taught: Taught | None = None) -> TaskData:
        """Reads the data of a recipe, for a student of teachers by their labels.

        Raises:
            DataError: the data are wrong.
            RecipeError: a key of the recipe does not fit them.
        """

    @abstractmethod
    def open_rows(
        self, recipe: Any, data: Any, base: Base, note: Callable[[str], None]
    ) -> TaskRows:
        """The examples to train on as tokens with their labels."""

    @abstractmethod
    def logits(self, model: Any, batch: dict[str, Tensor]) -> Any:
        """What a model says of a batch."""

    @abstractmethod
    def loss(self, logits: Any, batch: dict[str, Tensor], data: Any) -> Tensor:
        """Loss on what the examples themselves say, summed over the rows; scalar."""

    @abstractmethod
    def score(
        self,
        session: Session,
        tokenizer: Tokenizer,
        examples: Sequence[Any],
        recipe: Any,
        data: Any,
    ) -> dict[str, float]:
        """Scores a model in a session through the client that ships."""

    @abstractmethod
    def teaching(self, recipe: Any, sitting: Sitting) -> Teaching | None:
        """The teachers that a recipe names, opened; ``None`` where it is not one of distilling.

        Raises:
            ModelError: a teacher cannot be used.
        """

    def start_from(self, folder: Path, recipe: Any, data: Any, sitting: Sitting) -> Path:
        """The folder of the model to start from, where that is first made of ``base``'s."""
        return folder

    def prior(self, recipe: Any, data: Any) -> npt.NDArray[np.floating[Any]] | None:
        """The bias a new output layer starts with, ``[n_labels]``; ``None`` leaves it 0."""
        return None

    def finishing(self, model: Any, recipe: Any, *, new_head: bool) -> Callable[[], None]:
        """What is done to a model behind its last step; called before its first."""
        return nothing

    def fingerprint(self, recipe: Any, data: Any, rows: TaskRows) -> str:
        """Identifies the training data of a run."""
        return f"{sha256_of(Path(recipe.train))}:{len(rows)}:{int(rows.lengths.sum())}"

    @abstractmethod
    def describe(
        self, model: Any, base: Base, recipe: Any, data: Any, note: Callable[[str], None]
    ) -> Manifest:
        """What the manifest of a finished model says of its data and of what is fitted to it."""

    def prepare(self, recipe: Any, sitting: Sitting) -> Course:
        """Opens models and data."""
        note = sitting.listeners.note
        folder = find_model(recipe.base)
        teaching = self.teaching(recipe, sitting)
        data = self.load(recipe, teaching.taught if teaching else None)
        for line in data.notes:
            note(line)
        base = Base.of(self.start_from(folder, recipe, data, sitting))
        rows = self.open_rows(recipe, data, base, note)
        for line in _trained_on(recipe, data, rows, self.unit):
            note(line)
        prior = None if teaching else self.prior(recipe, data)
        model, is_new = make_model(self, recipe, base, data, prior)
        train_upper_layers(model, recipe)
        finish = self.finishing(model, recipe, new_head=is_new)

        def loss(module: Any, batch: dict[str, Tensor], _: float) -> Tensor:
            return self.loss(self.logits(module, batch), batch, data)

        def score(examples: Sequence[Any]) -> dict[str, float]:
            if not examples:
                return {}
            session = TorchSession(model, self.outputs)
            return self.score(session, base.tokenizer, examples, recipe, data)

        lesson = (
            teaching.lesson(model, rows, data, base)
            if teaching
            else Lesson(module=model, rows=rows, loss=loss)
        )
        sample = data.dev[:: math.ceil(len(data.dev) / N_BEFORE) or 1]
        before: dict[str, Score] = {}
        if not (is_new or getattr(recipe, "fresh", False)):
            before["the start"] = partial(score, sample)
        for one in teaching.witnesses(data) if teaching else ():
            before[f"teacher {one.name}"] = partial(self._witness, one, sample)
        title = HEADS[self.head].title + (" for these labels" if data.labels else "")
        return Course(
            model=model,
            module=lesson.module,
            rows=lesson.rows,
            loss=lesson.loss,
            fingerprint=":".join([self.fingerprint(recipe, data, rows), *lesson.marks]),
            folder=base.folder,
            base=base.config,
            n_scored=len(data.dev),
            score=partial(score, data.dev),
            describe=lambda: self.describe(model, base, recipe, data, note),
            new_head=f"{recipe.base} has no {title}: a new one was made" if is_new else "",
            before=before,
            n_before=len(sample),
            ask=lesson.ask,
            finish=finish,
        )

    def _witness(self, one: Witness, sample: Sequence[Any]) -> dict[str, float]:
        return self.score(one.open(), one.tokenizer, sample, one.recipe, one.data)


def make_model(
    training: TaskTraining,
    recipe: Any,
    base: Base,
    data: TaskData,
    prior: npt.NDArray[np.floating[Any]] | None = None,
) -> tuple[Pretrained, bool]:
    """The model before its first step, and whether its head is new on a body that is not.

    Raises:
        RecipeError: the shape cannot be had from ``recipe.base``.
        ModelError: ``recipe.base`` cannot be used.
    """
    config = config_of_run(base.config, recipe)
    config = replace(config, labels=data.labels, problem=data.problem)
    torch.manual_seed(recipe.seed)
    name, student = recipe.base, recipe if isinstance(recipe, StudentKeys) else None
    if student and student.fresh:
        return training.model_class(fresh_config(config, **student.shape)), False
    weights = head_weights(base.folder, base.config, config, training.head)
    pruned = isinstance(recipe, PruneKeys) and recipe.prunes
    if student and not pruned:  # pruning has taken the layers already
        for key in FRESH_ONLY:
            if student.shape[key] not in (0, getattr(config, key)):
                raise RecipeError(
                    f"{key}={student.shape[key]} is not that of {name} "
                    f"({getattr(config, key)}): only a student with fresh=true can have another"
                )
        layers = select_layers(student.layers, config.n_layers, student.n_layers)
        config, weights = take_layers(config, weights, layers)
    if prior is not None:
        weights = {"classifier.bias": prior.astype(np.float32), **weights}
    model = training.model_class(config)
    model.load_weights(weights)
    return model, any(name not in weights for name in HEADS[training.head].shapes(config))


def data_of(recipe: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says of the training data."""
    train = Path(recipe.train)
    return {"train": train.name, "sha256": sha256_of(train), **facts}


def head_weights(folder: Path, base: ModelConfig, config: ModelConfig, head: HeadName) -> Weights:
    """The weights of a folder; an output layer that was trained for something else is left out.

    Its rows are put in the order of the config's labels.
    """
    weights = read_weights(folder, base, head=head, require_head=False)
    order: list[int] | None = None
    if head_of(base) == head:
        order = places(config.labels, base.label_names)
        if config.problem == "regression" or not config.labels:
            order = [0] if base.n_labels == 1 or not config.labels else None
    output = [name for name in weights if name.startswith("classifier.")]
    for name in output:
        rows = weights.pop(name)
        if order is not None:
            weights[name] = rows[order]
    return weights


def _trained_on(recipe: Any, data: TaskData, rows: TaskRows, unit: str) -> Sequence[str]:
    """How many examples, rows and tokens there are, and how many rows lost their end."""
    found = [
        f"{len(data.train):,} examples, {len(rows):,} {unit}, {int(rows.lengths.sum()):,} tokens"
    ]
    if rows.truncated:
        found.append(
            f"{rows.truncated:,} of {len(rows):,} rows are longer than seq_len {recipe.seq_len}: "
            "their ends are left out"
        )
    return found
