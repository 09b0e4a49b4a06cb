"""The model card of a folder: written by training, written anew by export.

A card that holds `MARK` was written from the manifest and is written again when that grows; one
without it is somebody's own and is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from potstill.bundle import layout
from potstill.bundle.atomic import write_bytes, write_text
from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import HeadName
from potstill.bundle.manifest import FileRecord, Manifest
from potstill.export.card_data import front_matter, scored_on
from potstill.tasks.table import TASKS

MARK = "<!-- Written from potstill.json. Without this line the card is yours, and is kept. -->"

_HOW = "by the trained float weights, at the end of training, as `potstill eval` does."


def model_card(name: str, config: ModelConfig, manifest: Manifest, head: HeadName) -> str:
    """A short README with the front matter the hub reads, and scores where they are known."""
    task, card = TASKS[head], TASKS[head].card
    values = front_matter(name, manifest, task)
    lines = ["---", values, "---", "", MARK, "", f"# {name}", ""]
    lines += [
        f"{config.spec.title} of {config.n_layers} layers of width {config.hidden_width} "
        f"{card.does}.",
        "",
        "```python",
        *card.code,
        "```",
        "",
        f"It also loads with `{card.auto}` of transformers.",
    ]
    if config.labels and card.labels:
        lines += ["", "## Labels", "", *_labels(config)]
    data = dict(manifest.data)
    baselines: Mapping[str, Mapping[str, Any]] = data.pop("baselines", {})
    if manifest.scores:
        lines += ["", "## Scores", "", *_scores(manifest.scores, baselines)]
        lines += ["", f"Measured on {scored_on(manifest).name}, {_HOW}"]
    if computing := {n: r for n, r in manifest.files.items() if "-" in r.kind}:
        lines += ["", "## Files", "", *_files(computing, card.metrics)]
    if data:
        lines += ["", "## Data", "", *_list(data)]
    if manifest.recipe:
        lines += ["", "## Recipe", "", *_list(manifest.recipe)]
    lines += ["", "## What it is bad at", "", task.limits(manifest)]
    return "\n".join(lines) + "\n"


def write_card(
    out: Path, manifest: Manifest, config: ModelConfig, head: HeadName, *, own: Path | None = None
) -> None:
    """Writes ``README.md``: a copy of somebody's ``own`` card, or one generated from the manifest.

    Raises:
        OutputError: the file could not be written.
    """
    if own is not None and own.is_file():
        text = own.read_bytes()
        if MARK.encode() not in text:
            write_bytes(out / layout.CARD, text)
            return
    write_text(out / layout.CARD, model_card(manifest.name, config, manifest, head))


def _scores(scores: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A table of the scores, with those of plain baselines beside them where there are some."""
    columns = [scores, *baselines.values()]
    heads = ["measure", "this model" if baselines else "value", *baselines]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for name in scores:
        cells = [_shown(column[name]) if name in column else "" for column in columns]
        lines.append(_row([name, *cells]))
    return lines


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{round(value, 4)}"
    if isinstance(value, Mapping):
        values = cast("Mapping[str, Any]", value)
        return ", ".join(f"{key} {_shown(item)}" for key, item in values.items())
    return str(value)


def _labels(config: ModelConfig) -> list[str]:
    problems = {
        "multi-label": "Any number of these at once:",
        "regression": "A number:",
    }
    named = ", ".join(f"`{label}`" for label in config.labels)
    return [f"{problems.get(config.problem, 'One of these:')} {named}"]


def _files(records: Mapping[str, FileRecord], metrics: tuple[str, ...]) -> list[str]:
    """A table of the files that compute, with their scores where a gate took them."""
    measured = {name: record.info.get("scores", {}) for name, record in records.items()}
    shown = [key for key in metrics if any(key in scores for scores in measured.values())]
    lines = [_row(["file", "MB", "max abs Δ of a logit", *shown])]
    lines.append(_row(["---"] * (3 + len(shown))))
    for name, record in records.items():
        difference = "" if record.max_abs_diff is None else f"{record.max_abs_diff:.2g}"
        scores = [_shown(measured[name][k]) if k in measured[name] else "" for k in shown]
        lines.append(_row([f"`{name}`", f"{record.size / 1e6:.1f}", difference, *scores]))
    data = sorted({str(scores["data"]) for scores in measured.values() if "data" in scores})
    return [*lines, "", f"Scores of these files: on {', '.join(data)}."] if data else lines


def _list(values: Mapping[str, Any]) -> list[str]:
    return [f"- {key}: {_shown(value)}" for key, value in values.items()]
