"""``potstill score``: a predictions file, scored as the official SQuAD script does."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from potstill.evaluation.qa import Scores


def _not_nan(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    if value is not None and math.isnan(value):
        raise click.BadParameter("must be a number, not nan")
    return value


@click.command("score")
@click.argument("data", type=click.Path())
@click.argument("predictions", type=click.Path())
@click.option(
    "--null-odds",
    type=click.Path(),
    metavar="FILE",
    help="How strongly the model leans to no answer: JSON, question id → number (v2.0 data).",
)
@click.option(
    "--null-threshold",
    type=float,
    callback=_not_nan,
    metavar="X",
    help="Null odds above which a prediction counts as no answer.  [default: 1.0]",
)
@click.option(
    "--allow-missing",
    is_flag=True,
    help="Score questions without a prediction as 0, ignore foreign ids.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    data: str,
    predictions: str,
    null_odds: str | None,
    null_threshold: float | None,
    allow_missing: bool,
    as_json: bool,
) -> None:
    """Score PREDICTIONS of DATA with exact match and F1, as the official SQuAD script does.

    DATA is SQuAD v1.1 or v2.0 JSON, or your own CSV, TSV or JSONL; PREDICTIONS is a JSON
    object, question id → text. Both may be packed with gzip or xz.
    """
    from potstill.data.qa import load_qa
    from potstill.evaluation.qa import read_null_odds, read_predictions, score

    if null_threshold is not None and null_odds is None:
        raise click.UsageError("--null-threshold needs --null-odds.")
    loaded = load_qa(data)
    if loaded.warning:
        click.echo(f"potstill: warning: {data}: {loaded.warning}", err=True)
    loaded.check_golds(data)
    scores = score(
        loaded.examples,
        read_predictions(predictions),
        null_odds=None if null_odds is None else read_null_odds(null_odds),
        null_threshold=null_threshold,
        allow_missing=allow_missing,
        no_answer=loaded.no_answer,
    )
    if as_json:
        click.echo(json.dumps(scores))
    else:
        _print(scores)


def _print(scores: Scores) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("questions", box=None, pad_edge=False, header_style="bold")
    for name in ("exact", "F1", "count"):
        table.add_column(name, justify="right")
    for label, prefix in (("all", ""), ("with an answer", "HasAns_"), ("without", "NoAns_")):
        if f"{prefix}total" in scores:
            table.add_row(
                label,
                f"{scores[f'{prefix}exact']:.2f}",
                f"{scores[f'{prefix}f1']:.2f}",
                f"{scores[f'{prefix}total']:,}",
            )
    if "best_f1" in scores:
        table.add_row(
            "all, null threshold tuned on them",
            f"{scores['best_exact']:.2f}",
            f"{scores['best_f1']:.2f}",
        )
        table.add_row(
            "  at a threshold of",
            f"{scores['best_exact_thresh']:.4g}",
            f"{scores['best_f1_thresh']:.4g}",
        )
    if "missing" in scores:
        table.add_row("without a prediction, scored 0", "", "", f"{scores['missing']:,}")
        table.add_row("predictions of other questions", "", "", f"{scores['foreign']:,}")
    Console().print(table)
