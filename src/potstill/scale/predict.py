"""`Predictor`: the texts of a batch in, what the model says of each out; the same in every engine.

Everything that crosses a process is JSON: a row's texts go in, a `Said` comes out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import TASKS
from potstill.bundle.layout import CONFIG, MANIFEST, TEXT_FILES
from potstill.bundle.manifest import head_of_folder, sha256_of
from potstill.bundle.names import HeadName
from potstill.errors import InputError
from potstill.runtime.runtimes import AUTO, REFERENCE

if TYPE_CHECKING:
    from potstill.runtime.classification import Classifier
    from potstill.runtime.qa import QAClient
    from potstill.runtime.tagging import Tagger

Texts: TypeAlias = "tuple[str, ...]"
"""What the model reads of a row: question and context, a text, or a pair of them."""
Values: TypeAlias = dict[str, Any]

TEXT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "qa": ("question", "context"),
    "classification": ("text",),
    "tagging": ("text",),
}
"""Head → columns of the input that it reads, by default."""


@dataclass(frozen=True, slots=True)
class Said:
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


@dataclass(frozen=True, slots=True)
class _Task:
    columns: Mapping[str, str]
    answer: Callable[[Sequence[Texts]], list[Values]]


@dataclass(slots=True)
class Predictor:
    """Says what a model says of rows. Made once a worker; see `PredictOptions`.

    Raises:
        ModelNotFoundError: there is no such model.
        ModelError: it cannot be used.
        InputError: it is of a task that bulk jobs do not have.
    """

    options: PredictOptions
    _task: _Task = field(init=False)

    def __post_init__(self) -> None:
        head = head_of_model(self.options)
        self._task = _MAKERS[head](self.options)

    @property
    def columns(self) -> dict[str, str]:
        """Name of each new column → its type, as Arrow writes it."""
        return {self.options.prefix + name: kind for name, kind in self._task.columns.items()}

    def __call__(self, batch: Sequence[Texts]) -> list[Said]:
        """What the model says of each row, in order.

        A row that the model cannot read (a blank text, a question too long for a window) gives the
        reason instead, and changes nothing for the others.

        Raises:
            ModelError: the model gives logits that are no numbers.
        """
        batch = [tuple(texts) for texts in batch]
        try:
            return [self._named(values) for values in self._task.answer(batch)]
        except InputError as error:
            if len(batch) == 1:
                return [Said(None, str(error))]
        return [said for texts in batch for said in self([texts])]

    def _named(self, values: Values) -> Said:
        return Said({self.options.prefix + name: value for name, value in values.items()})


def head_of_model(options: PredictOptions) -> HeadName:
    """What the model of a job is for.

    Raises:
        ModelNotFoundError: there is no such model.
        InputError: it is of a task that bulk jobs do not have, or has no such option.
    """
    folder = find_model(options.model, revision=options.revision)
    head = head_of_folder(folder, read_config(folder))
    if head not in _MAKERS:
        raise InputError(
            f"{options.model} is a model of {TASKS.get(head, head)}: bulk jobs answer questions, "
            "classify and tag"
        )
    if options.max_windows is not None and head != "classification":
        raise InputError(
            f"{options.model} is a model of {TASKS[head]}, which reads every text whole: leave the "
            "number of windows away"
        )
    return head


def quickest_runtime(options: PredictOptions, workers: int) -> str:
    """The runtime in which so many workers of this machine read most rows a second.

    Raises:
        ModelError: the model cannot be used.
    """
    client = _OPENERS[head_of_model(options)](replace(options, runtime=AUTO), workers)
    return client.opened.runtime if client.opened else REFERENCE


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


def _open_reader(options: PredictOptions, workers: int = 1) -> QAClient:
    from potstill.runtime.qa import QAClient

    return QAClient.from_options(
        options.model, no_answer=options.no_answer, **_opening(options, workers)
    )


def _open_classifier(options: PredictOptions, workers: int = 1) -> Classifier:
    from potstill.runtime.classification import Classifier

    return Classifier.from_options(
        options.model,
        threshold=options.threshold,
        max_windows=options.max_windows,
        **_opening(options, workers),
    )


def _open_tagger(options: PredictOptions, workers: int = 1) -> Tagger:
    from potstill.runtime.tagging import Tagger

    return Tagger.from_options(options.model, **_opening(options, workers))


def _opening(options: PredictOptions, workers: int) -> dict[str, Any]:
    return {
        "revision": options.revision,
        "threads": options.threads,
        "runtime": options.runtime,
        "workers": workers,
    }


_OPENERS: Mapping[HeadName, Callable[[PredictOptions, int], Any]] = {
    "qa": _open_reader,
    "classification": _open_classifier,
    "tagging": _open_tagger,
}


def _reader(options: PredictOptions) -> _Task:
    client = _open_reader(options)

    def answer(batch: Sequence[Texts]) -> list[Values]:
        found: list[Values] = []
        for reading in client.read_many([(texts[0], texts[1]) for texts in batch]):
            best = next(iter(reading.answers), None)
            if best is None:
                found.append(
                    {"answer": None, "score": reading.null_score, "start": None, "end": None}
                )
            else:
                found.append(best.to_dict())
        return found

    kinds = {"answer": "string", "score": "double", "start": "int64", "end": "int64"}
    return _Task(kinds, answer)


def _classifier(options: PredictOptions) -> _Task:
    classifier = _open_classifier(options)
    several = classifier.options.problem == "multi-label"

    def answer(batch: Sequence[Texts]) -> list[Values]:
        rows = [(texts[0], texts[1]) if len(texts) == 2 else texts[0] for texts in batch]
        found: list[Values] = []
        for said in classifier.classify_many(rows):
            chosen = [label for label in said.labels if label.chosen]
            if several:
                own: Values = {
                    "labels": [label.label for label in chosen],
                    "scores": [label.score for label in chosen],
                }
            else:
                own = {"label": chosen[0].label, "score": chosen[0].score}
            found.append({**own, "truncated": said.truncated})
        return found

    one = {"label": "string", "score": "double"}
    many = {"labels": "list<string>", "scores": "list<double>"}
    return _Task({**(many if several else one), "truncated": "bool"}, answer)


def _tagger(options: PredictOptions) -> _Task:
    tagger = _open_tagger(options)

    def answer(batch: Sequence[Texts]) -> list[Values]:
        found = tagger.tag_many([texts[0] for texts in batch])
        return [{"entities": [entity.to_dict() for entity in own]} for own in found]

    return _Task({"entities": "list<entity>"}, answer)


_MAKERS: Mapping[HeadName, Callable[[PredictOptions], _Task]] = {
    "qa": _reader,
    "classification": _classifier,
    "tagging": _tagger,
}


def model_name(model: str | Path) -> str:
    """What to call a model in a job's facts: its hub id, or the name of its folder."""
    folder = Path(model)
    return folder.resolve().name if folder.is_dir() else str(model)
