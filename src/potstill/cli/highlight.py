"""``potstill highlight``: the sentences of documents that answer a question, or support a claim."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from potstill.cli.ask import print_citation
from potstill.cli.asked import asked_of
from potstill.cli.options import documents_options, passages_option, runtime_option

if TYPE_CHECKING:
    from potstill.retrieval.highlighting import Claim


_LEAST = 0.01
"""Score below which a sentence is not shown: it would be one that does not answer."""


@click.command("highlight")
@click.argument("question")
@documents_options("Read")
@click.option(
    "--top-k",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Return at most N sentences.",
)
@click.option(
    "--tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep what is worth most in N tokens, in the order of the text, instead of --top-k.",
)
@click.option(
    "--cite",
    is_flag=True,
    help="Take QUESTION as an answer: show which sentences support each of its claims.",
)
@passages_option
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: the cores]")
@runtime_option()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def command(
    question: str,
    files: tuple[str, ...],
    context: str | None,
    index: str | None,
    model: str,
    top_k: int,
    tokens: int | None,
    cite: bool,
    windows: int,
    threads: int | None,
    runtime: str | None,
    as_json: bool,
) -> None:
    """Show the sentences of FILEs that answer QUESTION, word for word and with their places.

    FILEs, --context and --index are what `potstill ask` takes. A score is the probability that the
    answer begins in the sentence (below 0.01 it is not shown); with --cite, how much of a claim's
    words a sentence has.
    """
    asked = asked_of(question, files, context, index)

    from potstill.retrieval import highlighting
    from potstill.runtime.qa import QAClient

    reader = QAClient.from_options(model, runtime=runtime, threads=threads)
    if cite:
        claims = highlighting.cite(
            reader, question, lambda said: asked.passages(said, reader, windows), top_k=top_k
        )
        _say(claims, as_json)
        return
    passages = asked.passages(question, reader, windows)
    if tokens is None:
        found = highlighting.highlight(reader, question, passages, top_k=top_k)
    else:
        found = highlighting.prune(reader, question, passages, tokens=tokens)
    if as_json:
        click.echo(json.dumps([one.to_dict("text") for one in found]))
        return
    shown = found if tokens is not None else [one for one in found if one.score >= _LEAST]
    for one in shown:
        print_citation(one)
    if not shown:
        click.echo("No sentence answers." if found else "Nothing has the question's words.")


def _say(claims: list[Claim], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([claim.to_dict() for claim in claims]))
        return
    for claim in claims:
        click.echo(f"{claim.text}{'' if claim.sources else '  (nothing supports it)'}")
        for one in claim.sources:
            print_citation(one)
