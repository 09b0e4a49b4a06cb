"""What a question is asked of, by the options of a verb: files that are read now, or an index."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from potstill.cli.sources import Sources
    from potstill.retrieval.asking import Found
    from potstill.retrieval.index import Index
    from potstill.retrieval.store import Hit
    from potstill.runtime.qa import QAClient


class Askable(Protocol):
    """Documents that can be asked."""

    def ask(
        self,
        question: str,
        reader: QAClient,
        top_k: int,
        windows: int | None,
        *,
        no_answer: bool | None = None,
    ) -> Found:
        """Answers a question from ``windows`` passages, or from all.

        ``no_answer``: whether "no answer" may win; by default as the model was trained.
        """
        ...

    def passages(self, question: str, reader: QAClient, windows: int) -> list[Hit]:
        """The passages that are likely to answer a question; all where there are not more."""
        ...


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


def asked_of(
    question: str, files: tuple[str, ...], context: str | None, index: str | None
) -> Askable:
    """The documents that the options of a verb name.

    Raises:
        UsageError: the options do not go together.
        EmptyInputError: there is no text in the question, or in any file.
    """
    _check(question, files, context, index)
    if not question.strip():
        from potstill.errors import EmptyInputError

        raise EmptyInputError("the question is empty; give some text")
    if not files and context is None and index is None:
        if sys.stdin.isatty():
            raise click.UsageError("Give a FILE, --context, or text on standard input.")
        files = ("-",)
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


def open_index(folder: str) -> Index:
    """Opens an index, and says so if an older version has read its files.

    Raises:
        IndexDataError: there is none, or it is damaged or of another version.
    """
    from potstill.retrieval.index import Index

    index = Index.open(folder)
    if index.is_outdated:
        click.echo(
            "potstill: an older version has read the files of this index: run `potstill index "
            f"{folder}`",
            err=True,
        )
    return index


class _Index:
    """Documents that were read before."""

    def __init__(self, folder: str) -> None:
        self._index = open_index(folder)

    def ask(
        self,
        question: str,
        reader: QAClient,
        top_k: int,
        windows: int | None,
        *,
        no_answer: bool | None = None,
    ) -> Found:
        if windows is None:
            raise click.UsageError("--all goes without --index: give a larger --windows.")
        return self._index.ask(question, reader, top_k=top_k, windows=windows, no_answer=no_answer)

    def passages(self, question: str, reader: QAClient, windows: int) -> list[Hit]:
        return self._index.search(question, windows, reader=reader)


class _Files:
    """Documents that are read now."""

    def __init__(self, sources: Sources) -> None:
        self._documents = sources.found

    def ask(
        self,
        question: str,
        reader: QAClient,
        top_k: int,
        windows: int | None,
        *,
        no_answer: bool | None = None,
    ) -> Found:
        from potstill.retrieval.asking import Found, passages_of, read_passages

        options: dict[str, Any] = {"top_k": top_k, "no_answer": no_answer}
        passages = passages_of(self._documents)
        if windows is not None and len(passages) > windows:
            from potstill.retrieval.index import Index

            return Index.of(self._documents).ask(question, reader, windows=windows, **options)
        with _progress(len(passages)) as progress:
            citations = read_passages(reader, question, passages, progress=progress, **options)
        return Found(citations, len(passages), len(passages))

    def passages(self, question: str, reader: QAClient, windows: int) -> list[Hit]:
        from potstill.retrieval.asking import passages_of

        passages = passages_of(self._documents)
        if len(passages) <= windows:
            return passages
        from potstill.retrieval.index import Index

        return Index.of(self._documents).search(question, windows, reader=reader)
