"""``potstill ask``: a question, answered from files, a text or standard input."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import click

from potstill.cli.options import runtime_option

if TYPE_CHECKING:
    from potstill.cli.sources import Source, Sources
    from potstill.records import Answer
    from potstill.runtime.asking import PreparedContext
    from potstill.runtime.qa import QAClient
    from potstill.runtime.reading import Reading

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|\n\s*\n")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_SHOWN = 240
"""Most code points of a sentence shown on either side of an answer."""


@click.command("ask")
@click.argument("question")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--context", metavar="TEXT", help="Ask this text.")
@click.option(
    "--model",
    default="default",
    show_default=True,
    metavar="MODEL",
    help="default or small (the embedded readers), a model folder or a hub id.",
)
@click.option(
    "--top-k", type=click.IntRange(min=1), default=1, show_default=True, help="Most answers."
)
@click.option(
    "--no-answer", is_flag=True, help='Let "no answer" win, whatever the model was trained for.'
)
@click.option(
    "--max-answer-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Longest answer in tokens.  [default: the model's own, 30]",
)
@click.option(
    "--windows",
    type=click.IntRange(min=1),
    metavar="N",
    default=32,
    show_default=True,
    help="Of long texts read this many windows, those that BM25 ranks best.",
)
@click.option("--all", "read_all", is_flag=True, help="Read every window.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: the cores]")
@runtime_option("onnxruntime")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def command(
    question: str,
    files: tuple[str, ...],
    context: str | None,
    model: str,
    top_k: int,
    no_answer: bool,
    max_answer_tokens: int | None,
    windows: int,
    read_all: bool,
    threads: int | None,
    runtime: str | None,
    as_json: bool,
) -> None:
    """Answer QUESTION from FILEs, a text, or standard input.

    A FILE may be a folder: all text files in it are asked. A single - is standard input, which is
    also read where there is neither a FILE nor --context. The answer is always a piece of the
    text; --json prints its place in code points, half-open.
    """
    from potstill.cli.sources import collect

    if not files and context is None:
        if sys.stdin.isatty():
            raise click.UsageError("Give a FILE, --context, or text on standard input.")
        files = ("-",)
    sources = collect(files, context)

    from potstill.runtime.qa import QAClient

    client = QAClient.from_options(
        model,
        runtime=runtime,
        threads=threads,
        max_answer_tokens=max_answer_tokens,
        no_answer=no_answer or None,
    )
    texts = _prepare(client, sources)
    reading = client.read(question, texts, top_k=top_k, max_windows=None if read_all else windows)
    _say_what_was_left_out(sources, reading)
    if as_json:
        rows = [
            {**answer.to_dict(), "source": sources.found[answer.source].name}
            for answer in reading.answers
        ]
        click.echo(json.dumps(rows))
    elif reading.answers:
        _print(reading.answers, sources.found)
    else:
        click.echo("No answer.")


def _prepare(client: QAClient, sources: Sources) -> list[PreparedContext]:
    """Tokenizes the texts; one without a single token moves to those that were skipped."""
    from potstill.errors import EmptyInputError

    prepared: list[PreparedContext] = []
    kept: list[Source] = []
    for source in sources.found:
        try:
            prepared.append(client.prepare(source.text))
        except EmptyInputError:
            sources.skipped.append(source.name)
        else:
            kept.append(source)
    sources.found[:] = kept
    if not prepared:
        names = ", ".join(sources.skipped[:3]) or "the folder"
        raise EmptyInputError(f"there is no text to ask: {names} holds none")
    return prepared


def _say_what_was_left_out(sources: Sources, reading: Reading) -> None:
    if sources.skipped:
        more = len(sources.skipped) - 3
        names = ", ".join(sources.skipped[:3]) + (f" and {more:,} more" if more > 0 else "")
        click.echo(f"potstill: skipped, no UTF-8 text: {names}", err=True)
    if reading.n_read < reading.n_windows:
        n = len(sources.found)
        click.echo(
            f"potstill: read the best {reading.n_read:,} of {reading.n_windows:,} windows from "
            f"{n:,} {'text' if n == 1 else 'texts'}; --all reads every one",
            err=True,
        )


def _print(answers: list[Answer], sources: list[Source]) -> None:
    for answer in answers:
        source = sources[answer.source]
        line = source.text.count("\n", 0, answer.start) + 1
        place = source.name if source.name == "context" else f"{source.name}:{line}"
        before, after = _surroundings(source.text, answer.start, answer.end)
        parts = [_shown(part) for part in (answer.text, before, answer.text, after)]
        _print_one(*parts, note=f"{answer.score:.2f}  {_shown(place)}")


def _print_one(answer: str, before: str, inside: str, after: str, *, note: str) -> None:
    if not sys.stdout.isatty():
        # Into a pipe or file goes plain text, and rich is not even imported.
        click.echo(f"{answer}\n  {before}{inside}{after}\n  {note}")
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(answer, "bold green"))
    sentence = Text.assemble(before, (inside, "bold green underline"), after)
    console.print(Padding(sentence, (0, 0, 0, 2)))
    console.print(Padding(Text(note, "dim"), (0, 0, 0, 2)))


def _surroundings(text: str, start: int, end: int) -> tuple[str, str]:
    """What stands before and after an answer in its sentence."""
    first = max(0, start - _SHOWN)
    last = min(len(text), end + _SHOWN)
    ends = [match.end() for match in _SENTENCE_END.finditer(text, first, start)]
    before = text[ends[-1] : start] if ends else "…" * (first > 0) + text[first:start]
    stop = _SENTENCE_END.search(text, max(first, end - 1), last)
    after = (
        text[end : max(end, stop.start())] if stop else text[end:last] + "…" * (last < len(text))
    )
    return before.lstrip(), after.rstrip()


def _shown(text: str) -> str:
    """Text that is safe on a terminal: a file must not move the cursor or break the encoding."""
    return _CONTROL.sub(" ", text)
