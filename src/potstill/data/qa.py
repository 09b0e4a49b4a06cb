"""Question-answering files → examples, with every answer's offset checked at load."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from potstill.data.files import read_json
from potstill.data.squad import read_squad
from potstill.data.table import read_csv, read_jsonl, read_rows
from potstill.errors import DataError
from potstill.records import QAExample

_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv")


@dataclass(frozen=True, slots=True, kw_only=True)
class QAData:
    """A question-answering file, read."""

    examples: list[QAExample]
    wrong_offsets: int = 0
    """Answers that are not at their ``answer_start`` (0 after ``offsets="fix"``)."""
    unplaced: int = 0
    """Answers without an ``answer_start`` that do not occur in their context."""
    version: str | None = None
    """The file's own ``version``, where it has one."""
    first_wrong: str | None = None
    """Id of the first question counted in ``wrong_offsets`` or ``unplaced``."""

    @property
    def no_answer(self) -> bool:
        """Whether the rules of SQuAD v2.0 apply: some questions may have no answer."""
        version = (self.version or "").lower().removeprefix("v")
        return version.startswith("2") or any(e.is_impossible for e in self.examples)

    @property
    def warning(self) -> str | None:
        """One line on answers that are not where the file says; ``None`` where all are."""
        if not self.wrong_offsets and not self.unplaced:
            return None
        return (
            f"{self.wrong_offsets + self.unplaced} answers are not in their context where the "
            f"file says (first: question {self.first_wrong!r}); scores do not use offsets"
        )


def load_qa(path: str | Path, *, offsets: Literal["strict", "fix", "keep"] = "keep") -> QAData:
    """Loads SQuAD v1.1 or v2.0 JSON, or one's own CSV, TSV or JSONL; plain, ``.gz`` or ``.xz``.

    The offset of an answer is right where ``context[start:start + len(text)] == text``, counted in
    code points. An answer without an ``answer_start`` is placed at its first occurrence as a whole
    word, or else at its first occurrence.

    Args:
        path: the file; its name says the format.
        offsets: what to do about answers that are not where the file says. ``"strict"`` refuses
            the file, ``"fix"`` moves each to the occurrence nearest to the claim, and ``"keep"``
            leaves them and counts them in ``wrong_offsets`` and ``unplaced``.

    Raises:
        DataError: the file cannot be read or holds something wrong, an id occurs twice, or
            (``"strict"``, ``"fix"``) an answer is not in its context.
    """
    path = Path(path)
    version, rows = open_questions(path)
    examples, wrong, unplaced = [], [], []
    for row in rows:
        example = replace(row, starts=_placed(row)) if None in row.starts else row
        if None in example.starts:
            unplaced.append(example.id)
        bad = sum(not _is_at(example.context, *pair) for pair in _claims(example))
        if bad and offsets == "fix":
            example = replace(example, starts=_nearest(example, path))
        elif bad:
            wrong.extend([example.id] * bad)
        examples.append(example)
    check_ids(examples, path)
    if not examples:
        raise DataError(f"{path} holds no questions")
    first = (wrong + unplaced)[0] if wrong or unplaced else None
    if offsets != "keep" and unplaced:
        raise DataError(
            f"{path}: {len(unplaced)} answers do not occur in their context "
            f"(first: question {unplaced[0]!r}): correct or drop them"
        )
    if offsets == "strict" and wrong:
        raise DataError(
            f"{path}: {len(wrong)} answers are not at their answer_start "
            f"(first: question {wrong[0]!r}): fix_offsets=true re-finds each nearest to its claim"
        )
    return QAData(
        examples=examples,
        wrong_offsets=len(wrong),
        unplaced=len(unplaced),
        version=version,
        first_wrong=first,
    )


def open_questions(path: Path, *, labelled: bool = True) -> tuple[str | None, Iterable[QAExample]]:
    """The SQuAD version a file names, if it does, and its questions, read as they are asked for."""
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in (".gz", ".xz")]
    kind = suffixes[-1] if suffixes else ""
    if kind in (".jsonl", ".ndjson"):
        return None, read_jsonl(path)
    if kind in (".csv", ".tsv"):
        return None, read_csv(path, delimiter="," if kind == ".csv" else "\t")
    if kind != ".json" and path.is_file():
        known = ", ".join(_SUFFIXES)
        raise DataError(f"{path} has no known suffix: name it {known}, alone or with .gz or .xz")
    values = read_json(path)
    if isinstance(values, list):
        return None, read_rows(values, str(path))
    version = values.get("version") if isinstance(values, dict) else None
    return (None if version is None else str(version)), read_squad(
        values, str(path), labelled=labelled
    )


def _claims(example: QAExample) -> list[tuple[str, int]]:
    pairs = zip(example.answers, example.starts, strict=True)
    return [(text, start) for text, start in pairs if start is not None]


def _is_at(context: str, text: str, start: int) -> bool:
    # startswith would take a negative start from the end, and an empty text anywhere.
    return bool(text) and start >= 0 and context.startswith(text, start)


def _placed(example: QAExample) -> tuple[int | None, ...]:
    pairs = zip(example.answers, example.starts, strict=True)
    return tuple(_first(example.context, text) if start is None else start for text, start in pairs)


def _first(context: str, text: str) -> int | None:
    if not text:
        return None
    whole = re.search(rf"(?<!\w){re.escape(text)}(?!\w)", context)
    if whole:
        return whole.start()
    start = context.find(text)
    return None if start < 0 else start


def _nearest(example: QAExample, path: Path) -> tuple[int | None, ...]:
    starts: list[int | None] = []
    for text, claim in zip(example.answers, example.starts, strict=True):
        if claim is None:
            starts.append(None)
            continue
        at = min(max(claim, 0), len(example.context))
        left = example.context.rfind(text, 0, at + len(text)) if text else -1
        right = example.context.find(text, at) if text else -1
        found = [start for start in (left, right) if start >= 0]
        if not found:
            raise DataError(
                f"{path}: question {example.id!r}: its answer {_short(text)!r} does not occur in "
                "its context: correct or drop it"
            )
        starts.append(min(found, key=lambda start: abs(start - at)))
    return tuple(starts)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def check_ids(examples: list[QAExample], path: Path) -> None:
    """Refuses questions that share an id.

    Raises:
        DataError: two of them do.
    """
    counts = Counter(example.id for example in examples)
    if len(counts) < len(examples):
        first = next(name for name, count in counts.items() if count > 1)
        raise DataError(
            f"{path}: {len(examples) - len(counts)} questions repeat an id (first: {first!r}): "
            "give each its own"
        )
