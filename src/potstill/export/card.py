"""The model card of a folder: written by training, written anew by export.

A card that holds `MARK` was written from the manifest and is written again when that grows; one
without it is somebody's own and is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from potstill.bundle import layout
from potstill.bundle.atomic import write_bytes, write_text
from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import HeadName
from potstill.bundle.manifest import FileRecord, Manifest
from potstill.export.card_data import front_matter, scored_on

MARK = "<!-- Written from potstill.json. Without this line the card is yours, and is kept. -->"

_KINDS = {
    "bert": "A BERT",
    "distilbert": "A DistilBERT",
    "roberta": "A RoBERTa",
    "electra": "An ELECTRA",
    "mpnet": "An MPNet",
}

_HOW = "by the trained float weights, at the end of training, as `potstill eval` does."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What a card says of every model of a task."""

    pipeline: str
    """As the hub calls the task."""
    auto: str
    """Class of transformers that opens such a folder."""
    tags: tuple[str, ...]
    does: str
    """Behind "A BERT of 6 layers …"."""
    code: tuple[str, ...]
    limits: str
    metrics: tuple[str, ...]
    """Scores that the front matter repeats for the hub, in order."""


_TASKS: Mapping[HeadName, _Task] = {
    "qa": _Task(
        pipeline="question-answering",
        auto="AutoModelForQuestionAnswering",
        tags=("potstill", "question-answering", "extractive-qa"),
        does="that finds answers to questions in a text",
        code=(
            "from potstill import QAClient",
            "",
            'reader = QAClient.from_options("path/to/this/folder")',
            'reader.predict("Who won?", '
            '"The Denver Broncos defeated the Carolina Panthers 24–10.")',
        ),
        limits="It copies spans: it does not reason, count or combine, and it knows nothing beyond "
        "the text it is given.",
        metrics=("exact", "f1"),
    ),
    "classification": _Task(
        pipeline="text-classification",
        auto="AutoModelForSequenceClassification",
        tags=("potstill", "text-classification"),
        does="that labels texts",
        code=(
            "from potstill import Classifier",
            "",
            'classifier = Classifier.from_options("path/to/this/folder")',
            'classifier.classify("A text like those it was trained on.")',
        ),
        limits="It gives one of its labels to anything, also to texts unlike those it was trained "
        "on, and it has learned whatever bias their labels have.",
        metrics=(
            "accuracy", "macro_f1", "micro_f1", "f1", "matthews", "spearman", "pearson", "roc_auc",
            "average_precision",
        ),
    ),
    "tagging": _Task(
        pipeline="token-classification",
        auto="AutoModelForTokenClassification",
        tags=("potstill", "token-classification"),
        does="that labels words and names in texts",
        code=(
            "from potstill import Tagger",
            "",
            'tagger = Tagger.from_options("path/to/this/folder")',
            'tagger.tag("The queen of Denmark lives in Copenhagen.")',
        ),
        limits="It knows the types of its training data alone, and names that look like theirs "
        "best.",
        metrics=("f1", "precision", "recall", "accuracy"),
    ),
    "choice": _Task(
        pipeline="multiple-choice",
        auto="AutoModelForMultipleChoice",
        tags=("potstill", "multiple-choice"),
        does="that says which of several texts goes on with another",
        code=(
            "from potstill import Chooser",
            "",
            'chooser = Chooser.from_options("path/to/this/folder")',
            'chooser.choose("He was tired, so", ["he went to bed.", "he ran a mile."])',
        ),
        limits="It takes the most probable of what it is given, however unlikely all of it is, and "
        "goes by the manner of its training data's wrong choices as much as by sense.",
        metrics=("accuracy",),
    ),
    "mlm": _Task(
        pipeline="fill-mask",
        auto="AutoModelForMaskedLM",
        tags=("potstill", "fill-mask", "masked-lm"),
        does="that fills in masked words",
        code=(
            "from potstill import Filler",
            "",
            'filler = Filler.from_options("path/to/this/folder")',
            'filler.fill("The capital of France is [MASK].")',
        ),
        limits="It gives what is usual in its training text, true or not, and repeats the bias of "
        "that text. It is meant to be fine-tuned.",
        metrics=(),
    ),
}  # fmt: skip


def model_card(name: str, config: ModelConfig, manifest: Manifest, head: HeadName = "qa") -> str:
    """A short README with the front matter the hub reads, and scores where they are known."""
    task = _TASKS[head]
    tags, metrics = list(task.tags), task.metrics
    values = front_matter(name, manifest, pipeline=task.pipeline, tags=tags, metrics=metrics)
    lines = ["---", values, "---", "", MARK, "", f"# {name}", ""]
    lines += [
        f"{_KINDS[config.model_type]} of {config.n_layers} layers of width {config.hidden_width} "
        f"{task.does}.",
        "",
        "```python",
        *task.code,
        "```",
        "",
        f"It also loads with `{task.auto}` of transformers.",
    ]
    if config.labels and head in ("classification", "tagging"):
        lines += ["", "## Labels", "", *_labels(config)]
    data = dict(manifest.data)
    baselines: Mapping[str, Mapping[str, Any]] = data.pop("baselines", {})
    if manifest.scores:
        lines += ["", "## Scores", "", *_scores(manifest.scores, baselines)]
        lines += ["", f"Measured on {scored_on(manifest).name}, {_HOW}"]
    if computing := {n: r for n, r in manifest.files.items() if "-" in r.kind}:
        lines += ["", "## Files", "", *_files(computing, task.metrics)]
    if data:
        lines += ["", "## Data", "", *_list(data)]
    if manifest.recipe:
        lines += ["", "## Recipe", "", *_list(manifest.recipe)]
    limits = task.limits
    if head == "qa" and not manifest.no_answer:
        limits += " It was not trained to say that there is no answer."
    if head == "classification":
        limits += _reach(manifest)
    lines += ["", "## What it is bad at", "", limits]
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


def _reach(manifest: Manifest) -> str:
    n = manifest.max_windows
    if n == 0:
        return f" A long text is read whole, {manifest.seq_len} tokens at a time."
    where = "from its start only" if n == 1 else f"in {n} rows from its start to its end"
    return f" A long text is read {where}, of at most {manifest.seq_len} tokens{' each' * (n > 1)}."


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
