"""``potstill tag``: names and other labelled spans in a text."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import click

from potstill.cli.completing import MODEL
from potstill.cli.options import runtime_option

if TYPE_CHECKING:
    from potstill.records import Entity
    from potstill.runtime.tagging import Tagger

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@click.command("tag")
@click.argument("text", required=False)
@click.option(
    "--model",
    required=True,
    metavar="MODEL",
    type=MODEL,
    help="A folder or hub id of a model for token classification.",
)
@click.option("--revision", help="Branch, tag or commit of a hub id.")
@click.option(
    "--aggregation",
    type=click.Choice(["none", "simple", "first", "max", "average"]),
    default="first",
    show_default=True,
    help="How tokens become spans: none lists every token that has a tag, simple joins tokens, "
    "the others whole words by their first or surest token or the mean of all.",
)
@click.option(
    "--words",
    "by_word",
    is_flag=True,
    help="Take the text as words parted by white space, a sentence a line, and tag each.",
)
@runtime_option()
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: the cores]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def command(
    text: str | None,
    model: str,
    revision: str | None,
    aggregation: str,
    by_word: bool,
    runtime: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Find the labelled spans of TEXT.

    Without TEXT, or with a single -, standard input is read, however long. --json prints each span
    with its label, its score and its place in code points, half-open; with --words, a list of
    words with their tags for each line.
    """
    if text is None and sys.stdin.isatty():
        raise click.UsageError("Give a TEXT, or one on standard input.")

    from potstill.cli.sources import standard_input
    from potstill.runtime.tagging import Tagger

    tagger = Tagger.from_options(model, revision=revision, runtime=runtime, threads=threads)
    if text is None or text == "-":
        text = standard_input()
    if by_word:
        _by_word(tagger, text, as_json)
        return
    found = tagger.tag(text, aggregation=aggregation)  # type: ignore[arg-type]  # click checked it
    if as_json:
        click.echo(json.dumps([entity.to_dict() for entity in found]))
    elif found:
        _print(found)
    else:
        click.echo("Nothing found.")


def _by_word(tagger: Tagger, text: str, as_json: bool) -> None:
    """Prints a word and its tag a line, as files of tagged words have them."""
    from potstill.errors import EmptyInputError

    sentences = [words for line in text.splitlines() if (words := line.split())]
    if not sentences:
        raise EmptyInputError("the text is empty: give one with words to tag")
    tagged = tagger.tag_words_many(sentences)
    pairs = [list(zip(*both, strict=True)) for both in zip(sentences, tagged, strict=True)]
    if as_json:
        rows = [[{"word": word, "tag": tag} for word, tag in own] for own in pairs]
        click.echo(json.dumps(rows))
        return
    blocks = ["\n".join(f"{_shown(word)}\t{tag}" for word, tag in own) for own in pairs]
    click.echo("\n\n".join(blocks))


def _print(found: list[Entity]) -> None:
    width = max(len(entity.label) for entity in found)
    for entity in found:
        place = f"{entity.start}:{entity.end}"
        click.echo(f"{entity.score:.2f}  {entity.label:{width}}  {_shown(entity.text)}  {place}")


def _shown(text: str) -> str:
    """Text that is safe on a terminal: a span must not move the cursor or break the encoding."""
    return _CONTROL.sub(" ", text)
