"""Plain-text corpora as a stream of documents: a quarter of a gigabyte takes no memory."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from potstill.data.files import open_text
from potstill.errors import DataError

_SUFFIXES = (".txt", ".txt.gz", ".txt.xz")
_TITLE = re.compile(r"= (?!= )(.+?)(?<! =) =")
_HEADING = re.compile(r"= = .* = =")
_LONGEST = 200_000
"""Code points of a line before it is cut: whole books have been found on one."""
_MOST = 500_000
"""Code points of a document before the rest becomes another one of the same title."""


@dataclass(frozen=True, slots=True)
class Article:
    """An article, or a block of text between blank lines."""

    title: str
    """Empty where the text has no titles."""
    paragraphs: tuple[str, ...]
    """At least one, without white space around it."""


def corpus_files(corpus: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files of a corpus, in an order that does not depend on the machine.

    Args:
        corpus: a file, a folder (every ``.txt``, ``.txt.gz`` and ``.txt.xz`` below it), a glob
            pattern, or a list of them.

    Raises:
        DataError: there is no such file, or a folder or a pattern finds none.
    """
    if not isinstance(corpus, (str, Path)):
        return [file for one in corpus for file in corpus_files(one)]
    path = Path(corpus).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(f for f in path.rglob("*") if f.is_file() and f.name.endswith(_SUFFIXES))
        if not found:
            raise DataError(f"{path} holds no {', '.join(_SUFFIXES)} file: name one with text")
        return found
    # A pattern may match anything: what is no text says so when it is read.
    matches = sorted(f for f in map(Path, glob.glob(str(path), recursive=True)) if f.is_file())
    if not matches:
        raise DataError(f"{path} does not exist: give a file, a folder or a pattern of text files")
    return matches


def documents(corpus: str | Path | Sequence[str | Path]) -> Iterator[Article]:
    """Every document of a corpus, one after the other.

    Two layouts are understood, in one file even. With titles, as dumps of Wikipedia have them: a
    line ``= Title =`` begins an article, every other line is a paragraph of it (headings such as
    ``= = History = =`` are left out). Without: a line is a paragraph, and a blank line ends the
    document.

    Args:
        corpus: as for `corpus_files`; plain, ``.gz`` or ``.xz``, UTF-8.

    Raises:
        DataError: a file is missing, damaged or not UTF-8, or there is no text in any of them.
    """
    empty = True
    for path in corpus_files(corpus):
        with open_text(path) as file:
            for document in _read(file):
                empty = False
                yield document
    if empty:
        raise DataError(f"{corpus} holds no text: give a corpus with a paragraph a line")


def _read(file: TextIO) -> Iterator[Article]:
    title = ""
    paragraphs: list[str] = []
    size = 0
    for line in _lines(file):
        named = _TITLE.fullmatch(line)
        # A blank line says nothing within an article: only the next title ends it.
        if paragraphs and (named or (not line and not title) or size > _MOST):
            yield Article(title, tuple(paragraphs))
            paragraphs, size = [], 0
        if named:
            title = named[1]
        elif line and not _HEADING.fullmatch(line):
            paragraphs.append(line)
            size += len(line)
    if paragraphs:
        yield Article(title, tuple(paragraphs))


def _lines(file: TextIO) -> Iterator[str]:
    """Lines without white space around them; one that is very long comes in pieces."""
    rest = ""
    while block := file.readline(_LONGEST):
        text = rest + block
        rest = ""
        if len(block) == _LONGEST and not block.endswith(("\n", "\r")):
            # Cut before the last word, which may go on; a "word" that long is cut as it is.
            at = text.rfind(" ") + 1 or len(text)
            text, rest = text[:at], text[at:]
            if not text.strip():
                continue
        yield text.strip()
    if rest.strip():
        yield rest.strip()
