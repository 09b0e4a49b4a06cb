"""``potstill ask``: a question, answered from files, a text or standard input."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from potstill.cli.asked import asked_of
from potstill.cli.options import (
    documents_options,
    no_answer_option,
    passages_option,
    runtime_option,
)
from potstill.documents.document import APART, ENTRY

if TYPE_CHECKING:
    from potstill.retrieval.asking import Citation
    from potstill.runtime.qa import QAClient

_SENTENCE_END = re.compile(rf"(?<=[.!?…])[\"'”’)\]]*\s+|\n\s*\n|{ENTRY.pattern}")
_ROW_END = re.compile(r"\n")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_SHOWN = 240
"""Most code points of a sentence shown on either side of an answer."""


@click.command("ask")
@click.argument("question")
@documents_options("Ask")
@click.option(
    "--top-k",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Return at most N answers.",
)
@no_answer_option
@click.option(
    "--max-answer-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Longest answer in tokens.  [default: the model's own, 30]",
)
@passages_option
@click.option("--all", "read_all", is_flag=True, help="Read every passage.")
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
    no_answer: bool | None,
    max_answer_tokens: int | None,
    windows: int,
    read_all: bool,
    threads: int | None,
    runtime: str | None,
    as_json: bool,
) -> None:
    """Answer QUESTION from FILEs, a text, or standard input.

    A FILE may be a folder: all documents in it are asked, text, HTML, PDF, Word, EPUB, tables and
    others. A single - is standard input, which is also read where there is neither a FILE nor
    --context. The answer is always a piece of the text; --json prints its place in code points,
    half-open, with page, heading, sheet, row or line where the file has them.
    """
    asked = asked_of(question, files, context, index)

    from potstill.runtime.qa import QAClient

    reader = QAClient.from_options(
        model,
        runtime=runtime,
        threads=threads,
        max_answer_tokens=max_answer_tokens,
    )
    found = asked.ask(question, reader, top_k, None if read_all else windows, no_answer=no_answer)
    if found.n_read < found.n_passages:
        more = "" if index else "; --all reads every one"
        what = (
            f"read the best {found.n_read:,} of {found.n_passages:,} passages"
            if found.n_read
            else f"none of {found.n_passages:,} passages has a word of the question"
        )
        click.echo(f"potstill: {what}{more}", err=True)
    _warn_of_language(reader, found.citations)
    if as_json:
        click.echo(json.dumps([citation.to_dict() for citation in found.citations]))
    elif found.citations:
        for citation in found.citations:
            print_citation(citation)
    else:
        click.echo("No answer.")


def _warn_of_language(reader: QAClient, citations: Sequence[Citation]) -> None:
    from potstill.text.language import is_foreign

    if citations and is_foreign(reader.tokenizer, citations[0].passage):
        click.echo(
            f"potstill: warning: {_shown(citations[0].source)} does not seem to be in the language "
            "of this model, so the answer may well be wrong: name another with --model",
            err=True,
        )


def print_citation(citation: Citation) -> None:
    """Prints an answer in its sentence, with its score and place."""
    start = citation.start - citation.passage_start
    end = citation.end - citation.passage_start
    before, after = _surroundings(citation.passage, start, end)
    parts = [_shown(part) for part in (citation.text, before, citation.text, after)]
    _print_one(*parts, note=f"{citation.score:.2f}  {_shown(_where(citation))}")


def _where(citation: Citation) -> str:
    place = citation.place
    name = citation.source
    if place.line is not None and name != "context":
        name = f"{name}:{place.line}"
    more = str(replace(place, line=None))
    return f"{name}, {more}" if more else name


def _print_one(answer: str, before: str, inside: str, after: str, *, note: str) -> None:
    if not sys.stdout.isatty():
        # Into a pipe or file goes plain text, and rich is not even imported.
        sentence = f"  {before}{inside}{after}\n" if before or after else ""
        click.echo(f"{answer}\n{sentence}  {note}")
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(answer, "bold green"))
    if before or after:  # else the answer is the whole of its sentence
        sentence = Text.assemble(before, (inside, "bold green underline"), after)
        console.print(Padding(sentence, (0, 0, 0, 2)))
    console.print(Padding(Text(note, "dim"), (0, 0, 0, 2)))


def _surroundings(text: str, start: int, end: int) -> tuple[str, str]:
    """What stands before and after an answer in its sentence."""
    border = _ROW_END if APART in text else _SENTENCE_END
    first = max(0, start - _SHOWN)
    last = min(len(text), end + _SHOWN)
    ends = [match.end() for match in border.finditer(text, first, start)]
    before = text[ends[-1] : start] if ends else "…" * (first > 0) + text[first:start]
    stop = border.search(text, max(first, end - 1), last)
    after = (
        text[end : max(end, stop.start())] if stop else text[end:last] + "…" * (last < len(text))
    )
    return before.lstrip(), after.rstrip()


def _shown(text: str) -> str:
    """Text that is safe on a terminal: a file must not move the cursor or break the encoding."""
    return _CONTROL.sub(" ", text)
