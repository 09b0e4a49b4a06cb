"""Files of tagged words → examples whose tags all follow one scheme, IOB2.

Two layouts. CoNLL's: a word a line with its tag in the last column, columns parted by tabs or by
blanks, a blank line behind each sentence. JSONL: an object a line with the lists ``words`` (or
``tokens``) and ``tags``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from potstill.data.conll import read_conll
from potstill.data.files import take
from potstill.data.hub_set import local_data
from potstill.data.labels import UnmatchedError, match_labels, some, twins
from potstill.data.squad import as_id
from potstill.data.table import TableRow, check_accepted, kind_of, rows
from potstill.errors import DataError
from potstill.records import TagExample

Scheme: TypeAlias = Literal["spans", "plain"]
"""``spans``: tags mark where names begin and go on (IOB1, IOB2, BIOES, BILOU); ``plain``: every
tag stands for itself, as parts of speech do."""

OUTSIDE = "O"
"""The tag of a word that is part of no name."""

_ROW_SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet")
_WORD_KEYS, _TAG_KEYS = ("words", "tokens"), ("tags", "ner_tags", "labels")
_SPAN_TAG = re.compile(r"([BIESLUM])(?:-(.+))?")
_NEARLY = re.compile(r"[bi]-.+|[BIbi][_\u2010-\u2015].+|\(?[^()*]*\*\)?", re.DOTALL)
"""Tags of spans in lower case, with another sign, or in the brackets of CoNLL's later years."""
_JOINED = re.compile(r".+[/_|](?:O|[BIESLU]-[^/_|]+)", re.DOTALL)
_BEGINS, _GOES_ON = frozenset("BSU"), frozenset("IELM")


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
    renamed: str = ""
    """Which types were read as others of a model; empty where none was."""

    @property
    def n_words(self) -> int:
        """Words of all examples."""
        return sum(len(example.words) for example in self.examples)

    @property
    def note(self) -> str | None:
        """One line on what was rewritten; ``None`` where nothing was."""
        scheme = f"tags of another scheme, read as IOB2: {self.changed:,}" if self.changed else ""
        found = "; ".join(part for part in (scheme, self.renamed) if part)
        return f"{self.path}: {found}" if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagLayout:
    """Where words and tags stand in a file."""

    word: str = ""
    """Column of the words: its number from 1, in JSONL its key. By default the first, in JSONL
    ``words`` or ``tokens``."""
    tag: str = ""
    """Column of the tags. By default the last, in JSONL ``tags``, ``ner_tags`` or ``labels``."""
    labels: tuple[str, ...] = ()
    """What the numbers 0, 1, … mean, where tags are numbers."""
    scheme: Scheme | None = None
    """How tags are meant; by default ``spans`` where some tag is ``O`` or begins with ``B-`` or
    ``I-``, otherwise ``plain``."""


def tag_layout_for(recipe: Mapping[str, Any], given: Mapping[str, Any]) -> TagLayout:
    """The layout of files that a model is scored on: as in its recipe, but for what is given."""
    known = {key: recipe[key] for key in ("word", "tag", "labels") if recipe.get(key)}
    values = {**known, **given}
    return TagLayout(
        word=values.get("word", ""),
        tag=values.get("tag", ""),
        labels=tuple(values.get("labels", ())),
    )


def load_tags(
    path: str | Path, layout: TagLayout | None = None, *, labelled: bool = True
) -> TagData:
    """Loads tagged words; plain, ``.gz`` or ``.xz``.

    IOB1, BIOES and BILOU become IOB2: a name begins with ``B-``, goes on with ``I-``. As in
    ``conlleval``, ``I-x`` behind anything but ``B-x`` or ``I-x`` begins a name too, so that IOB1
    and slips in IOB2 are read alike.

    Args:
        path: ``.jsonl``, ``.ndjson``, ``.json`` or ``.parquet`` for rows with lists, CoNLL's layout
            under any other name.
        layout: where words and tags stand in it.
        labelled: whether every word must have a tag; otherwise none is read.

    Raises:
        DataError: the file cannot be read or holds no words, a word has no tag, a line has more or
            fewer columns than the others, the first column only counts the words, a tag does not
            fit the scheme, or tags are numbers and nobody says what they mean.
    """
    path, layout = local_data(path), layout or TagLayout()
    if kind_of(path) in _ROW_SUFFIXES:
        examples = [_of_row(row, layout, labelled) for row in rows(path)]
    else:
        examples = list(read_conll(path, word=layout.word, tag=layout.tag, labelled=labelled))
    if not examples:
        raise DataError(f"{path} holds no words: give a file with a word and its tag a line")
    examples = _tags_by_name(examples, path, layout.labels)
    return _in_one_scheme(examples, path, layout.scheme)


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


