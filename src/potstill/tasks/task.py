"""`Task`: all that Potstill knows of one task but for how it is trained.

Whoever exports, serves, measures, describes or reads in bulk goes by these methods and holds no
task's name. What needs torch or a web server is named here and imported when it is used.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import HEADS, HeadName, HeadSpec
from potstill.bundle.manifest import Manifest
from potstill.errors import InputError
from potstill.evaluation.kept import KeptAnswer
from potstill.runtime.client import Client
from potstill.text.tokenizer import Tokenizer

ClientT = TypeVar("ClientT", bound=Client[Any])
Scores: TypeAlias = "dict[str, Any]"
Values: TypeAlias = "dict[str, Any]"
"""New columns of a row of a bulk job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A data file, read as a task reads it."""

    examples: Sequence[Any]
    labels: tuple[str, ...] = ()
    problem: str = ""
    scheme: str = ""
    """What tags are: ``spans`` or ``plain``."""
    no_answer: bool = False
    layout: Mapping[str, Any] = field(default_factory=dict)
    """How texts lie in the file, as an evaluation keeps it."""
    notes: tuple[str, ...] = ()
    """What is worth knowing of the file, a line each."""
    source: Any = None
    """What the reader of such files gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated(Generic[ClientT]):
    """A model's answers to a data file, with what ``potstill eval`` was asked for."""

    loaded: Loaded
    examples: Sequence[Any]
    """Those that were scored."""
    client: ClientT
    answers: Sequence[Any]
    manifest: Manifest
    train: Sequence[Any] | None = None
    """What a baseline may learn, where that was given."""
    held_out: bool = False
    """Whether the examples are what the recipe kept out of this very file."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """Options of this task's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a model card says of every model of a task."""

    auto: str
    """Class of transformers that opens such a folder."""
    tags: tuple[str, ...]
    does: str
    """Behind "A BERT of 6 layers …"."""
    code: tuple[str, ...]
    limits: str
    metrics: tuple[str, ...]
    """Scores that the front matter repeats for the hub, in order."""
    labels: bool = False
    """Whether the labels of the config are worth a section."""


