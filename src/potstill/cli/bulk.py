"""``potstill bulk``: what a model says of every row of a file, or of many."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from potstill.cli.asked import open_index
from potstill.cli.completing import FILE, MODEL
from potstill.cli.options import no_answer_option, runtime_option, windows_option

if TYPE_CHECKING:
    from potstill.scale.job import JobResult

_LINE_SECONDS = 30.0
"""How often a line is written where there is no terminal."""


@click.command("bulk")
@click.argument("source", metavar="IN", type=FILE)
@click.argument("out", metavar="OUT", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--model",
    default="default",
    show_default=True,
    metavar="MODEL",
    type=MODEL,
    help="default, small or tiny (the embedded readers), or a folder or hub id of a model that "
    "answers questions, classifies or tags.",
)
@click.option("--revision", help="Branch, tag or commit of a hub id.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=COLUMN",
    help="Column of question, context or text, where it has another name; pair=COLUMN is the "
    "second text of a pair. May be repeated.",
)
@click.option("--prefix", default="", metavar="TEXT", help="Put before the new columns' names.")
@click.option(
    "--index",
    metavar="DIR",
    type=click.Path(),
    help="Ask the documents that `potstill index DIR` has read: rows need no context.",
)
@click.option(
    "--give",
    type=click.Choice(["answer", "highlight", "prune", "cite"]),
    default="answer",
    show_default=True,
    help="What a reader writes: the answer, or the sentences that answer, are worth keeping, or "
    "support the row's answer.",
)
@click.option(
    "--top-k",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write at most N sentences: of highlight, or for each claim of cite.  [default: 3, and 1]",
)
@click.option(
    "--tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Let prune keep at most N tokens.  [default: what is likely to hold the answer]",
)
@no_answer_option
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="Least probability of a label, where a text may have several.  [default: the model's own]",
)
@windows_option
@runtime_option("auto")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Processes.  [default: the cores]"
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads of each worker.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="local: processes of this machine; ray: actors of a Ray cluster.",
)
@click.option(
    "--address",
    default="",
    metavar="ADDRESS",
    help="A running Ray cluster, auto for the one of this machine.  [default: start one]",
)
@click.option(
    "--part-rows",
    type=click.IntRange(min=32),
    default=2048,
    show_default=True,
    metavar="N",
    help="Rows per checkpoint; at most this many are redone after an interruption.",
)
@click.option("--overwrite", is_flag=True, help="Start again, whatever stands in OUT's place.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def command(
    source: str,
    out: Path,
    model: str,
    revision: str | None,
    columns: tuple[str, ...],
    prefix: str,
    index: str | None,
    give: str,
    top_k: int | None,
    tokens: int | None,
    no_answer: bool | None,
    threshold: float | None,
    windows: int | None,
    runtime: str | None,
    workers: int | None,
    threads: int,
    engine: str,
    address: str,
    part_rows: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Read the rows of IN and write them to OUT with what the model says of each.

    IN is a JSONL, CSV, TSV or Parquet file, or a glob in quotation marks; OUT is any of them. The
    text formats may be packed (.gz, .xz, .zst). All columns and the order are kept. A reader adds
    answer, score, start and end, with --index source and place too, or with --give sentences or
    claims; a classifier label and score, or labels and scores, and truncated; a tagger entities.
    Rows that cannot be read go to OUT.bad.jsonl with the reason.

    One runtime reads all rows of a job: without --runtime the quickest on this machine, or, in a
    cluster at --address, onnxruntime.

    A job that was stopped, in whatever way, goes on where it was when the same command is given
    again; one that is finished does nothing. What it needs for that is in the folder OUT.job.
    """
    from potstill.runtime.machine import usable_cores
    from potstill.runtime.runtimes import AUTO, runtime_name
    from potstill.scale.job import JobOptions, run_job
    from potstill.scale.predict import PredictOptions

    if index is not None:
        open_index(index)
    options = JobOptions(
        predict=PredictOptions(
            model=model,
            revision=revision,
            no_answer=no_answer,
            threshold=threshold,
            max_windows=windows,
            threads=threads,
            runtime=runtime_name(runtime, otherwise=AUTO),
            prefix=prefix,
            give=give,
            index=index,
            top_k=top_k,
            tokens=tokens,
        ),
        columns=_pairs(columns),
        engine=engine,
        workers=workers or usable_cores(),
        part_rows=part_rows,
        overwrite=overwrite,
        address=address,
    )
    with _Progress() as progress:
        result = run_job(source, out, options, progress.listeners())
    _say(result, out, as_json)


def _pairs(columns: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in columns:
        name, sign, column = pair.partition("=")
        if not (sign and name and column):
            raise click.BadParameter(f"{pair!r} is not NAME=COLUMN", param_hint="--column")
        found[name] = column
    return found


def _say(result: JobResult, out: Path, as_json: bool) -> None:
    if as_json:
        counts = {"rows": result.rows, "bad": result.bad, "resumed": result.resumed}
        click.echo(json.dumps({**counts, "was_done": result.was_done}))
        return
    if result.was_done:
        click.echo(f"{out} is finished: {result.rows:,} rows; there was nothing to do")
    else:
        click.echo(f"{result.rows:,} rows are in {out}")
    if result.bad:
        rows = "1 row" if result.bad == 1 else f"{result.bad:,} rows"
        click.echo(f"{rows} could not be read: {out}.bad.jsonl says why", err=True)


class _Progress:
    """Shows rows a second and the time left: a bar on a terminal, else a line now and then."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[said]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("reading", total=None, said="")
        self._n_bytes = self._at = self._from = 0
        self._rows = self._old = 0
        self._began = self._line_at = time.monotonic()

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def listeners(self) -> Any:
        from potstill.scale.job import JobListeners

        return JobListeners(
            note=lambda text: self._console.print(text, highlight=False, soft_wrap=True),
            start=self._start,
            moved=self._moved,
            done=self._done,
            writing=lambda: self._bar.update(self._task, description="writing"),
        )

    def _start(self, n_bytes: int) -> None:
        self._n_bytes = n_bytes
        self._began = self._line_at = time.monotonic()
        self._bar.update(self._task, total=max(1, n_bytes))

    def _moved(self, at: int) -> None:
        self._at = at

    def _done(self, rows: int, new: bool) -> None:
        if not new:
            self._old += rows
            self._from = self._at
            return
        self._rows += rows
        seconds = max(time.monotonic() - self._began, 1e-9)
        said = f"{self._old + self._rows:,} rows  {self._rows / seconds:,.1f} rows/s"
        self._bar.update(self._task, completed=self._at, said=said)
        if not self._console.is_terminal and time.monotonic() - self._line_at > _LINE_SECONDS:
            self._line_at = time.monotonic()
            share = (self._at - self._from) / max(1, self._n_bytes - self._from)
            left = seconds * (1 / share - 1) / 60 if share else float("inf")
            self._console.print(f"{said}  {left:.0f} min left", highlight=False, soft_wrap=True)
