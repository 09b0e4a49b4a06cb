"""``potstill eval``: a model's predictions of a data set, scored by the measures of its task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from potstill.cli.completing import MODEL
from potstill.cli.options import (
    columns_option,
    no_answer_option,
    runtime_option,
    windows_option,
)

if TYPE_CHECKING:
    from potstill.tasks.task import Task


@click.command("eval")
@click.argument("model", type=MODEL)
@click.argument("data", type=click.Path())
@click.option(
    "--predictions",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="OUT",
    help="Write predictions: JSON, question id → text.",
)
@click.option(
    "--null-odds",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="OUT",
    help="Write how strongly the model leans to no answer: JSON, question id → number. "
    "Predictions then hold the best span even where no answer wins.",
)
@no_answer_option
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N questions."
)
@click.option(
    "--max-answer-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Longest answer in tokens.  [default: the model's own, 30]",
)
@click.option(
    "--batch-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Most tokens of a batch, padding included.",
)
@windows_option
@runtime_option("auto")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Questions read at once.  [default: measured]"
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of each.  [default: measured]")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Precision of the ONNX file to run.",
)
@click.option(
    "--calibration",
    is_flag=True,
    help="Add how far confidence can be believed: ece (against exact match; ece_before at "
    "temperature 1), aurc, and F1 of the most confident 25, 50, 75 and 100%.",
)
@click.option(
    "--curve",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="OUT",
    help="Write the risk-coverage curve (risk is 1 - F1) and the reliability table as JSON.",
)
@columns_option()
@click.option(
    "--held-out",
    is_flag=True,
    help="DATA is what the model was trained on: score the part its recipe kept out (split, fold).",
)
@click.option(
    "--train",
    type=click.Path(),
    metavar="DATA",
    help="Also score baselines that need no network, learned from these data.",
)
@click.option(
    "--keep",
    is_flag=True,
    help="Keep scores, curves, answers and the milliseconds of one example at a time for potstill "
    "report: in MODEL's folder, or in the cache where MODEL is a name.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    model: str,
    data: str,
    predictions: Path | None,
    null_odds: Path | None,
    no_answer: bool | None,
    limit: int | None,
    max_answer_tokens: int | None,
    batch_tokens: int | None,
    windows: int | None,
    runtime: str | None,
    workers: int | None,
    threads: int | None,
    precision: Any,
    calibration: bool,
    curve: Path | None,
    columns: dict[str, Any],
    held_out: bool,
    train: str | None,
    keep: bool,
    as_json: bool,
) -> None:
    """Predict DATA with MODEL and score what it says, by the measures of the model's task.

    Questions: DATA is SQuAD v1.1 or v2.0 JSON, or your own CSV, TSV or JSONL, and scores are
    those of the official SQuAD scripts. Labelled texts, tagged words and choices are CSV, TSV,
    JSONL or CoNLL files; the plainest baseline stands beside the scores. All may be packed.
    Seconds are those of prediction, loading left out.
    """
    from potstill.bundle.find import find_model
    from potstill.cli.scoring import Scoring, evaluate
    from potstill.runtime.runtimes import AUTO, runtime_name
    from potstill.tasks.table import task_of

    folder = find_model(model)
    task = task_of(folder)
    own = {
        "no_answer": no_answer,
        "max_answer_tokens": max_answer_tokens,
        "max_windows": windows,
    }
    given = {
        "predictions": predictions,
        "null_odds": null_odds,
        "calibration": calibration or None,
        "curve": curve,
    }
    own, given = _given(own), _given(given)
    several = {**given, **_given({"held_out": held_out or None, "train": train})}
    for name in several:
        _refuse(name, task, lambda one, name=name: name in one.eval_options)
    for name in own:
        _refuse(name, task, lambda one, name=name: one.takes(name))
    asked = Scoring(
        model=model,
        folder=folder,
        task=task,
        data=data,
        columns=columns,
        held_out=held_out,
        train=train,
        limit=limit,
        precision=precision,
        runtime=runtime_name(runtime, otherwise=AUTO),
        threads=threads,
        workers=workers or "auto",
        batch_tokens=batch_tokens,
        own=own,
        given=given,
        keep=keep,
    )
    result = evaluate(asked)
    if as_json:
        click.echo(json.dumps(result))
    else:
        _print_tables(result)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _refuse(name: str, task: Task[Any], takes: Callable[[Task], bool]) -> None:
    """Refuses an option that the model's task does not have."""
    if takes(task):
        return
    from potstill.tasks.table import every

    flag = {"max_windows": "windows"}.get(name, name).replace("_", "-")
    known = ", ".join(one.name for one in every() if takes(one))
    raise click.UsageError(f"--{flag} applies only to {known}; the model is for {task.name}.")


def _print_tables(result: dict[str, Any]) -> None:
    """The scores, each label by itself, and the baselines in the units of the scores."""
    flat = {name: value for name, value in result.items() if not isinstance(value, dict)}
    _print(flat)
    for name, scores in result.get("baselines", {}).items():
        click.echo(f"\nfor comparison, {name}")
        _print({key: value for key, value in scores.items() if key != "total"})
    rows = result.get("by_label")
    if not rows:
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    click.echo()
    columns = list(next(iter(rows.values())))
    table = Table("label", *columns, box=None, pad_edge=False)
    for label, values in rows.items():
        cells = (
            "-" if v is None else f"{v:,}" if isinstance(v, int) else f"{v:.3f}"
            for v in values.values()
        )
        table.add_row(escape(label), *cells)
    Console(soft_wrap=True).print(table)


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in result.items():
        table.add_row(name, _cell(value))
    Console().print(table)
