"""Files of tagged words → examples whose tags all follow one scheme, IOB2.

Two layouts. CoNLL's: a word a line with its tag in the last column, columns parted by tabs or by
blanks, a blank line behind each sentence. JSONL: an object a line with the lists ``words`` (or
``tokens``) and ``tags``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from potstill.data.files import open_text, parse_json, take
from potstill.data.squad import as_id
from potstill.errors import DataError
from potstill.records import TagExample

Scheme: TypeAlias = Literal["spans", "plain"]
"""``spans``: tags mark where names begin and go on (IOB1, IOB2, BIOES, BILOU); ``plain``: every
tag stands for itself, as parts of speech do."""

OUTSIDE = "O"
"""The tag of a word that is part of no name."""

_JSON_SUFFIXES = (".jsonl", ".ndjson")
_SPAN_TAG = re.compile(r"([BIESLUM])(?:-(.+))?")
_BEGINS, _GOES_ON = frozenset("BSU"), frozenset("IELM")
_DOCUMENT = "-DOCSTART-"
_BLANK = " \t\r\n\ufeff"
_Lines: TypeAlias = "list[tuple[int, list[str]]]"
"""The lines of a sentence: the number of each in its file, and its columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagData:
    """A file of tagged words, read."""

    path: str
    examples: list[TagExample]
    """The id of each is where it stands: ``line 7`` for the line of its first word."""
    scheme: Scheme
    labels: tuple[str, ...]
    """Every tag a model of these data may give, ``O`` first, ``I-x`` behind ``B-x``. A type has
    both, whether or not one of its names has several words. Empty where nothing is tagged."""
    changed: int = 0
    """Tags of another scheme that were rewritten as IOB2."""

    @property
    def n_words(self) -> int:
        """Words of all examples."""
        return sum(len(example.words) for example in self.examples)

    @property
    def note(self) -> str | None:
        """One line on what was rewritten; ``None`` where nothing was."""
        if not self.changed:
            return None
        return f"{self.path}: tags of another scheme, read as IOB2: {self.changed:,}"


def load_tags(path: str | Path, *, scheme: Scheme | None = None, labelled: bool = True) -> TagData:
    """Loads tagged words; plain, ``.gz`` or ``.xz``.

    IOB1, BIOES and BILOU become IOB2: a name begins with ``B-``, goes on with ``I-``. As in
    ``conlleval``, ``I-x`` behind anything but ``B-x`` or ``I-x`` begins a name too, so that IOB1
    and slips in IOB2 are read alike.

    Args:
        path: ``.jsonl`` or ``.ndjson`` for JSONL, CoNLL's layout under any other name.
        scheme: how tags are meant; by default ``spans`` where some tag is ``O`` or begins with
            ``B-`` or ``I-``, otherwise ``plain``.
        labelled: whether every word must have a tag.

    Raises:
        DataError: the file cannot be read or holds no words, a word has no tag, a line has more or
            fewer columns than the others, or a tag does not fit the scheme.
    """
    path = Path(path)
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in (".gz", ".xz")]
    if suffixes and suffixes[-1] in _JSON_SUFFIXES:
        examples = list(_read_jsonl(path, labelled))
    else:
        examples = list(_read_conll(path, labelled))
    if not examples:
        raise DataError(f"{path} holds no words: give a file with a word and its tag a line")
    return _in_one_scheme(examples, path, scheme)


def to_iob2(tags: Sequence[str]) -> list[str]:
    """The tags of one sentence in IOB1, IOB2, BIOES or BILOU, as IOB2; others stay as they are."""
    found: list[str] = []
    before: str | None = None
    for tag in tags:
        match = _SPAN_TAG.fullmatch(tag)
        if match is None:
            found.append(tag)
            before = None
            continue
        prefix, kind = match[1], match[2] or ""
        begins = prefix in _BEGINS or before != kind
        found.append(("B" if begins else "I") + (f"-{kind}" if kind else ""))
        # Behind the last word of a name in BIOES nothing goes on.
        before = None if prefix in "ESLU" else kind
    return found


def check_labels(data: TagData, labels: Sequence[str], trained_on: str) -> None:
    """Checks that a model knows every tag of a file, or its type where tags mark spans.

    Args:
        data: to be scored.
        labels: the model's.
        trained_on: what to call the data they are from.

    Raises:
        DataError: names the first tag that the model cannot give.
    """
    known = set(labels)
    if data.scheme == "spans":  # a model may use another scheme of spans than a file
        kinds = {_kind(label) for label in labels if label != OUTSIDE}
        known |= {tag for tag in data.labels if tag == OUTSIDE or _kind(tag) in kinds}
    for example in data.examples:
        for word, tag in zip(example.words, example.tags, strict=bool(example.tags)):
            if tag not in known:
                raise DataError(
                    f"{data.path}: {example.id}: the tag {tag!r} of {word!r} is not among those of "
                    f"{trained_on} ({_some(labels)}): correct it, or train with data that have it"
                )


