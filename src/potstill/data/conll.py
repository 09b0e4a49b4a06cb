"""CoNLL's layout: a word a line with its tag in the last column, a blank line behind each sentence.

Columns are parted by tabs, or by blanks where no line of words has a tab. Lines of comments are
those of CoNLL-U, MultiCoNER and GermEval; a line ``-DOCSTART-`` ends a sentence too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from potstill.data.files import open_text
from potstill.data.table import kind_of
from potstill.errors import DataError
from potstill.records import TagExample

_DOCUMENT = "-DOCSTART-"
_BLANK = " \t\r\n\ufeff"
_COMMENT = re.compile(r"#\s*(?:id|sent_id|text|newdoc|newpar|global|generator)\b|#\s*[\w.]+ = ")
_PART = re.compile(r"\d+[-.]\d+")
"""Number of a word of several tokens, or of none, in CoNLL-U: a line beside the tokens' own."""
_COUNT = re.compile(r"\d+(?:[-.]\d+)?")
_HEADS_OF_WORDS = frozenset("word words token tokens form text".split())
_HEADS_OF_TAGS = frozenset("tag tags ner_tag ner_tags ner label labels pos upos xpos".split())
_Lines: TypeAlias = "list[tuple[int, list[str]]]"
"""The lines of a sentence: the number of each in its file, and its columns."""


def read_conll(
    path: Path, *, word: str = "", tag: str = "", labelled: bool = True
) -> Iterator[TagExample]:
    """Reads words a line, each sentence as an example that is called after its first line.

    Args:
        path: the file.
        word: number of the words' column from 1; by default the first.
        tag: that of the tags; by default the last.
        labelled: whether every word must have a tag; otherwise none is read.

    Raises:
        DataError: a line has more or fewer columns than the others, a word or a tag is empty, a
            column is not there, or the file is a table of another kind.
    """
    if kind_of(path) == ".csv":
        raise DataError(
            f"{path} is CSV, of which tagged words are not read: write a word and its tag a line, "
            "parted by a tab and named .tsv or .txt, or JSONL with the lists words and tags"
        )
    with open_text(path) as file:
        lines = [line.strip("\r\n") for line in file]
    # A comment may hold a tab where columns are parted by blanks.
    said = [line for line in lines if line.strip(_BLANK) and not line.startswith("#")]
    tabs = any("\t" in line.strip(_BLANK) for line in said or lines)
    parted = [line.split("\t") if tabs else _parted(line) for line in lines]
    counts = Counter(
        len(row)
        for line, row in zip(lines, parted, strict=True)
        if line.strip(_BLANK) and not (said and line.startswith("#"))
    )
    usual = counts.most_common(1)[0][0] if counts else 0
    columns = _Columns(word, tag, usual, labelled, path)
    sentences: list[_Lines] = []
    sentence: _Lines = []
    for number, (line, row) in enumerate(zip(lines, parted, strict=True), start=1):
        if not line.strip(_BLANK) or line.startswith(_DOCUMENT):
            if sentence:
                sentences.append(sentence)
            sentence = []
        elif _is_comment(line, len(row) != usual, not sentence):
            continue
        elif len(row) != usual:
            raise DataError(
                f"{path}: line {number} has {_columns(len(row))}, the others {usual}: "
                "give every word its tag, and part all columns alike"
            )
        elif not (columns.word and _PART.fullmatch(row[0])):
            sentence.append((number, row))
    if sentence:
        sentences.append(sentence)
    _check_first(sentences, columns, path)
    for lines_of in sentences:
        yield _sentence(lines_of, columns, path)


class _Columns:
    """Places of word and tag among the columns of CoNLL's layout; the tag's is -1 for none."""

    def __init__(self, word: str, tag: str, usual: int, labelled: bool, path: Path) -> None:
        self.given = bool(word)
        self.word = _place(word, 0, usual, path) if usual else 0
        self.tag = _place(tag, usual - 1, usual, path) if labelled else -1
        if self.tag == self.word:
            self.tag = -1
        self.labelled = labelled


def _place(column: str, otherwise: int, usual: int, path: Path) -> int:
    if not column:
        return otherwise
    if not column.isdecimal() or not 1 <= int(column) <= usual:
        raise DataError(
            f"{path} has {_columns(usual)}, and no column {column!r:.40}: give a number from 1"
        )
    return int(column) - 1


def _is_comment(line: str, ragged: bool, begins: bool) -> bool:
    """Whether a line is none of words: CoNLL-U's, MultiCoNER's and GermEval's begin with ``#``."""
    if not line.startswith(("# ", "#\t")):
        return False
    return ragged or (begins and _COMMENT.match(line) is not None)


def _check_first(sentences: Sequence[_Lines], columns: _Columns, path: Path) -> None:
    """Refuses a first column that counts words or sentences, and a line that names the columns."""
    if not sentences:
        return
    number, row = sentences[0][0]
    if columns.tag >= 0 and row[columns.word].strip().lower() in _HEADS_OF_WORDS:
        if row[columns.tag].strip().lower() in _HEADS_OF_TAGS:
            raise DataError(f"{path}: line {number} names the columns: drop it")
    if columns.given or not any(len(sentence) > 1 for sentence in sentences):
        return
    every = [row[0] for sentence in sentences for _, row in sentence]
    if not (len(row) > 2 and all(_COUNT.fullmatch(first) for first in every)):
        for sentence in sentences:
            firsts = [row[0] for _, row in sentence if not _PART.fullmatch(row[0])]
            counted = list(map(str, range(len(firsts) + 1)))
            if firsts not in (counted[:-1], counted[1:]):
                return
    raise DataError(
        f"{path}: line {number}: the first of {_columns(len(row))} counts the words: say which "
        "hold word and tag, by number from 1 (in a recipe word=2 and tag=…, else --word and --tag)"
    )


def _parted(line: str) -> list[str]:
    # Not split(): a no-break space belongs to its word.
    return [column for column in line.strip(_BLANK).split(" ") if column]


def _sentence(lines: _Lines, columns: _Columns, path: Path) -> TagExample:
    first, _ = lines[0]
    if columns.labelled and columns.tag < 0:
        raise DataError(
            f"{path}: line {first} has a word and no tag: put the tag behind it, after a tab"
        )
    for number, row in lines:
        for what, place in (("word", columns.word), ("tag", columns.tag)):
            if place >= 0 and not row[place].replace("\ufeff", "").strip():
                raise DataError(f"{path}: line {number} has an empty {what}: fill it in")
    tags = tuple(row[columns.tag].strip() for _, row in lines) if columns.tag >= 0 else ()
    return TagExample(
        id=f"line {first}", words=tuple(row[columns.word].strip() for _, row in lines), tags=tags
    )


def _columns(n: int) -> str:
    return f"{n} column" + "s" * (n != 1)
