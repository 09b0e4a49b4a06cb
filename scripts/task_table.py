"""The table of all tasks, from what ``benchmarks/tasks.py`` left in docs/results/tasks."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from potstill.errors import DataError

TaskRecord: TypeAlias = Mapping[str, Any]

_NAMES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "macro_f1": "macro F1",
    "matthews": "Matthews",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "roc_auc": "ROC-AUC",
    "bce": "BCE",
    "bce_cross_fitted": "BCE with temperatures",
    "average_precision": "AP",
    "macro_f1_cross_fitted": "macro F1",
}
_MODELS = {"minilm": "MiniLM-L6", "3l": "3 layers, taught", "tiny": "BERT-Tiny"}
_SHARES = ("roc_auc", "bce", "bce_cross_fitted", "average_precision")
"""Scores in [0, 1]; the others are in points."""
_LOSSES = ("bce",)
_UNKNOWN = "–"


def read(folder: Path) -> list[TaskRecord]:
    """Every record of a folder, by file name; none where there is no such folder.

    Raises:
        DataError: a file is no record.
    """
    found: list[TaskRecord] = []
    for file in sorted(folder.glob("*.json")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            _ = record["set"], record["models"], record["metrics"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file} is no record of benchmarks/tasks.py: {error}") from None
        found.append(record)
    return found


def table(records: Sequence[TaskRecord]) -> str:
    """A row for each model and each baseline of every set."""
    heads = ["set", "model", "score", "as int8", "also", "of the teacher's", "int8 MB"]
    heads += ["ms a text", "training"]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for record in records:
        for number, model in enumerate(record["models"]):
            lines.append(_row([*_title(record, number), *_cells(record, model)]))
        for name, scores in record["baselines"].items():
            main, *more = record["metrics"]
            also = ", ".join(_told(m, [scores[m]]) for m in more if scores.get(m) is not None)
            score = _told(main, [scores[main]]) if scores.get(main) is not None else _UNKNOWN
            lines.append(_row(["", name, score, _UNKNOWN, also, *[_UNKNOWN] * 4]))
    return "\n".join(lines)


def runs(records: Sequence[TaskRecord]) -> str:
    """The commands of every run."""
    parts: list[str] = []
    for record in records:
        commands = [c for model in record["models"].values() for c in model["commands"]]
        facts = ", ".join(f"{name} {value}" for name, value in record["hardware"].items())
        parts.append(f"**{record['set']}** ({facts})\n\n```bash\n" + "\n".join(commands) + "\n```")
    return "\n\n".join(parts)


def _title(record: TaskRecord, number: int) -> list[str]:
    model = list(record["models"])[number]
    n = len(next(iter(record["models"][model]["scores"]["fp32"].values())))
    name = _MODELS.get(model, model)
    return [
        record["set"] if not number else "",
        f"{name} ({n} {record['runs'] if n > 1 else 'run'})",
    ]


def _cells(record: TaskRecord, model: str) -> list[str]:
    main, *more = record["metrics"]
    row = record["models"][model]
    scores = row["scores"]["fp32"]
    kept = _UNKNOWN
    if model == "3l" and "minilm" in record["models"] and main not in _LOSSES:
        teacher = statistics.fmean(record["models"]["minilm"]["scores"]["fp32"][main])
        kept = f"{statistics.fmean(scores[main]) / teacher:.1%}"
    ms = record["milliseconds"][model]
    return [
        _told(main, scores[main]),
        _told(main, row["scores"]["int8"][main], named=False),
        ", ".join(_told(metric, scores[metric]) for metric in more) or _UNKNOWN,
        kept,
        f"{row['bytes']['int8'] / 1e6:.1f}",
        f"{ms['median']:.2f} ({ms['q1']:.2f} to {ms['q3']:.2f})",
        _cost(row["training_seconds"]),
    ]


def _told(metric: str, values: Sequence[float], *, named: bool = True) -> str:
    digits = 4 if metric in _SHARES else 2
    text = f"{statistics.fmean(values):.{digits}f}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}f}"
    return f"{_NAMES.get(metric, metric)} {text}" if named else text


def _cost(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


KINDS: Mapping[str, Callable[[Sequence[TaskRecord]], str]] = {"tasks": table, "task-runs": runs}
"""Mark of page.md → what stands in its place."""
