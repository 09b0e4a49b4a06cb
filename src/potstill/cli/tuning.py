"""What was measured of the runtimes, for ``potstill info --tuning`` and ``potstill bench``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from potstill.bundle.find import find_model
from potstill.bundle.manifest import sha256_of
from potstill.runtime.evidence import Candidate, Tuning, recall_all

if TYPE_CHECKING:
    from rich.console import Group


def show_tunings(models: Sequence[str], *, as_json: bool) -> None:
    """Prints what was measured, newest first.

    Args:
        models: whose measurements; of all where there are none.
        as_json: print a list of objects.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    found = recall_all()
    if models:
        files = [file for model in models for file in find_model(model).rglob("*.onnx")]
        names = [find_model(model).name for model in models]
        hashes = {sha256_of(file) for file in files}
        # A folder without an ONNX file has its own in the cache, so its name has to do.
        found = [t for t in found if t.key.get("model") in hashes or t.key.get("name") in names]
    if as_json:
        listed = [{**asdict(one), "of_this_machine": one.is_of_this_machine} for one in found]
        click.echo(json.dumps(listed))
        return
    if not found:
        click.echo("Nothing has been measured: a verb with --runtime auto does.")
        return
    from rich.console import Console

    console = Console(highlight=False)
    for one in found:
        console.print(_title(one))
        console.print(candidates_table(one))
        console.print()
    console.print(LEGEND)


def _title(tuning: Tuning) -> str:
    from rich.markup import escape

    key = tuning.key
    where = "this machine" if tuning.is_of_this_machine else "another machine or other versions"
    versions: dict[str, Any] = key.get("versions", {})
    known = ", ".join(f"{name} {value}" for name, value in versions.items())
    model = f"{key.get('name', '?')}/{key.get('file', '?')}"
    facts = [
        f"[bold]{escape(model)}[/bold], measured {moment(tuning)} in {tuning.seconds:.1f} s",
        escape(f"{where}: {key.get('processor', '?')}, {key.get('cores', '?')} cores"),
        escape(known),
    ]
    return "\n".join(facts)


LEGEND = (
    "* was chosen. alone: one row at a time; else the tokens of a batch. ms: of one row of about "
    "160 tokens. same: share of the decisions that are the reference's."
)
"""What the columns of `candidates_table` mean."""


def moment(tuning: Tuning) -> str:
    """When it was measured, to the minute."""
    return f"{tuning.measured[:16].replace('T', ' ')} UTC"


def candidates_table(tuning: Tuning) -> Group:
    """The candidates of a measurement, the chosen one marked, and why others could not be."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "runtime", "workers × threads", "batch", "rows/s", "ms", "same"):
        justify = "left" if name in ("", "runtime") else "right"
        table.add_column(name, justify=justify, no_wrap=bool(name))
    for one in tuning.candidates:
        table.add_row(
            "*" if one == tuning.chosen else " ",
            one.runtime,
            str(one.layout),
            "alone" if one.batch_tokens == 1 else f"{one.batch_tokens:,}",
            f"{one.rows_per_second:,.1f}" if one.rows_per_second else "-",
            _typical(one),
            f"{one.same:.1%}",
        )
    reasons = dict.fromkeys(
        f"not {one.runtime}: {one.reason}" for one in tuning.candidates if one.reason
    )
    return Group(table, *(Text(reason) for reason in reasons))


def _typical(candidate: Candidate) -> str:
    """Milliseconds of a row of about SQuAD's mean length."""
    if not candidate.ms:
        return "-"
    tokens = min(map(int, candidate.ms), key=lambda n: abs(n - 160))
    return f"{candidate.ms[str(tokens)]:.1f}"