def for_model(data: TagData, labels: Sequence[str], trained_on: str) -> TagData:
    """A file's tags as those of a model: their types by the names that the model has for them.

    Args:
        data: to be scored or trained on.
        labels: the model's; it may use another scheme of spans than the file.
        trained_on: what to call the data they are from.

    Raises:
        DataError: names the first tag that the model cannot give.
    """
    spans = data.scheme == "spans"
    known = _kinds(labels) if spans else list(labels)
    found = _kinds(data.labels) if spans else list(data.labels)
    try:
        matched = match_labels(found, known)
    except UnmatchedError as error:
        raise DataError(_strange(data, error.name, spans, labels, trained_on)) from None
    if spans and OUTSIDE in data.labels and OUTSIDE not in labels:
        raise DataError(_strange(data, OUTSIDE, False, labels, trained_on))
    if not matched.note:
        return data
    renamed = {tag: _renamed(tag, matched.names, spans) for tag in data.labels}
    examples = [replace(e, tags=tuple(renamed[tag] for tag in e.tags)) for e in data.examples]
    every = tuple(renamed[tag] for tag in data.labels)
    return replace(data, examples=examples, labels=every, renamed=matched.note)


def in_scheme_of(tags: Sequence[str], labels: Collection[str]) -> list[str]:
    """Tags in IOB2 as a model with these labels gives them, be they of BIOES, BILOU or IO.

    A tag that the model has no form of stays as it is.
    """
    found: list[str] = []
    for i, tag in enumerate(tags):
        prefix, _, kind = tag.partition("-")
        ends = i + 1 == len(tags) or tags[i + 1] != f"I-{kind}"
        ways = {("B", True): "SUBI", ("B", False): "BI", ("I", True): "ELI", ("I", False): "I"}
        forms = [f"{way}-{kind}" for way in ways.get((prefix, ends), "")]
        found.append(next((form for form in forms if form in labels), tag))
    return found


def _kinds(labels: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(_kind(label) for label in labels if label != OUTSIDE))


def _renamed(tag: str, names: Mapping[str, str], spans: bool) -> str:
    if not spans:
        return names[tag]
    prefix, dash, kind = tag.partition("-")
    return prefix + dash + names[kind] if dash else tag


def _strange(data: TagData, name: str, spans: bool, labels: Sequence[str], trained_on: str) -> str:
    for example in data.examples:
        for word, tag in zip(example.words, example.tags, strict=bool(example.tags)):
            if (_kind(tag) if spans and tag != OUTSIDE else tag) == name:
                return (
                    f"{data.path}: {example.id}: the tag {tag!r:.60} of {word!r:.60} is not among "
                    f"those of {trained_on} ({some(labels)}): correct it, or train with data that "
                    "have it"
                )
    return f"{data.path}: the tag {name!r} is not among those of {trained_on} ({some(labels)})"


def _of_row(row: TableRow, layout: TagLayout, labelled: bool) -> TagExample:
    values, where = row.values, row.where
    key = layout.word or next((key for key in _WORD_KEYS if key in values), _WORD_KEYS[0])
    words = take(values, key, list, where)
    check_accepted(values, where)
    tags: list[Any] = []
    tag_keys = [name for name in _TAG_KEYS if values.get(name) is not None]
    tag_key = layout.tag or (tag_keys[0] if tag_keys else _TAG_KEYS[0])
    if labelled and len(tag_keys) > 1 and not layout.tag:
        raise DataError(f"{where} has both {tag_keys[0]!r} and {tag_keys[1]!r}: say which by tag=…")
    if labelled:
        tags = take(values, tag_key, list, where)
    if not words:
        raise DataError(f"{where}: {key!r} is an empty list: drop the row")
    if labelled and len(tags) != len(words):
        raise DataError(f"{where} has {len(words)} words and {len(tags)} tags: give each its own")
    tags = [str(tag) if isinstance(tag, int) and not isinstance(tag, bool) else tag for tag in tags]
    for what, found in ((key, words), (tag_key, tags)):
        for value in found:
            if not isinstance(value, str):
                raise DataError(f"{where}: {value!r} in {what!r} is not a string: give its name")
            if not value.strip():
                raise DataError(f"{where} has an empty string in {what!r}: fill it in")
    named = values.get("id") is not None
    name = f"row {as_id(values['id'])}" if named else where.rpartition(": ")[2]
    return TagExample(id=name, words=tuple(words), tags=tuple(tags))