def _read_conll(path: Path, labelled: bool) -> Iterator[TagExample]:
    with open_text(path) as file:
        lines = [line.strip("\r\n") for line in file]
    tabs = any("\t" in line.strip(_BLANK) for line in lines)
    rows = [line.split("\t") if tabs else _parted(line) for line in lines]
    counts = Counter(len(row) for line, row in zip(lines, rows, strict=True) if line.strip(_BLANK))
    usual = counts.most_common(1)[0][0] if counts else 0
    sentence: _Lines = []
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), start=1):
        if not line.strip(_BLANK) or line.startswith(_DOCUMENT):
            if sentence:
                yield _sentence(sentence, path, labelled)
            sentence = []
        elif not (line.startswith("# ") and len(row) != usual):  # else a comment, as in CoNLL-U
            if len(row) != usual:
                raise DataError(
                    f"{path}: line {number} has {_columns(len(row))}, the others {usual}: "
                    "give every word its tag, and part all columns alike"
                )
            sentence.append((number, row))
    if sentence:
        yield _sentence(sentence, path, labelled)


def _parted(line: str) -> list[str]:
    # Not split(): a no-break space belongs to its word.
    return [column for column in line.strip(_BLANK).split(" ") if column]


def _sentence(lines: _Lines, path: Path, labelled: bool) -> TagExample:
    first, row = lines[0]
    if labelled and len(row) < 2:
        raise DataError(
            f"{path}: line {first} has a word and no tag: put the tag behind it, after a tab"
        )
    for number, row in lines:
        for what, value in (("word", row[0]), ("tag", row[-1])):
            if not value.replace("\ufeff", "").strip():
                raise DataError(f"{path}: line {number} has an empty {what}: fill it in")
    return TagExample(
        id=f"line {first}",
        words=tuple(row[0].strip() for _, row in lines),
        tags=tuple(row[-1].strip() for _, row in lines) if len(row) > 1 else (),
    )


def _read_jsonl(path: Path, labelled: bool) -> Iterator[TagExample]:
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                where = f"{path}: line {number}"
                yield _json_example(parse_json(line, where), number, where, labelled)


def _json_example(row: Any, number: int, where: str, labelled: bool) -> TagExample:
    key = "tokens" if isinstance(row, dict) and "words" not in row and "tokens" in row else "words"
    words = take(row, key, list, where)
    tags = take(row, "tags", list, where) if labelled or row.get("tags") is not None else []
    if not words:
        raise DataError(f"{where}: {key!r} is an empty list: drop the row")
    if (labelled or tags) and len(tags) != len(words):
        raise DataError(f"{where} has {len(words)} words and {len(tags)} tags: give each its own")
    for what, values in ((key, words), ("tags", tags)):
        for value in values:
            if not isinstance(value, str):
                raise DataError(f"{where}: {value!r} in {what!r} is not a string: give its name")
            if not value.strip():
                raise DataError(f"{where} has an empty string in {what!r}: fill it in")
    name = f"row {as_id(row['id'])}" if row.get("id") is not None else f"line {number}"
    return TagExample(id=name, words=tuple(words), tags=tuple(tags))


def _in_one_scheme(examples: list[TagExample], path: Path, scheme: Scheme | None) -> TagData:
    tags = Counter(tag for example in examples for tag in example.tags)
    if scheme is None:
        marked = OUTSIDE in tags or any(tag.startswith(("B-", "I-")) for tag in tags)
        scheme = "spans" if marked else "plain"
    if scheme == "plain":
        labels = tuple(sorted(tags, key=lambda tag: (tag != OUTSIDE, tag)))
        return TagData(path=str(path), examples=examples, scheme=scheme, labels=labels)
    _check_tags(examples, path, tags)
    found = [replace(example, tags=tuple(to_iob2(example.tags))) for example in examples]
    pairs = zip(examples, found, strict=True)
    changed = sum(a != b for old, new in pairs for a, b in zip(old.tags, new.tags, strict=True))
    kinds = sorted({_kind(tag) for tag in tags if tag != OUTSIDE})
    names = [p + (f"-{kind}" if kind else "") for kind in kinds for p in "BI"]
    labels = (OUTSIDE, *names) if tags else ()
    return TagData(path=str(path), examples=found, scheme=scheme, labels=labels, changed=changed)


def _check_tags(examples: Iterable[TagExample], path: Path, tags: Iterable[str]) -> None:
    wrong = {tag for tag in tags if tag != OUTSIDE and not _SPAN_TAG.fullmatch(tag)}
    for example in examples if wrong else ():
        for word, tag in zip(example.words, example.tags, strict=True):
            if tag in wrong:
                raise DataError(
                    f"{path}: {example.id}: the tag {tag!r} of {word!r} is neither O nor begins "
                    "with B- or I-: correct it, or read all tags as they are (scheme=plain)"
                )


def _kind(tag: str) -> str:
    match = _SPAN_TAG.fullmatch(tag)
    return (match[2] or "") if match else ""


def _columns(n: int) -> str:
    return f"{n} column" + "s" * (n != 1)


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:8]) + (", …" if len(labels) > 8 else "")
