"""``potstill eval``: a model's predictions of a data set, scored by the measures of its task."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from potstill.cli.keeping import keep as keep_found
from potstill.cli.keeping import keeper, timed
from potstill.cli.options import (
    columns_option,
    no_answer_option,
    runtime_option,
    windows_option,
)

if TYPE_CHECKING:
    from potstill.evaluation.confidence import Confidences
    from potstill.evaluation.readings import Predictions
    from potstill.records import QAExample
    from potstill.runtime.qa import QAClient
    from potstill.runtime.reading import QuestionLogits, Reading

_Found = TypeVar("_Found")


@click.command("eval")
@click.argument("model")
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
@click.option("--precision", type=click.Choice(["fp32", "fp16", "int8"]), help="Which ONNX file.")
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
    help="Also score what needs no network, learned from these data.",
)
@click.option(
    "--keep",
    is_flag=True,
    help="Keep scores, curves, answers and the milliseconds of one example at a time in MODEL's "
    "folder, for potstill report.",
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

    Questions: DATA is SQuAD v1.1 or v2.0 JSON, or a CSV, TSV or JSONL of one's own, and scores are
    those of the official SQuAD scripts. Labelled texts, tagged words and choices are CSV, TSV,
    JSONL or CoNLL files; the plainest baseline stands beside the scores. All may be packed.
    Seconds are those of prediction, loading left out.
    """
    from potstill.bundle.config import read_config
    from potstill.bundle.find import find_model
    from potstill.bundle.manifest import head_of_folder
    from potstill.runtime.runtimes import AUTO, runtime_name

    if keep:
        keeper(model)
    folder = find_model(model)
    head = head_of_folder(folder, read_config(folder))
    if head != "qa":
        of_questions = {
            "--predictions": predictions,
            "--null-odds": null_odds,
            "--any" if no_answer is False else "--no-answer": no_answer is not None,
            "--max-answer-tokens": max_answer_tokens,
            "--calibration": calibration,
            "--curve": curve,
        }
        _refuse(of_questions, "a question-answering model")
        from potstill.cli.scoring import Asked, score_model

        asked = Asked(
            folder=folder,
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
            max_windows=windows,
            keep_as=model if keep else None,
        )
        _say(score_model(head, asked), _print_tables, as_json)
        return
    of_labels = {
        **{f"--{name}": value for name, value in columns.items()},
        "--held-out": held_out,
        "--train": train,
        "--windows": windows,
    }
    _refuse(of_labels, "a model of texts and labels")
    from potstill.bundle.atomic import write_json
    from potstill.data.qa import load_qa
    from potstill.evaluation.confidence import confidences
    from potstill.evaluation.readings import collect, score_predictions
    from potstill.runtime.qa import QAClient

    loaded = load_qa(data)
    if loaded.warning:
        click.echo(f"potstill: warning: {data}: {loaded.warning}", err=True)
    loaded.check_golds(data)
    examples = loaded.examples[:limit]
    client = QAClient.from_options(
        model,
        runtime=runtime_name(runtime, otherwise=AUTO),
        threads=threads,
        workers=workers or "auto",
        precision=precision,
        max_answer_tokens=max_answer_tokens,
        token_budget=batch_tokens,
        no_answer=no_answer,
    )
    began = time.perf_counter()
    readings, said = _read(client, examples, keep_logits=calibration)
    seconds = time.perf_counter() - began
    found = collect(examples, readings)
    if predictions is not None:
        write_json(predictions, found.spans if null_odds is not None else found.answers)
    if null_odds is not None:
        write_json(null_odds, found.null_odds)
    scores = score_predictions(
        examples, found, rules_v2=loaded.no_answer, null_threshold=client.options.threshold
    )
    result: dict[str, Any] = {**scores, "seconds": round(seconds, 3)}
    if client.opened and client.opened.tuning:
        result["runtime"] = client.opened.runtime
    if calibration or keep or curve is not None:
        sure = confidences(examples, readings, rules_v2=loaded.no_answer)
        if curve is not None:
            write_json(curve, sure.curve())
        if keep:
            _keep(
                client,
                examples,
                readings,
                sure,
                found,
                loaded.no_answer,
                scores,
                model=model,
                data=data,
                limit=limit,
            )
        if calibration:
            result.update(_calibration(client, examples, said, sure, rules_v2=loaded.no_answer))
    _say(result, _print, as_json)


def _calibration(
    client: QAClient,
    examples: list[QAExample],
    said: list[QuestionLogits],
    sure: Confidences,
    *,
    rules_v2: bool,
) -> dict[str, float]:
    """The figures of ``--calibration``."""
    from potstill.evaluation.confidence import confidences

    plain = replace(client.options, temperature=1.0)
    before = [one.search(plain) for one in said]
    return {
        **sure.figures(),
        "ece_before": confidences(examples, before, rules_v2=rules_v2).ece,
        "temperature": client.options.temperature,
    }


def _keep(
    client: QAClient,
    examples: list[QAExample],
    readings: list[Reading],
    sure: Confidences,
    found: Predictions,
    rules_v2: bool,
    scores: dict[str, float],
    *,
    model: str,
    data: str,
    limit: int | None,
) -> None:
    """Asks the first questions one at a time, and keeps all that was found."""
    from potstill.evaluation.confidence import no_answer_curve
    from potstill.evaluation.kept import asked

    assert client.opened is not None
    threads = client.opened.layout.threads
    curve = sure.curve()
    if rules_v2 and client.options.threshold is not None:
        curve["no_answer"] = no_answer_curve(examples, found)
    keep_found(
        model,
        task="question-answering",
        data=data,
        limit=limit,
        opened=client.opened,
        scores={**scores, **sure.figures()},
        milliseconds=timed(lambda e: client.read(e.question, e.context), examples, threads),
        curve=curve,
        questions=asked(examples, readings, sure),
    )


def _read(
    client: QAClient, examples: list[QAExample], *, keep_logits: bool
) -> tuple[list[Reading], list[QuestionLogits]]:
    """Reads the examples; where the logits are to be kept, to be searched again, gives them too."""
    pairs = [(example.question, example.context) for example in examples]
    if not keep_logits:
        return list(_shown(client.read_many(pairs), len(pairs))), []
    said = list(_shown(client.logits_many(pairs), len(pairs)))
    return [one.search(client.options) for one in said], said


def _shown(readings: Iterable[_Found], total: int) -> Iterator[_Found]:
    """Passes readings on with a progress bar on a terminal's stderr."""
    if not sys.stderr.isatty():
        yield from readings
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(readings, "reading", total=total, console=Console(stderr=True))


def _say(result: dict[str, Any], show: Callable[[dict[str, Any]], None], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result))
    else:
        show(result)


def _refuse(options: dict[str, Any], kind: str) -> None:
    for name, value in options.items():
        if value is not None and value is not False:
            raise click.UsageError(f"--{name.removeprefix('--')} needs {kind}.")


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
