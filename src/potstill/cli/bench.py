"""``potstill bench``: how quick a model is on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from potstill.cli.completing import MODEL
from potstill.cli.options import runtime_option

if TYPE_CHECKING:
    from rich.table import Table

    from potstill.reports.plot import Curves
    from potstill.runtime.opening import Opened
    from potstill.tasks.benchmark import Benchmark


@click.command("bench")
@click.argument("model", default="default", metavar="[MODEL]", type=MODEL)
@runtime_option("auto")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads for one text at a time.  [default: the cores]",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Precision of the ONNX file to run.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Seconds to measure for, without loading.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also draw milliseconds by length, as SVG.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    model: str,
    runtime: str | None,
    threads: int | None,
    precision: str | None,
    seconds: float,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure MODEL on this machine, from strings to answers.

    MODEL is default (the embedded reader, meant where none is named), a model folder or a hub id,
    of any task.

    Texts of several lengths are asked one at a time, and then many at once, in the runtime and the
    layout (workers × threads) that a measurement chose; its candidates are shown too. Memory is
    that of the whole process, right after the model was opened.
    """
    from potstill.runtime.runtimes import AUTO, runtime_name
    from potstill.tasks.benchmark import benchmark

    found = benchmark(
        model,
        runtime=runtime_name(runtime, otherwise=AUTO),
        threads=threads,
        precision=precision,
        seconds=seconds,
    )
    if plot is not None:
        from potstill.bundle.atomic import write_text
        from potstill.reports.plot import draw

        write_text(plot, draw(_curves(model, found)))
    if as_json:
        click.echo(json.dumps(_as_json(model, found)))
    else:
        _print(model, found)


def _as_json(model: str, found: Benchmark) -> dict[str, Any]:
    from potstill.runtime import machine
    from potstill.runtime.runtimes import versions

    return {
        "model": model,
        "processor": machine.processor(),
        "cores": machine.usable_cores(),
        "abilities": list(machine.abilities()),
        "versions": versions(),
        "one": {**_opened(found.one), "by_length": [asdict(row) for row in found.by_length]},
        "many": {
            **_opened(found.many),
            "texts_per_second": found.texts_per_second,
            "tokens_per_second": found.tokens_per_second,
        },
        "resident_mb": found.resident_mb,
    }


def _curves(model: str, found: Benchmark) -> Curves:
    from potstill.reports.plot import Curves, Line
    from potstill.runtime import machine

    lines = [
        Line(label=name, series=name, points=[(row.tokens, getattr(row, key))
                                              for row in found.by_length])
        for name, key in (("median", "p50_ms"), ("99% of the texts", "p99_ms"))
    ]  # fmt: skip
    return Curves(
        title=f"{model}, {found.one.runtime} {found.one.layout}, {machine.processor()}",
        x="tokens",
        y="milliseconds, one text at a time",
        lines=lines,
        marks=True,
    )


def _opened(opened: Opened) -> dict[str, Any]:
    candidates = opened.tuning.candidates if opened.tuning else ()
    return {
        "runtime": opened.runtime,
        "workers": opened.layout.workers,
        "threads": opened.layout.threads,
        "candidates": [asdict(one) for one in candidates],
    }


def _print(model: str, found: Benchmark) -> None:
    from rich.console import Console
    from rich.markup import escape

    from potstill.cli.tuning import LEGEND, candidates_table, moment
    from potstill.runtime import machine

    console = Console(highlight=False)
    title = f"{model} on {machine.processor()}, {machine.usable_cores()} cores"
    console.print(f"[bold]{escape(title)}[/bold]")
    console.print(f"\none at a time: {_shown(found.one)}")
    console.print(_lengths_table(found))
    console.print(
        f"\nmany: {_shown(found.many)}\n{found.texts_per_second:,.1f} texts a second, "
        f"{found.tokens_per_second:,.0f} tokens a second"
    )
    if found.resident_mb is not None:
        console.print(f"memory: {found.resident_mb:,.0f} MB")
    for name, opened in (("one at a time", found.one), ("many", found.many)):
        if opened.tuning:
            console.print(f"\nmeasured for {name}, {moment(opened.tuning)}:")
            console.print(candidates_table(opened.tuning))
    if found.one.tuning or found.many.tuning:
        console.print(f"\n{LEGEND}")


def _shown(opened: Opened) -> str:
    return f"{opened.runtime}, {opened.layout} (workers × threads)"


def _lengths_table(found: Benchmark) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("tokens", "median ms", "99% within ms", "texts"):
        table.add_column(name, justify="right")
    for row in found.by_length:
        table.add_row(str(row.tokens), f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}", f"{row.n:,}")
    return table
