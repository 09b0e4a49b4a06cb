"""Question-answering files → examples, with every answer's offset checked at load."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from potstill.data.files import read_json
from potstill.data.hub_set import local_data
from potstill.data.squad import is_v2, read_squad, row_example
from potstill.data.table import is_by_number, is_lines, kind_of, read_rows, rows_of_json
from potstill.errors import DataError
from potstill.records import QAExample

_Offsets: TypeAlias = Literal["strict", "fix", "keep"]


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
    contradicted: int = 0
    """Questions that have answers and are said to be impossible, which is believed."""
    first_contradicted: str | None = None
    """Id of the first of them."""

    @property
    def no_answer(self) -> bool:
        """Whether the rules of SQuAD v2.0 apply: some questions may have no answer."""
        return is_v2(self.version) or any(e.is_impossible for e in self.examples)

    @property
    def warning(self) -> str | None:
        """One line on what the file says and cannot mean; ``None`` where there is nothing."""
        found: list[str] = []
        if self.wrong_offsets or self.unplaced:
            found.append(
                f"{self.wrong_offsets + self.unplaced} answers are not in their context where the "
                f"file says (first: question {self.first_wrong!r}); scores do not use offsets"
            )
        if self.contradicted:
            found.append(
                f"questions that have answers and are said to be impossible: {self.contradicted} "
                f"(first: {self.first_contradicted!r}); they count as impossible"
            )
        return "; ".join(found) or None

    def check_golds(self, path: str | Path) -> None:
        """Refuses questions of which nobody has said what their answer is.

        Args:
            path: the file, for the message.

        Raises:
            DataError: there are such.
        """
        bare = [e.id for e in self.examples if not e.answers and not e.is_impossible]
        if bare:
            raise DataError(
                f"{path}: questions without a gold answer: {len(bare)} (first: {bare[0]!r}): give "
                "each one, or say is_impossible: true where the context holds none"
            )


def load_qa(path: str | Path, *, offsets: _Offsets = "keep") -> QAData:
    """Loads SQuAD v1.1 or v2.0 JSON, or one's own rows in CSV, TSV, JSON, JSONL or Parquet.

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
    path = local_data(path)
    contradicted: list[str] = []
    version, rows = open_questions(path, contradicted=contradicted)
    examples, wrong, unplaced = [], [], []
    for row in rows:
        for what, text in (("question", row.question), ("context", row.context)):
            if not text.strip():
                raise DataError(
                    f"{path}: question {row.id!r} has an empty {what}: fill it in or drop it"
                )
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
        contradicted=len(contradicted),
        first_contradicted=contradicted[0] if contradicted else None,
    )


def open_questions(
    path: Path, *, labelled: bool = True, contradicted: list[str] | None = None
) -> tuple[str | None, Iterable[QAExample]]:
    """The SQuAD version a file names, if it does, and its questions, read as they are asked for.

    Args:
        path: the file; its name says the format.
        labelled: whether answers must be there.
        contradicted: takes the ids of the questions that have answers and are said to have none.
    """
    how: dict[str, Any] = {"labelled": labelled, "contradicted": contradicted}
    if kind_of(path) != ".json" or is_lines(path):
        return None, read_rows(path, **how)
    values = read_json(path)
    articles: Any = values.get("data", values) if isinstance(values, dict) else values
    version = values.get("version") if isinstance(values, dict) else None
    version = None if version is None else str(version)
    first: Any = articles[0] if isinstance(articles, list) and articles else articles
    split = is_by_number(values) or (isinstance(values, dict) and "columns" in values)
    if split or (isinstance(first, dict) and "question" in first and "paragraphs" not in first):
        found = enumerate(rows_of_json(values, path), start=1)
        return version, (
            row_example(row, number, f"{path}: row {number}", **how) for number, row in found
        )
    return version, read_squad(values, str(path), **how)


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
