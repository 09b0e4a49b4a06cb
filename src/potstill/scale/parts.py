"""A job's work in parts: what is done is on disk, checked, and never done again.

A part is so many consecutive rows of the input, cut into batches that an engine hands to its
workers. Its file holds what came of each row; it appears in one step, when all of it is there.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from potstill.bundle.atomic import write_bytes
from potstill.scale.predict import RowResult, Texts
from potstill.scale.sources import JobSource, SourceRow

BATCH_ROWS = 32
"""Rows that go to a worker at once. Answers may depend on their batch in the last digit, so it is
the same in every engine."""

Batch: TypeAlias = "list[Texts]"


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive rows of the input."""

    number: int
    rows: list[SourceRow]

    @property
    def batches(self) -> list[Batch]:
        """What the model reads of those rows that can be read, by batches."""
        readable = [row.texts for row in self.rows if not row.reason]
        return [readable[at : at + BATCH_ROWS] for at in range(0, len(readable), BATCH_ROWS)]

    @property
    def checksum(self) -> int:
        """CRC-32 of what the model reads, to tell whether the input is still the same."""
        total = 0
        for row in self.rows:
            for text in (*row.texts, row.reason):
                total = zlib.crc32(text.encode("utf-8", "surrogatepass") + b"\0", total)
        return total

    def join(self, said: Iterable[RowResult]) -> list[RowResult]:
        """What came of every row: what the model said, or why it was not asked."""
        answers = iter(said)
        return [RowResult(None, row.reason) if row.reason else next(answers) for row in self.rows]


def cut(rows: Iterable[SourceRow], part_rows: int) -> Iterator[Part]:
    """The parts of an input, in order, each in memory only while it is looked at."""
    rows = iter(rows)
    for number in itertools.count():
        own = list(itertools.islice(rows, part_rows))
        if not own:
            return
        yield Part(number, own)


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a job: the parts of an input, but for those that are done."""

    source: JobSource
    part_rows: int
    done: frozenset[int] = frozenset()

    def parts(
        self,
        moved: Callable[[int], None] = lambda _: None,
        passed: Callable[[int, bool], None] = lambda _, __: None,
    ) -> Iterator[Part]:
        """The parts, in order.

        Args:
            moved: as `JobSource.rows` takes it.
            passed: told the rows of every part that is left out, and that they are not new.
        """
        for part in cut(self.source.rows(moved), self.part_rows):
            if part.number in self.done:
                passed(len(part.rows), False)
            else:
                yield part


class Parts:
    """The files of finished parts, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, number: int) -> Path:
        """The file of a part."""
        return self._folder / f"part-{number:06d}.jsonl"

    def find(self) -> tuple[dict[int, int], list[str]]:
        """The finished parts with their rows, and what is wrong with the others.

        A file that is damaged is removed: its rows are read again.
        """
        done: dict[int, int] = {}
        notes: list[str] = []
        for file in sorted(self._folder.glob("part-*.jsonl")):
            number = int(file.stem.partition("-")[2])
            try:
                done[number] = len(_read(file)[1])
            except _Damaged as error:
                notes.append(f"{file.name} is damaged ({error}): its rows are read again")
                file.unlink(missing_ok=True)
        return done, notes

    def write(self, part: Part, said: list[RowResult]) -> None:
        """Keeps what came of a part.

        Raises:
            OutputError: it could not be written; the parts before it are as they were.
        """
        assert len(said) == len(part.rows)
        lines = [json.dumps([one.values, one.reason]) for one in said]
        body = "".join(line + "\n" for line in lines).encode()
        head = {"part": part.number, "rows": len(said), "input": part.checksum}
        header = json.dumps({**head, "crc32": zlib.crc32(body)})
        write_bytes(self.file(part.number), header.encode() + b"\n" + body)

    def read(self, part: Part) -> list[RowResult] | None:
        """What came of a part; ``None`` where its rows are no longer those it was made of.

        Raises:
            OSError: the file is gone or damaged.
        """
        try:
            head, said = _read(self.file(part.number))
        except _Damaged as error:
            raise OSError(f"{self.file(part.number).name} is damaged ({error})") from None
        return said if head["input"] == part.checksum and len(said) == len(part.rows) else None

    def clear(self) -> None:
        """Removes every part."""
        for file in self._folder.glob("part-*.jsonl"):
            file.unlink(missing_ok=True)


class _Damaged(Exception):
    """Says why a part cannot be read."""


def _read(file: Path) -> tuple[dict[str, Any], list[RowResult]]:
    try:
        header, _, body = file.read_bytes().partition(b"\n")
        head = json.loads(header)
        if head["crc32"] != zlib.crc32(body):
            raise _Damaged("its checksum is wrong")
        said = [RowResult(values, reason) for values, reason in map(json.loads, body.splitlines())]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _Damaged(str(error) or type(error).__name__) from None
    if len(said) != head["rows"]:
        raise _Damaged("rows are missing")
    return head, said
