"""``potstill classify``: texts, and the labels they have."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import click

from potstill.cli.completing import MODEL
from potstill.cli.options import runtime_option, windows_option

if TYPE_CHECKING:
    from potstill.records import Classification

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@click.command("classify")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--pair", metavar="TEXT", help="The second text, for a model of pairs.")
@click.option(
    "--model",
    required=True,
    metavar="MODEL",
    type=MODEL,
    help="A folder or hub id of a text classifier.",
)
@click.option("--revision", help="Branch, tag or commit of a hub id.")
@click.option(
    "--top-k",
    type=click.IntRange(min=1),
    metavar="N",
    help="Return at most N labels of a text, the most probable first.  [default: all]",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="Least probability of a label, where a text may have several.  [default: the model's own]",
)
@windows_option
@runtime_option()
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: the cores]")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, a list of them for several."
)
def command(
    texts: tuple[str, ...],
    pair: str | None,
    model: str,
    revision: str | None,
    top_k: int | None,
    threshold: float | None,
    windows: int | None,
    runtime: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Say which labels each TEXT has.

    Each label is printed with its probability, or with the value itself where the model gives a
    number; a star marks those the text is said to have. Without a TEXT, or with a single -,
    standard input is read, all of it one text.
    """
    if not texts and sys.stdin.isatty():
        raise click.UsageError("Give a TEXT, or one on standard input.")
    if pair is not None and len(texts) > 1:
        raise click.UsageError("--pair goes with one TEXT.")

    from potstill.cli.sources import standard_input
    from potstill.runtime.classification import Classifier

    classifier = Classifier.from_options(
        model,
        revision=revision,
        runtime=runtime,
        threads=threads,
        threshold=threshold,
        max_windows=windows,
    )
    asked = [standard_input() if text == "-" else text for text in texts or ("-",)]
    rows = asked if pair is None else [(asked[0], pair)]
    found = classifier.classify_many(rows)
    n_cut = sum(one.truncated for one in found)
    if n_cut:
        read = classifier.options.max_windows
        click.echo(
            f"potstill: {n_cut} of {len(found)} texts are longer than the "
            f"{f'{read} windows of ' if read > 1 else ''}{classifier.options.seq_len} tokens that "
            f"are read: {'parts' if read > 1 else 'their ends'} were left out; --windows 0 reads "
            "all",
            err=True,
        )
    if as_json:
        listed = [_as_json(one, top_k) for one in found]
        click.echo(json.dumps(listed if len(listed) > 1 else listed[0]))
        return
    for text, one in zip(asked, found, strict=True):
        if len(found) > 1:
            click.echo(_shown(text))
        _print(one, top_k, indent="  " * (len(found) > 1))


def _as_json(found: Classification, top_k: int | None) -> dict[str, Any]:
    return {
        "labels": [label.to_dict() for label in found.labels[:top_k]],
        "chosen": list(found.chosen),
        "truncated": found.truncated,
    }


def _print(found: Classification, top_k: int | None, *, indent: str) -> None:
    for label in found.labels[:top_k]:
        mark = "*" if label.chosen else " "
        click.echo(f"{indent}{mark} {label.score:.3f}  {_shown(label.label)}")


def _shown(text: str) -> str:
    """Text that is safe on a terminal, in one line of no great length."""
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= 80 else text[:79] + "…"
