"""`Predictor`: the texts of a batch in, what the model says of each out; the same in every engine.

Everything that crosses a process is JSON: a row's texts go in, a `RowResult` comes out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from potstill.bundle.find import find_model
from potstill.bundle.layout import CONFIG, MANIFEST, TEXT_FILES
from potstill.bundle.manifest import sha256_of
from potstill.errors import InputError
from potstill.runtime.client import Client
from potstill.runtime.runtimes import AUTO, REFERENCE
from potstill.tasks.table import every, task_of
from potstill.tasks.task import Task

if TYPE_CHECKING:
    from potstill.runtime.qa import QAClient
    from potstill.scale.asking import Asking

Texts: TypeAlias = "tuple[str, ...]"
"""What the model reads of a row: question and context, a text, or a pair of them."""
Values: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RowResult:
    """What came of one row."""

    values: Values | None
    """The new columns, or ``None`` where the model could not read the row."""
    reason: str = ""
    """Why it could not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictOptions:
    """What a predictor is made of; plain values, so that every process makes the same one."""

    model: str
    """``default``, a folder or a hub id."""
    revision: str | None = None
    no_answer: bool | None = None
    """Whether "no answer" competes; by default as the model was trained."""
    threshold: float | None = None
    """Of every label of a multi-label model, instead of its own."""
    max_windows: int | None = None
    """That a classifier reads a long text in, 0 for all of it, instead of the model's own."""
    threads: int = 1
    """Threads of one worker."""
    runtime: str = REFERENCE
    """What runs the model; not ``auto``, so that all rows of a job are read by one runtime."""
    prefix: str = ""
    """Stands before the name of every new column."""
    give: str = "answer"
    """What a reader gives of each row: answer, or sentences by highlight, prune or cite."""
    index: str | None = None
    """Folder of an index whose documents a reader is asked of, instead of each row's context."""
    top_k: int | None = None
    """Most sentences of highlight, and of each claim of cite."""
    tokens: int | None = None
    """Most tokens that prune keeps."""

    @property
    def asks(self) -> bool:
        """Whether a reader is asked for more than the answer in a row's own context."""
        return self.give != "answer" or self.index is not None

    def own(self) -> dict[str, Any]:
        """Options of the task's own that were given."""
        names = ("no_answer", "threshold", "max_windows")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


@dataclass(slots=True)
class Predictor:
    """Says what a model says of rows. Made once a worker; see `PredictOptions`.

    Raises:
        ModelNotFoundError: there is no such model.
        ModelError: it cannot be used.
        InputError: it is of a task that bulk jobs do not have.
    """

    options: PredictOptions
    _task: Task[Any] = field(init=False)
    _client: Client[Any] = field(init=False)
    _asking: Asking | None = field(init=False)

    def __post_init__(self) -> None:
        self._task = task_of_model(self.options)
        self._client = _open(self._task, self.options)
        self._asking = _asking(self._client, self.options)

    @property
    def columns(self) -> dict[str, str]:
        """Name of each new column → its type, as Arrow writes it."""
        asking = self._asking
        kinds = asking.kinds if asking else self._task.value_kinds(self._client)
        return {self.options.prefix + name: kind for name, kind in kinds.items()}

    def __call__(self, batch: Sequence[Texts]) -> list[RowResult]:
        """What the model says of each row, in order.

        A row that the model cannot read (a blank text, a question too long for a window) gives the
        reason instead, and changes nothing for the others.

        Raises:
            ModelError: the model gives logits that are no numbers.
        """
        batch = [tuple(texts) for texts in batch]
        if self._asking is None or len(batch) == 1:
            try:
                return [self._named(values) for values in self._values(batch)]
            except InputError as error:
                if len(batch) == 1:
                    return [RowResult(None, str(error))]
        return [said for texts in batch for said in self([texts])]

    def _values(self, batch: Sequence[Texts]) -> list[Values]:
        if self._asking is None:
            return self._task.values(self._client, batch)
        return [self._asking.values(texts) for texts in batch]

    def _named(self, values: Values) -> RowResult:
        return RowResult({self.options.prefix + name: value for name, value in values.items()})


def _asking(client: Client[Any], options: PredictOptions) -> Asking | None:
    if not options.asks:
        return None
    from potstill.scale.asking import Asking

    return Asking(cast("QAClient", client), options)


def columns_read(options: PredictOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that a job reads by default, and those that it reads where they are given.

    Raises:
        ModelNotFoundError: there is no such model.
        InputError: as of `task_of_model`.
    """
    task = task_of_model(options)
    if not options.asks:
        return task.columns, task.more_columns
    from potstill.scale.asking import columns_of

    return columns_of(options), ()


def task_of_model(options: PredictOptions) -> Task[Any]:
    """What the model of a job is for.

    Raises:
        ModelNotFoundError: there is no such model.
        InputError: it is of a task that bulk jobs do not have, or has no such option.
    """
    task = task_of(find_model(options.model, revision=options.revision))
    if not task.columns:
        known = ", ".join(one.name for one in every() if one.columns)
        raise InputError(
            f"{options.model} is a model for {task.name}, which bulk jobs do not have: they have "
            f"{known}"
        )
    _check_asking(task, options)
    for name in options.own():
        if not task.takes(name):
            raise InputError(
                f"{options.model} is a model for {task.name}, which has no {name}: omit it"
            )
    return task


def _check_asking(task: Task[Any], options: PredictOptions) -> None:
    given = options.asks or options.top_k is not None or options.tokens is not None
    if given and not task.documents:
        raise InputError(
            f"{options.model} is a model for {task.name}: only models that answer questions read "
            "an index, highlight, prune and cite"
        )
    if given:
        from potstill.scale.asking import check

        check(options)


def quickest_runtime(options: PredictOptions, workers: int) -> str:
    """The runtime in which so many workers of this machine read most rows a second.

    Raises:
        ModelError: the model cannot be used.
    """
    client = _open(task_of_model(options), replace(options, runtime=AUTO), workers)
    return client.opened.runtime if client.opened else REFERENCE


def _open(task: Task[Any], options: PredictOptions, workers: int = 1) -> Client[Any]:
    return task.client.from_options(
        options.model,
        revision=options.revision,
        threads=options.threads,
        runtime=options.runtime,
        workers=workers,
        **options.own(),
    )


def model_fingerprint(options: PredictOptions) -> str:
    """Changes where anything in the model's folder that an answer depends on does."""
    from potstill.bundle.cache import ensure_onnx

    folder = find_model(options.model, revision=options.revision)
    file = ensure_onnx(folder)
    digest = hashlib.sha256(sha256_of(file).encode())
    for name in (CONFIG, MANIFEST, *TEXT_FILES):
        if (folder / name).is_file():
            digest.update(f"{name}:{sha256_of(folder / name)}".encode())
    return digest.hexdigest()


def model_name(model: str | Path) -> str:
    """What to call a model in a job's facts: its hub id, or the name of its folder."""
    folder = Path(model)
    return folder.resolve().name if folder.is_dir() else str(model)
