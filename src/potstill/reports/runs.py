"""Folders of runs → what a report and the results page show of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os.path import commonprefix
from pathlib import Path
from typing import Any

from potstill.bundle import layout
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import HeadName
from potstill.bundle.manifest import Manifest, read_manifest
from potstill.bundle.size import flops_per_token, parameters
from potstill.data.files import open_text
from potstill.errors import DataError
from potstill.evaluation.kept import Kept, kept_folder, read_kept
from potstill.tasks.table import task_of

POINTS = 100
"""Most points of a curve: more would not be seen in a plot."""

NEUTRAL_KEYS = frozenset(
    (
        "seed dev cache evaluate_steps save_minutes save_steps keep log_steps tensorboard wandb "
        "trackio threads"
    ).split()
)
"""Recipe keys in which runs of one name may differ: the seed, and what changes no weights but for
rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """A run's folder, read: all that it says of itself."""

    name: str
    task: str
    metric: str
    """Name of the score that counts for its task."""
    manifest: Manifest
    shape: Mapping[str, int]
    sizes: Mapping[str, int]
    """Precision → bytes of that file."""
    lines: Sequence[Mapping[str, Any]] = ()
    """Of ``metrics.jsonl``."""
    evaluations: Sequence[Kept] = ()
    commands: Sequence[str] = ()

    @property
    def seed(self) -> int | None:
        """The recipe's."""
        return self.manifest.recipe.get("seed")

    @property
    def teachers(self) -> list[str]:
        """Names of its teachers, as the recipe has them."""
        named = self.manifest.recipe.get("teacher") or ()
        return [named] if isinstance(named, str) else list(named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Runs that differ in their seed only."""

    name: str
    runs: Sequence[RunFolder] = field(default_factory=tuple)

    @property
    def first(self) -> RunFolder:
        return self.runs[0]

    def evaluations(self, data: str, precision: str) -> list[Kept]:
        """Of every run that has one of these."""
        return [
            kept
            for run in self.runs
            for kept in run.evaluations
            if (data_name(kept), kept.precision) == (data, precision)
        ]


def data_name(kept: Kept) -> str:
    """What an evaluation was scored on, so that only like is put beside like."""
    part = "" if kept.limit is None else f", first {kept.limit:,}"
    digest = f" ({kept.sha256[:8]})" if kept.sha256 else ""
    return f"{kept.data}{part}{digest}"


def read_run(model: str | Path) -> RunFolder:
    """Reads the folder that a run wrote, or any model folder.

    Args:
        model: ``default``, a folder or a hub id.

    Raises:
        ModelError: there is no such model, or its config or manifest is damaged.
        DataError: its metrics, commands or evaluations are damaged.
    """
    folder = find_model(model)
    config = read_config(folder)
    manifest = read_manifest(folder) or Manifest()
    task = task_of(folder)
    metric = task.main_score(config)
    commands = [str(line.get("command", "")) for line in json_lines(folder / layout.COMMANDS)]
    kept = [read_kept(path) for path in sorted(kept_folder(model, folder).glob("*.json"))]
    commands += [one.command for one in kept if one.command]
    return RunFolder(
        name=_name(model),
        task=task.name,
        metric=metric,
        manifest=manifest,
        shape=shape_of(config, manifest.seq_len, task.head),
        sizes=sizes_of([folder]),
        lines=json_lines(folder / layout.METRICS),
        evaluations=kept or _at_its_end(manifest, task.name, metric),
        commands=list(dict.fromkeys(filter(None, commands))),
    )


def shape_of(config: ModelConfig, seq_len: int, head: HeadName) -> dict[str, int]:
    """Layers, widths, parameters and FLOPs of a model, by name."""
    names = ("n_layers", "hidden_width", "ffn_width", "vocab_size")
    return {
        **{name: getattr(config, name) for name in names},
        "parameters": parameters(config, head=head),
        "parameters_without_embeddings": parameters(config, head=head, embeddings=False),
        "flops_per_token": flops_per_token(config, seq_len, head),
        "seq_len": seq_len,
    }


def sizes_of(folders: Iterable[Path]) -> dict[str, int]:
    """Bytes of each precision's file; float32 weights where there is no float32 graph."""
    sizes: dict[str, int] = {}
    for folder in folders:
        for precision, name in (("fp32", layout.WEIGHTS), *layout.ONNX_FILES.items()):
            if (folder / name).is_file():
                sizes[precision] = (folder / name).stat().st_size
    return sizes


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines; none where there is no such file.

    Raises:
        DataError: a line is no JSON object.
    """
    if not path.is_file():
        return []
    try:
        with open_text(path) as file:
            lines = [json.loads(line) for line in file.read().splitlines()]
    except ValueError as error:
        raise DataError(f"{path} holds a line that is not JSON: {error}") from None
    if not all(isinstance(line, dict) for line in lines):
        raise DataError(f"{path} holds a line that is not a JSON object")
    return lines


def curve(lines: Sequence[Mapping[str, Any]], key: str) -> list[list[float]]:
    """Step and value of one key of ``metrics.jsonl``, in at most 100 points.

    Where there are more lines, each point is the mean of equally many consecutive ones, at the
    last one's step.

    Raises:
        DataError: no line has the key, or one has something else than numbers under it.
    """
    found = [(line.get("step"), line[key]) for line in lines if key in line]
    if not found:
        raise DataError(f"no line of metrics.jsonl has {key}")
    if not all(isinstance(value, (int, float)) for pair in found for value in pair):
        raise DataError(f"a line of metrics.jsonl has no number for step or {key}")
    pairs: list[tuple[Any, Any]] = found
    width = -(-len(pairs) // POINTS)
    bins = [pairs[start : start + width] for start in range(0, len(pairs), width)]
    return [[b[-1][0], round(sum(value for _, value in b) / len(b), 6)] for b in bins]


def in_series(runs: Sequence[RunFolder]) -> list[Series]:
    """Puts runs that differ in their seed only together, in the order of the first of each.

    A folder that says it was made by the recipe and seed of another, and holds no metrics of its
    own, is an export of it: its files and evaluations join that run's.
    """
    groups: dict[str, list[RunFolder]] = {}
    for number, run in enumerate(runs):
        groups.setdefault(_kind(run, number), []).append(run)
    named: list[Series] = []
    for group in groups.values():
        own = _joined(group)
        prefix = commonprefix([run.name for run in own]).rstrip("-_. 0123456789")
        prefix = prefix.removesuffix("seed").rstrip("-_. ") or own[0].name
        named.append(Series(name=own[0].name if len(own) == 1 else prefix, runs=own))
    names = [one.name for one in named]
    return [
        replace(one, name=f"{one.name} ({number + 1})") if names.count(one.name) > 1 else one
        for number, one in enumerate(named)
    ]


def _name(model: str | Path) -> str:
    folder = Path(model).expanduser()
    return folder.resolve().name if folder.is_dir() else str(model)


def _kind(run: RunFolder, number: int) -> str:
    recipe = run.manifest.recipe
    if not recipe:
        return f"run {number}"
    told = {key: value for key, value in recipe.items() if key not in NEUTRAL_KEYS}
    own = (run.task, dict(run.shape), told, run.manifest.data.get("sha256"))
    return json.dumps(own, sort_keys=True, default=str)


def _joined(group: Sequence[RunFolder]) -> list[RunFolder]:
    found: list[RunFolder] = []
    for run in sorted(group, key=lambda one: not one.lines):  # runs before their exports
        same = next((i for i, other in enumerate(found) if other.seed == run.seed), None)
        if same is None or run.lines:
            found.append(run)
            continue
        other = found[same]
        measured = [one for one in (*other.evaluations, *run.evaluations) if one.date]
        found[same] = replace(
            other,
            sizes={**run.sizes, **other.sizes},
            evaluations=measured or other.evaluations,
            commands=list(dict.fromkeys((*other.commands, *run.commands))),
        )
    return found


def _at_its_end(manifest: Manifest, task: str, metric: str) -> list[Kept]:
    """The scores that a run's manifest has, as an evaluation without times and questions."""
    value = manifest.scores.get(metric)
    if not isinstance(value, (int, float)):
        return []
    named = manifest.scores.get("data") or manifest.recipe.get("dev")
    data = str(named or "data held out of its training")
    scores = {k: v for k, v in manifest.scores.items() if isinstance(v, (int, float))}
    file = str(manifest.scores.get("file", ""))
    return [Kept(task=task, data=data, scores=scores, precision=layout.precision_of(Path(file)))]
