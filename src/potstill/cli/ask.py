"""``potstill ask``: a question, answered from files, a text or standard input."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from potstill.cli.options import no_answer_option, runtime_option

if TYPE_CHECKING:
    from potstill.cli.sources import Sources
    from potstill.retrieval.asking import Citation, Found
    from potstill.runtime.qa import QAClient

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|\n\s*\n| \|\t")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_SHOWN = 240
"""Most code points of a sentence shown on either side of an answer."""


@click.command("ask")
@click.argument("question")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path())
@click.option("--context", metavar="TEXT", help="Ask this text.")
@click.option(
    "--index",
    metavar="DIR",
    type=click.Path(),
    help="Ask the documents that `potstill index DIR` has read.",
)
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
@no_answer_option
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
    help="Of many passages read this many, those that have the question's words.",
)
@click.option("--all", "read_all", is_flag=True, help="Read every passage.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: the cores]")
@runtime_option("onnxruntime")
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
    _check(question, files, context, index)
    if not files and context is None and index is None:
        if sys.stdin.isatty():
            raise click.UsageError("Give a FILE, --context, or text on standard input.")
        files = ("-",)
    asked = _asked(files, context, index)

    from potstill.runtime.qa import QAClient

    reader = QAClient.from_options(
        model,
        runtime=runtime,
        threads=threads,
        max_answer_tokens=max_answer_tokens,
        no_answer=no_answer,
    )
    found = asked.ask(question, reader, top_k, None if read_all else windows)
    if found.n_read < found.n_passages:
        more = "" if index else "; --all reads every one"
        click.echo(
            f"potstill: read the best {found.n_read:,} of {found.n_passages:,} passages{more}",
            err=True,
        )
    if as_json:
        click.echo(json.dumps([citation.to_dict() for citation in found.citations]))
    elif found.citations:
        for citation in found.citations:
            _print(citation)
    else:
        click.echo("No answer.")


def _check(question: str, files: tuple[str, ...], context: str | None, index: str | None) -> None:
    if index is not None and (files or context is not None):
        raise click.UsageError("--index goes without FILEs and --context.")
    if files and _is_there(question) and not any(map(_is_there, files)):
        raise click.UsageError("The question comes first: potstill ask QUESTION FILE.")


def _is_there(path: str) -> bool:
    try:
        return path == "-" or Path(path).exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _asked(files: tuple[str, ...], context: str | None, index: str | None) -> _Index | _Files:
    if index is not None:
        return _Index(index)
    from potstill.cli.sources import collect, say_skipped

    sources = collect(files, context)
    say_skipped(sources.skipped, sources.notes)
    return _Files(sources)


_LONG = 256
"""Passages from which progress is shown."""


@contextmanager
def _progress(n: int) -> Generator[Callable[[int, int], None] | None, None, None]:
    """Shows how many passages were read and how long the rest will take, on a terminal."""
    if n < _LONG or not sys.stderr.isatty():
        yield None
        return
    from potstill.cli.bars import bar

    with bar("passages") as show:
        yield show


class _Index:
    """Documents that were read before."""

    def __init__(self, folder: str) -> None:
        from potstill.retrieval.index import Index

        self._index = Index.open(folder)

    def ask(self, question: str, reader: QAClient, top_k: int, windows: int | None) -> Found:
        if windows is None:
            raise click.UsageError("--all goes without --index: give a larger --windows.")
        return self._index.ask(question, reader, top_k=top_k, windows=windows)


class _Files:
    """Documents that are read now."""

    def __init__(self, sources: Sources) -> None:
        self._documents = sources.found

    def ask(self, question: str, reader: QAClient, top_k: int, windows: int | None) -> Found:
        from potstill.retrieval.asking import Found, passages_of, read_passages

        options: dict[str, Any] = {"top_k": top_k}
        passages = passages_of(self._documents)
        if windows is not None and len(passages) > windows:
            from potstill.retrieval.index import Index

            return Index.of(self._documents).ask(question, reader, windows=windows, **options)
        with _progress(len(passages)) as progress:
            citations = read_passages(reader, question, passages, progress=progress, **options)
        return Found(citations, len(passages), len(passages))


def _print(citation: Citation) -> None:
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
