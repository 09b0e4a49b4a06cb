"""The documents that a question is asked of: files, folders, an argument, standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

import click

from potstill.documents.document import Document, Skipped
from potstill.errors import DataError, EmptyInputError

_NAMED = 10
"""Files that are named of those that were skipped."""


@dataclass(slots=True)
class Sources:
    """The documents that were read, and the files that were not."""

    found: list[Document] = field(default_factory=list[Document])
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    notes: list[Skipped] = field(default_factory=list[Skipped])
    """Files that were read, with what could not be read of them."""

    def add(self, name: str, text: str) -> None:
        """A text that is no file."""
        if text.strip():
            self.found.append(Document(name=name, text=text, lines=name != "context"))
        else:
            remedy = ": name a FILE or a folder" if name == "stdin" else ""
            self.skipped.append(Skipped(name, f"it is empty{remedy}"))


def collect(paths: Iterable[str], context: str | None) -> Sources:
    """Reads all documents; ``-`` is standard input, a folder stands for the files in it.

    Raises:
        EmptyInputError: none of them holds text.
    """
    from potstill.documents.files import read_documents

    sources = Sources()
    if context is not None:
        sources.add("context", context)
    for path in paths:
        if path == "-":
            sources.add("stdin", _decoded(sys.stdin.buffer.read()))
            continue
        for one in read_documents(path):
            if isinstance(one, Skipped):
                sources.skipped.append(one)
                continue
            sources.found.append(one)
            if one.note:
                sources.notes.append(Skipped(one.name, one.note))
    if not sources.found:
        raise EmptyInputError(f"there is no text to ask: {_first(sources.skipped)}")
    return sources


def say_skipped(skipped: list[Skipped], notes: list[Skipped]) -> None:
    """Names the files that were not read, or not whole, on stderr."""
    for word, files in (("skipped", skipped), ("note", notes)):
        for one in files[:_NAMED]:
            click.echo(f"potstill: {word}: {one.name}: {one.reason}", err=True)
        if len(files) > _NAMED:
            click.echo(f"potstill: {word}: {len(files) - _NAMED:,} files more", err=True)


def standard_input() -> str:
    """All of standard input.

    Raises:
        DataError: it is not UTF-8.
    """
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"standard input is not UTF-8 ({error.reason} at byte {error.start}): "
            "convert it, for example with iconv"
        ) from None


def _decoded(data: bytes) -> str:
    from potstill.documents.decoding import decode

    text = decode(data)
    if text is None:
        raise DataError(
            "standard input is not text: give a file, so that its name tells what it is"
        )
    return text


def _first(skipped: list[Skipped]) -> str:
    if not skipped:
        return "the folder holds no files"
    more = f" (and {len(skipped) - 1:,} files more)" if len(skipped) > 1 else ""
    return f"{skipped[0].name}: {skipped[0].reason}{more}"
