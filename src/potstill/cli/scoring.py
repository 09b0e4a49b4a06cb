"""What ``potstill eval`` does for every task: data, client, scores, and what is kept of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from potstill.bundle.manifest import Manifest, read_manifest
from potstill.cli.keeping import keep, timed
from potstill.data.split import split_examples
from potstill.errors import InputError
from potstill.runtime.opening import Opening, Workers
from potstill.tasks.task import Evaluated, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """What a model is scored on, and how."""

    model: str
    """As the user named it."""
    folder: Path
    task: Task[Any]
    data: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    """How texts lie in the data: what was given; the others are as in the model's recipe."""
    held_out: bool = False
    """Score only what the model's recipe kept out of training of this very file."""
    train: str | None = None
    """Training data, for the baselines."""
    limit: int | None = None
    precision: Any = None
    runtime: str | None = None
    threads: int | None = None
    workers: Workers = None
    batch_tokens: int | None = None
    own: Mapping[str, Any] = field(default_factory=dict)
    """Options of the task's client."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """Options of the task's own evaluation."""
    keep: bool = False
    """Whether what is found is kept in the model's folder."""

    @property
    def opening(self) -> Opening:
        """What every task's client is opened with."""
        return {
            "precision": self.precision,
            "runtime": self.runtime,
            "threads": self.threads,
            "workers": self.workers,
            "token_budget": self.batch_tokens,
        }

    @property
    def manifest(self) -> Manifest:
        """The model's; an empty one where it has none."""
        return read_manifest(self.folder) or Manifest()

    def chosen(self, examples: Sequence[Any]) -> list[Any]:
        """The examples to score.

        Raises:
            InputError: the model's recipe kept none out of training.
        """
        if not self.held_out:
            return list(examples)[: self.limit]
        return self._parts(examples)[1][: self.limit]

    def learned(self, load: Callable[[str], Sequence[Any]]) -> list[Any] | None:
        """Of ``train``, what a baseline may learn; with ``held_out``, what the model did.

        Read before anything is predicted, so that what is wrong with it is said at once.

        Raises:
            InputError: the model's recipe kept none out of training.
        """
        if self.train is None:
            return None
        examples = load(self.train)
        return self._parts(examples)[0] if self.held_out else list(examples)

    def _parts(self, examples: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        recipe = self.manifest.recipe
        if recipe.get("folds"):
            from potstill.data.choice import fold

            return fold(examples, recipe["folds"], recipe["fold"])
        if not recipe.get("split"):
            raise InputError(f"{self.folder} was not trained with split or folds: omit --held-out")
        return split_examples(examples, recipe["split"], recipe["split_seed"])


def evaluate(asked: Scoring) -> dict[str, Any]:
    """Scores a model on a data file, by the measures of its task.

    Raises:
        InputError: there is nothing to score such a model by, or it has no such option.
        DataError: the data are wrong.
        ModelError: the model cannot be used.
    """
    task = asked.task
    loaded = task.load(asked.data, asked.folder, **asked.columns)
    for note in loaded.notes:
        click.echo(f"potstill: {note}", err=True)
    examples = asked.chosen(loaded.examples)
    train = asked.learned(lambda path: task.load(path, asked.folder, **asked.columns).examples)
    client = task.client.from_options(asked.model, **asked.own, **asked.opening)
    began = time.perf_counter()
    answers = list(shown(task.answer(client, examples, **asked.given), len(examples)))
    seconds = time.perf_counter() - began
    evaluated = Evaluated(
        loaded=loaded,
        examples=examples,
        train=train,
        client=client,
        answers=answers,
        manifest=asked.manifest,
        held_out=asked.held_out,
        given=asked.given,
    )
    scores = task.score(evaluated)
    result: dict[str, Any] = {**scores, "seconds": round(seconds, 3)}
    if client.opened and client.opened.tuning:
        result["runtime"] = client.opened.runtime
    more = task.more(evaluated)
    result |= more
    baselines = task.baselines(evaluated)
    if baselines:
        result["baselines"] = baselines
    if asked.keep:
        flat = {name: value for name, value in more.items() if not isinstance(value, dict)}
        _keep(asked, evaluated, {**scores, **flat})
    return result


def _keep(asked: Scoring, evaluated: Evaluated[Any], scores: Mapping[str, Any]) -> None:
    """Keeps what was found, with the milliseconds of one example at a time."""
    task, client = asked.task, evaluated.client
    assert client.opened is not None
    found = task.kept(evaluated)
    found["scores"] = {**scores, **found.get("scores", {})}
    keep(
        asked.model,
        task=task.name,
        data=asked.data,
        limit=asked.limit,
        opened=client.opened,
        milliseconds=timed(
            lambda example: list(task.answer(client, [example])),
            evaluated.examples,
            client.opened.layout.threads,
        ),
        **found,
    )


def shown(answers: Iterable[Any], total: int) -> Iterator[Any]:
    """Passes answers on, with a progress bar on a terminal's stderr."""
    if not sys.stderr.isatty():
        yield from answers
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(answers, "reading", total=total, console=Console(stderr=True))