class Task(ABC, Generic[ClientT]):
    """One task; a subclass for each, of which there is one object, in `potstill.tasks.table`."""

    head: ClassVar[HeadName]
    spec: ClassVar[HeadSpec | None] = None
    """Its head, where Potstill has none of that name: it is added with the task."""
    client: ClassVar[type[Client[Any]]]
    trained: ClassVar[str]
    """Module and class of what trains it, behind a colon."""
    recipes: ClassVar[tuple[str, str]]
    """Modules and classes of its recipes: to fine-tune, and to distil."""
    verb: ClassVar[tuple[str, ...]]
    """The verb of ``potstill`` that asks its models, and what it takes."""
    does: ClassVar[str]
    """What its models do, as a list of tasks says it: ``answer questions``."""
    pipeline: ClassVar[tuple[str, str]]
    """The hub's name of the task, and module and class of its pipeline, behind a colon; empty where
    it has none."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names of the pipeline."""
    card: ClassVar[Card]
    max_drop: ClassVar[float] = 0.5
    """Points of the main score that an exported file may lose, where nobody says otherwise."""
    columns: ClassVar[tuple[str, ...]] = ()
    """Columns that a bulk job reads by default; none where bulk jobs do not have the task."""
    more_columns: ClassVar[tuple[str, ...]] = ()
    """Columns that it reads where they are given."""
    layout: ClassVar[frozenset[str]] = frozenset()
    """What can be said of how rows lie in a file."""
    eval_options: ClassVar[frozenset[str]] = frozenset()
    """Options of ``potstill eval`` that only some tasks have."""
    planned: ClassVar[bool] = False
    """Whether ``potstill plan`` knows how its requests are made."""
    believable: ClassVar[bool] = False
    """Whether a report shows how far the confidence of its answers can be believed."""
    shown: ClassVar[bool] = True
    """Whether a report shows mistakes among its answers."""
    documents: ClassVar[bool] = False
    """Whether its models answer from documents, and say which sentences do."""
    embedded: ClassVar[bool] = False
    """Whether a model of it ships inside the package."""
    served: ClassVar[str] = ""
    """Module and class of what serves it, behind a colon; empty where it is not served."""

    @property
    def name(self) -> str:
        """As recipes and manifests call it."""
        return HEADS[self.head].task

    def takes(self, option: str) -> bool:
        """Whether ``from_options`` of its client has an option."""
        return option in inspect.signature(self.client.from_options).parameters

    def load(self, path: str | Path, model: Path | None = None, **columns: Any) -> Loaded:
        """Reads a data file.

        Args:
            path: of the file.
            model: folder of the model that is to be asked: its labels are those of the data.
            **columns: how rows lie in the file, where that is not as in the model's recipe; those
                that `layout` names.

        Raises:
            InputError: the task has no such column.
            DataError: the file cannot be read, or does not fit the model.
            ModelError: the model's config or manifest cannot be used.
        """
        strange = sorted(columns.keys() - self.layout)
        if strange:
            raise InputError(f"data for {self.name} have no column {strange[0]}: omit it")
        return self.read(path, model, columns)

    @abstractmethod
    def read(self, path: str | Path, model: Path | None, columns: Mapping[str, Any]) -> Loaded:
        """As `load`, which calls it with columns that the task has."""

    @abstractmethod
    def answer(self, client: ClientT, examples: Sequence[Any], **given: Any) -> Iterable[Any]:
        """What a model says of examples, in order: all that scoring needs.

        Args:
            client: of the model.
            examples: to be read.
            **given: options of ``potstill eval`` that are the task's own.
        """

    @abstractmethod
    def score(self, evaluated: Evaluated[ClientT]) -> Scores:
        """Scores of what `answer` gave, by name."""

    @abstractmethod
    def metric(self, loaded: Loaded) -> str:
        """Name of the score that counts."""

    def main_score(self, config: ModelConfig) -> str:
        """Name of the score by which runs of such models are told apart."""
        return self.card.metrics[0]

    @abstractmethod
    def item(self, client: ClientT, text: str) -> Any:
        """A text as what a client is asked, to measure how quick it is."""

    def extra_tokens(self, tokenizer: Tokenizer) -> int:
        """Tokens of a row beside those of the text of `item`."""
        return 2

    @abstractmethod
    def ask(self, client: ClientT, items: Sequence[Any]) -> Sequence[Any]:
        """Asks a client for the answers that callers get."""

    def gate_options(self, loaded: Loaded) -> dict[str, Any]:
        """Options with which a client is asked at the export gate."""
        return {}

    def more(self, evaluated: Evaluated[ClientT]) -> Scores:
        """What ``potstill eval`` says beside the scores and what needs no network."""
        return {}

    def baselines(self, evaluated: Evaluated[ClientT]) -> dict[str, Scores]:
        """Scores of what needs no network: name → scores."""
        return {}

    def kept(self, evaluated: Evaluated[ClientT]) -> dict[str, Any]:
        """What ``--keep`` keeps of the answers; see `potstill.evaluation.kept.Kept`."""
        return {"said": self.said(evaluated), "layout": evaluated.loaded.layout}

    def said(self, evaluated: Evaluated[ClientT]) -> Sequence[KeptAnswer]:
        """The answers as they are kept."""
        return ()

    def said_of(self, path: str | Path, layout: Mapping[str, Any]) -> Sequence[Any]:
        """The examples that answers were kept of, read as they were then.

        Args:
            path: of the data file.
            layout: how they lie in it, as `kept` gave it.

        Raises:
            DataError: the file cannot be read.
        """
        return self.load(path, **layout).examples

    def describe(self, loaded: Loaded, tokenizer: Tokenizer, **how: int) -> dict[str, Any]:
        """What a data file holds, in figures.

        Args:
            loaded: the file.
            tokenizer: counts tokens.
            **how: ``seq_len`` and ``stride``.

        Raises:
            InputError: nobody counts what files of the task hold.
        """
        raise InputError(f"files for {self.name} are not described: name another task")

    def value_kinds(self, client: ClientT) -> dict[str, str]:
        """New columns of a bulk job → their types, as Arrow writes them."""
        raise NotImplementedError

    def values(self, client: ClientT, batch: Sequence[tuple[str, ...]]) -> list[Values]:
        """What a bulk job writes of each row.

        Raises:
            InputError: a row cannot be read.
        """
        raise NotImplementedError

    def settings(self, manifest: Manifest) -> dict[str, Any]:
        """What a card says of how its scores were taken."""
        return {"seq_len": manifest.seq_len}

    def limits(self, manifest: Manifest) -> str:
        """What a card says its models are bad at."""
        return self.card.limits
