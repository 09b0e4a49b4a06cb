"""Training rows with what teachers said about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from potstill.errors import RecipeError
from potstill.records import QAExample
from potstill.text.tokenizer import Encoded, Tokenizer
from potstill.training.qa.projection import project
from potstill.training.qa.rows import QARows
from potstill.training.qa.teacher_cache import Outputs, TeacherCache, WindowOutput
from potstill.training.qa.teachers import Teacher

_CHUNK = 1000
"""Examples tokenized at once."""


@dataclass(frozen=True, slots=True, eq=False)
class DistilRows:
    """Rows with gold labels, and a teacher's distributions where it was asked.

    Attributes:
        rows: windows and gold labels.
        has_gold: whether a row's label is to be learned, bool ``[n_rows]``.
        has_teacher: whether the teacher's distributions are, bool ``[n_rows]``.
        start: the teachers' probability of every position to be the start, float16
            ``[n_tokens]``, rows one behind the other as in ``rows.ids``.
        end: as ``start``.
    """

    rows: QARows
    has_gold: npt.NDArray[np.bool_]
    has_teacher: npt.NDArray[np.bool_]
    start: npt.NDArray[np.float16]
    end: npt.NDArray[np.float16]

    @classmethod
    def empty(
        cls, rows: QARows, has_gold: npt.NDArray[np.bool_], has_teacher: npt.NDArray[np.bool_]
    ) -> DistilRows:
        """Rows whose teachers have yet to be asked."""
        n_tokens = int(rows.bounds[-1])
        zeros = np.zeros(n_tokens, np.float16), np.zeros(n_tokens, np.float16)
        return cls(rows, has_gold, has_teacher, *zeros)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each row."""
        return self.rows.lengths

    def batch(self, rows: list[int]) -> dict[str, Tensor]:
        """As `QARows.batch`, with ``teacher_start``, ``teacher_end`` and the two flags."""
        batch = self.rows.batch(rows)
        shape = tuple(batch["input_ids"].shape)
        for name, values in (("teacher_start", self.start), ("teacher_end", self.end)):
            padded = np.zeros(shape, np.float32)
            for i, row in enumerate(rows):
                own = values[self.rows.bounds[row] : self.rows.bounds[row + 1]]
                padded[i, : len(own)] = own
            batch[name] = torch.from_numpy(padded)
        batch["has_gold"] = torch.from_numpy(self.has_gold[rows])
        batch["has_teacher"] = torch.from_numpy(self.has_teacher[rows])
        return batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """How teachers' logits become a student's targets."""

    temperature: float
    mixture: Sequence[float]
    """Weight of each teacher; they sum to 1."""
    whole_rows: bool = False
    """Position by position over whole rows, instead of over the characters of the context."""
    gold_first: bool = True
    """Whether a teacher is not heard where by the data there is no answer and it finds one."""


def label_rows(
    into: DistilRows,
    wanted: npt.NDArray[np.int64],
    examples: Sequence[QAExample],
    tokenizer: Tokenizer,
    teachers: Sequence[tuple[Teacher, TeacherCache]],
    how: Labelling,
    progress: Callable[[int, int], None],
) -> None:
    """Writes the teachers' distributions into the rows that a run will take.

    Args:
        into: rows of ``examples``.
        wanted: which rows.
        examples: what the rows ask.
        tokenizer: the student's.
        teachers: each with a cache that holds every wanted example.
        how: temperature and weights.
        progress: told how many rows are done, and how many there are.

    Raises:
        RecipeError: a teacher's windows cannot be aligned with the student's.
    """
    todo = np.sort(wanted)
    owners: list[int] = into.rows.example[todo].tolist()
    if not len(todo):
        return
    for at in range(0, len(todo), _CHUNK):
        progress(at, len(todo))
        rows = todo[at : at + _CHUNK]
        texts = list(dict.fromkeys(examples[i].context for i in owners[at : at + _CHUNK]))
        ours = dict(zip(texts, tokenizer.encode_batch(texts), strict=True))
        theirs = [
            dict(zip(texts, teacher.tokenizer.encode_batch(texts), strict=True))
            for teacher, _ in teachers
        ]
        for row in rows:
            example = examples[int(into.rows.example[row])]
            for (teacher, cache), contexts, weight in zip(
                teachers, theirs, how.mixture, strict=True
            ):
                pair = ours[example.context], contexts[example.context]
                _add(into, int(row), example, pair, teacher, cache[example], weight, how)
            if how.gold_first and example.is_impossible:
                into.has_teacher[row] = _says_null(into, int(row))
    progress(len(todo), len(todo))


def _add(
    into: DistilRows,
    row: int,
    example: QAExample,
    contexts: tuple[Encoded, Encoded],
    teacher: Teacher,
    outputs: Outputs,
    weight: float,
    how: Labelling,
) -> None:
    rows = into.rows
    first, last = int(rows.bounds[row]), int(rows.bounds[row + 1])
    start, stop = (int(n) for n in rows.slices[row])
    at = first + int(rows.context_at[row])
    if how.whole_rows:
        window = _same_window(rows, row, outputs)
        if window is None:
            raise RecipeError(_misfit(example, teacher) + ": use mask_positions=true")
        into.start[first:last] += _softmax(window.start_logits, how.temperature, weight)
        into.end[first:last] += _softmax(window.end_logits, how.temperature, weight)
        return
    student, theirs = contexts
    targets = project(theirs, outputs, student, start, stop, how.temperature)
    if targets is None:
        raise RecipeError(_misfit(example, teacher) + ": its tokenizer reads nothing there")
    half = np.float16
    into.start[first] += half(weight * targets.null_start)
    into.end[first] += half(weight * targets.null_end)
    into.start[at : at + stop - start] += (weight * targets.start).astype(half)
    into.end[at : at + stop - start] += (weight * targets.end).astype(half)


def _says_null(rows: DistilRows, row: int) -> bool:
    first, last = int(rows.rows.bounds[row]), int(rows.rows.bounds[row + 1])
    return not (rows.start[first:last].argmax() or rows.end[first:last].argmax())


def _same_window(rows: QARows, row: int, outputs: Outputs) -> WindowOutput | None:
    length = int(rows.bounds[row + 1] - rows.bounds[row])
    for window in outputs:
        if (window.start, window.stop) == tuple(rows.slices[row]):
            return window if len(window.start_logits) == length else None
    return None


def _softmax(
    logits: npt.NDArray[np.float16], temperature: float, weight: float
) -> npt.NDArray[np.float16]:
    scores = logits.astype(np.float32) / temperature
    mass = np.exp(scores - scores.max())
    return (weight * mass / mass.sum()).astype(np.float16)


def _misfit(example: QAExample, teacher: Teacher) -> str:
    return (
        f"the windows of teacher {teacher.name} cannot be aligned with the student's at question "
        f"{example.id!r}"
    )