def _tags_by_name(
    examples: list[TagExample], path: Path, labels: Sequence[str]
) -> list[TagExample]:
    """Tags that are numbers as the names that somebody has given them."""
    tags = {tag for example in examples for tag in example.tags}
    if not tags or not all(tag.removeprefix("-").isdecimal() for tag in tags):
        return examples
    missing = next((e for e in examples if any(tag.startswith("-") for tag in e.tags)), None)
    if missing:
        at = next(i for i, tag in enumerate(missing.tags) if tag.startswith("-"))
        raise DataError(
            f"{path}: {missing.id}: the tag {missing.tags[at]!r} of {missing.words[at]!r:.60} "
            "stands for a word that is left out in training: give every word its own"
        )
    if not labels:
        raise DataError(
            f"{path}: {examples[0].id}: the tag {examples[0].tags[0]!r} is a number: say what 0, "
            "1, … mean, in order, by labels (in a recipe labels=[…], else --labels O,B-PER,…)"
        )
    if max(map(int, tags)) >= len(labels):
        raise DataError(
            f"{path}: the tag {max(map(int, tags))} is a number, and labels names only those from "
            f"0 to {len(labels) - 1}: name them all"
        )
    return [replace(e, tags=tuple(labels[int(tag)] for tag in e.tags)) for e in examples]


def _in_one_scheme(examples: list[TagExample], path: Path, scheme: Scheme | None) -> TagData:
    tags = Counter(tag for example in examples for tag in example.tags)
    if scheme is None:
        marked = OUTSIDE in tags or any(tag.startswith(("B-", "I-")) for tag in tags)
        scheme = "spans" if marked else "plain"
        strange = next((tag for tag in tags if _NEARLY.fullmatch(tag)), "") if not marked else ""
        if strange or set(tags) == {"_"}:
            raise DataError(
                f"{path}: the tag {strange or '_'!r:.60} is not a tag of a scheme that is read: "
                "write O, B-x and I-x, or say which column holds the tags (tag=…)"
            )
        if not marked:
            _check_words(examples, path, tags)
    if scheme == "plain":
        labels = tuple(sorted(tags, key=lambda tag: (tag != OUTSIDE, tag)))
        return TagData(path=str(path), examples=examples, scheme=scheme, labels=labels)
    _check_tags(examples, path, tags)
    found = [replace(example, tags=tuple(to_iob2(example.tags))) for example in examples]
    pairs = zip(examples, found, strict=True)
    changed = sum(a != b for old, new in pairs for a, b in zip(old.tags, new.tags, strict=True))
    kinds = sorted({_kind(tag) for tag in tags if tag != OUTSIDE})
    two = twins(kinds)
    if two:
        raise DataError(
            f"{path}: the types {two[0]!r:.40} and {two[1]!r:.40} differ in case or signs alone: "
            "write them alike"
        )
    names = [p + (f"-{kind}" if kind else "") for kind in kinds for p in "BI"]
    labels = (OUTSIDE, *names) if tags else ()
    return TagData(path=str(path), examples=found, scheme=scheme, labels=labels, changed=changed)


def _check_words(examples: Sequence[TagExample], path: Path, tags: Iterable[str]) -> None:
    """Refuses columns the other way round, and a word and its tag in one."""
    words = {word for example in examples for word in example.words} - {OUTSIDE}
    if words and all("-" in word and _SPAN_TAG.fullmatch(word) for word in words):
        raise DataError(
            f"{path}: {examples[0].id}: the word {examples[0].words[0]!r:.60} is a tag: put the "
            "words first, or say which columns hold word and tag (word=…, tag=…)"
        )
    joined = next((tag for tag in tags if _JOINED.fullmatch(tag)), None)
    if joined:
        raise DataError(
            f"{path}: the tag {joined!r:.60} is a word with its tag: write each word on a line of "
            "its own, its tag behind a tab"
        )


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
