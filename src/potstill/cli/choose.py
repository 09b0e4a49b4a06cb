"""``potstill choose``: which of several texts goes on with another."""

from __future__ import annotations

import json
import re
import sys

import click

from potstill.cli.completing import MODEL
from potstill.cli.options import runtime_option

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@click.command("choose")
@click.argument("prompt")
@click.argument("choices", nargs=-1, required=True, metavar="CHOICE CHOICE...")
@click.option(
    "--model",
    required=True,
    metavar="MODEL",
    type=MODEL,
    help="A folder or hub id of a model for multiple choice.",
)
@click.option("--revision", help="Branch, tag or commit of a hub id.")
@runtime_option()
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: the cores]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def command(
    prompt: str,
    choices: tuple[str, ...],
    model: str,
    revision: str | None,
    runtime: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Say which CHOICE goes on best with PROMPT.

    Each is printed with its probability among them, best first. A PROMPT that is a single - is
    read from standard input. --json prints the number of each choice, its text, its score, and
    whether it was truncated.
    """
    if len(choices) < 2:
        raise click.UsageError("Give at least two choices.")
    if prompt == "-" and sys.stdin.isatty():
        raise click.UsageError("Give a PROMPT, or one on standard input.")

    from potstill.cli.sources import standard_input
    from potstill.runtime.choice import Chooser

    chooser = Chooser.from_options(model, revision=revision, runtime=runtime, threads=threads)
    if prompt == "-":
        prompt = standard_input().strip()
    found = chooser.choose(prompt, choices)
    n_cut = sum(score.truncated for score in found)
    if n_cut:
        click.echo(
            f"potstill: {n_cut} of {len(found)} choices are longer, with their prompt, than the "
            f"{chooser.options.seq_len} tokens that are read: their ends were left out",
            err=True,
        )
    if as_json:
        click.echo(json.dumps([score.to_dict() for score in found]))
        return
    for score in found:
        click.echo(f"{score.score:.2f}  {_CONTROL.sub(' ', score.text)}")
