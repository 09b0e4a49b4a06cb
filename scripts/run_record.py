"""Run records: one small JSON file for each finished and scored run, kept in docs/results.

``scripts/record_run.py`` makes one from a run's folder and from what was measured of it;
``scripts/write_results.py`` makes the tables from all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from potstill.bundle.atomic import write_json
from potstill.errors import DataError
from potstill.reports.runs import NEUTRAL_KEYS

_PATH = re.compile(r"(?:^|[\s='\"\[])(?:/|~/|[A-Za-z]:\\)[^\s'\"]*")
"""An absolute path in a text: a record is published, the disk it was made on is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run: what was trained, on what, how, and how good and how fast it came out."""

    name: str
    """What the tables call it; runs that differ in their seed only share it."""
    tables: tuple[str, ...]
    """Tables of the page it stands in."""
    note: str = ""
    """In a few words, what the name does not say."""
    seed: int | None = None
    commit: str = ""
    """Of this repository, when the run was recorded."""
    teacher: str = ""
    """Name of the record that its quality is compared with."""
    model: Mapping[str, int] = field(default_factory=dict)
    """``n_layers``, ``hidden_width``, ``ffn_width``, ``vocab_size``, ``parameters``,
    ``parameters_without_embeddings``, ``flops_per_token`` at ``seq_len``."""
    scored_on: str = ""
    """What ``scores`` were measured on."""
    scores: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """Precision → ``exact``, ``f1``, ``total`` and whatever else ``potstill eval`` gives."""
    bytes: Mapping[str, int] = field(default_factory=dict)
    """Precision → size of that file."""
    speed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Precision → seconds a question: ``median``, ``q1``, ``q3``, ``n``, ``threads``, and, where a
    teacher was asked in turns with it, ``ratio`` (``of_medians``, ``q1``, ``q3``)."""
    training: Mapping[str, float] = field(default_factory=dict)
    """``steps`` and ``seconds``."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What it was trained on."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """The recipe, with names in place of paths."""
    hardware: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, list[list[float]]] = field(default_factory=dict)
    """Key of ``metrics.jsonl`` → ``[step, value]`` pairs."""
    commands: tuple[str, ...] = ()
    """The command lines that made and measured it."""

    def __post_init__(self) -> None:
        """Refuses what may not be published or cannot be shown.

        Raises:
            DataError: a name or table is missing, or a text holds a path of this machine.
        """
        if not self.name.strip() or not self.tables:
            raise DataError("a run record needs a name and at least one table")
        for place, text in _texts(asdict(self), "record"):
            if found := _PATH.search(text):
                raise DataError(
                    f"{self.name}: {place} names a path of this machine, {found.group().strip()!r}:"
                    " give file names or hub ids"
                )


def read_record(path: Path) -> RunRecord:
    """Reads one record.

    Raises:
        DataError: the file is no run record.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise DataError(f"{path} holds a {type(values).__name__}, not a run record")
    unknown = values.keys() - {f.name for f in fields(RunRecord)}
    if unknown:
        raise DataError(f"{path}: a run record has no {', '.join(sorted(unknown))}")
    for name in ("tables", "commands"):
        if name in values:
            values[name] = tuple(values[name])
    try:
        return RunRecord(**values)
    except (DataError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: {error}") from None


def read_records(folder: Path) -> list[RunRecord]:
    """Every record of a folder, in the order of their file names.

    Raises:
        DataError: a file is no run record.
    """
    return [read_record(path) for path in sorted(folder.glob("*.json"))]


def write_record(path: Path, record: RunRecord) -> None:
    """Writes a record; what it does not know is left out.

    Raises:
        OutputError: the file could not be written.
    """
    write_json(path, {name: value for name, value in asdict(record).items() if value or value == 0})


@dataclass(frozen=True, slots=True)
class Group:
    """Runs of one name: one model, trained with one or more seeds."""

    runs: tuple[RunRecord, ...]

    @property
    def first(self) -> RunRecord:
        return self.runs[0]

    @property
    def precisions(self) -> list[str]:
        """Every precision that anything is known of, in the order of the records."""
        sources = (each for run in self.runs for each in (run.scores, run.speed))
        return list(dict.fromkeys(precision for source in sources for precision in source))

    def scores(self, precision: str, key: str) -> list[float]:
        """One score of every run that has it."""
        found = (run.scores.get(precision, {}).get(key) for run in self.runs)
        return [value for value in found if value is not None]

    def speeds(self, precision: str, key: str) -> list[float]:
        """One of ``median``, ``q1``, ``q3``, in milliseconds, of every run that has it."""
        return [1000 * run.speed[precision][key] for run in self.runs if precision in run.speed]

    def ratios(self, precision: str) -> list[float]:
        """How many times faster than its teacher each run is, where they were asked in turns."""
        found = (run.speed.get(precision, {}).get("ratio") for run in self.runs)
        return [ratio["of_medians"] for ratio in found if ratio]


def group(records: Iterable[RunRecord]) -> dict[str, Group]:
    """Name → its runs, in the order of the records.

    Raises:
        DataError: runs of one name differ in more than their seed, or not in their seed.
    """
    runs: dict[str, list[RunRecord]] = {}
    for record in records:
        runs.setdefault(record.name, []).append(record)
    for name, own in runs.items():
        first = own[0]
        for other in own[1:]:
            keys = (first.recipe.keys() | other.recipe.keys()) - NEUTRAL_KEYS
            wrong = sorted(k for k in keys if first.recipe.get(k) != other.recipe.get(k))
            fields = ("tables", "teacher", "model", "data", "scored_on")
            wrong += [f for f in fields if getattr(first, f) != getattr(other, f)]
            if wrong:
                raise DataError(f"runs of {name!r} differ in {', '.join(wrong)}: rename one")
        seeds = [run.seed for run in own]
        if len(set(seeds)) < len(seeds):
            raise DataError(f"two runs of {name!r} have the same seed: {seeds}")
    return {name: Group(tuple(own)) for name, own in runs.items()}


def _texts(value: object, place: str) -> Iterator[tuple[str, str]]:
    """Every text in a JSON value, and where it stands."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _texts(item, f"{place}[{number}]")
