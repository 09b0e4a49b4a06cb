"""``potstill fill``: the words that fit where a text has a mask."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import click

from potstill.cli.completing import MODEL
from potstill.cli.options import runtime_option

if TYPE_CHECKING:
    from potstill.records import Fill

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@click.command("fill")
@click.argument("text", required=False)
@click.option(
    "--model",
    required=True,
    metavar="MODEL",
    type=MODEL,
    help="A folder or hub id of a masked language model.",
)
@click.option("--revision", help="Branch, tag or commit of a hub id.")
@click.option(
    "--top-k",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Return at most N words for a mask.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="WORD",
    help="Weigh only this word; may be repeated.",
)
@runtime_option()
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: the cores]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list for each mask.")
def command(
    text: str | None,
    model: str,
    revision: str | None,
    top_k: int,
    targets: tuple[str, ...],
    runtime: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Fill in TEXT where it says [MASK] (<mask> for RoBERTa).

    Without TEXT, or with a single -, standard input is read. --json prints a list of lists: for
    each mask its words, best first.
    """
    if text is None and sys.stdin.isatty():
        raise click.UsageError("Give a TEXT, or one on standard input.")

    from potstill.cli.sources import standard_input
    from potstill.runtime.lm import Filler

    filler = Filler.from_options(model, revision=revision, runtime=runtime, threads=threads)
    if text is None or text == "-":
        text = standard_input().rstrip("\n")
    found = filler.fill(text, top_k=top_k, targets=list(targets) or None)
    if as_json:
        click.echo(json.dumps([[fill.to_dict() for fill in fills] for fills in found]))
        return
    for number, fills in enumerate(found):
        if len(found) > 1:
            click.echo(f"{filler.mask} {number + 1} of {len(found)}")
        _print(fills)


def _print(fills: list[Fill]) -> None:
    width = max(len(_shown(fill.token)) for fill in fills)
    for fill in fills:
        click.echo(f"{fill.score:.3f}  {_shown(fill.token):{width}}  {_shown(fill.sequence)}")


def _shown(text: str) -> str:
    """Text that is safe on a terminal: a word must not move the cursor or break the encoding."""
    return _CONTROL.sub(" ", text).strip()
