"""``potstill eval``: a model's predictions of a data set, scored as the official script does."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from potstill.records import QAExample
    from potstill.runtime.qa import QAClient
    from potstill.runtime.reading import Reading


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
@click.option("--no-answer", is_flag=True, help='Let "no answer" win, whatever the model.')
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
@click.option(
    "--workers", type=click.IntRange(min=1), help="Questions read at once.  [default: the cores]"
)
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of each."
)
@click.option("--precision", type=click.Choice(["fp32", "fp16", "int8"]), help="Which ONNX file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    model: str,
    data: str,
    predictions: Path | None,
    null_odds: Path | None,
    no_answer: bool,
    limit: int | None,
    max_answer_tokens: int | None,
    batch_tokens: int | None,
    workers: int | None,
    threads: int,
    precision: Any,
    as_json: bool,
) -> None:
    """Predict the questions of DATA with MODEL and score the answers.

    DATA is SQuAD v1.1 or v2.0 JSON, or a CSV, TSV or JSONL of one's own, packed or not. Scores are
    those of the official SQuAD scripts; seconds are those of prediction, loading left out.
    """
    from potstill.bundle.atomic import write_json
    from potstill.data.qa import load_qa
    from potstill.evaluation.readings import collect, score_predictions
    from potstill.runtime.qa import QAClient
    from potstill.runtime.session import usable_cores

    loaded = load_qa(data)
    if loaded.warning:
        click.echo(f"potstill: warning: {data}: {loaded.warning}", err=True)
    examples = loaded.examples[:limit]
    client = QAClient.from_options(
        model,
        threads=threads,
        precision=precision,
        max_answer_tokens=max_answer_tokens,
        token_budget=batch_tokens,
        no_answer=no_answer or None,
    )
    began = time.perf_counter()
    readings = _read(client, examples, workers or usable_cores())
    seconds = time.perf_counter() - began
    found = collect(examples, readings)
    if predictions is not None:
        write_json(predictions, found.spans if null_odds is not None else found.answers)
    if null_odds is not None:
        write_json(null_odds, found.null_odds)
    scores = score_predictions(
        examples, found, rules_v2=loaded.no_answer, null_threshold=client.options.threshold
    )
    result = {**scores, "seconds": round(seconds, 3)}
    if as_json:
        click.echo(json.dumps(result))
    else:
        _print(result)


def _read(client: QAClient, examples: list[QAExample], workers: int) -> list[Reading]:
    pairs = ((example.question, example.context) for example in examples)
    return list(_shown(client.read_many(pairs, workers=workers), len(examples)))


def _shown(readings: Iterable[Reading], total: int) -> Iterator[Reading]:
    """Passes readings on with a progress bar on a terminal's stderr."""
    if not sys.stderr.isatty():
        yield from readings
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(readings, "reading", total=total, console=Console(stderr=True))


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in result.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else f"{value:,.3f}")
    Console().print(table)
