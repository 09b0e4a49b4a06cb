"""Span distillation in character space: any teacher's starts and ends on any student's tokens.

A teacher's token puts its probability of a start on its first character and that of an end on its
last; the student's token that holds the character receives it. So vocabularies, casing, window
lengths and strides may all differ. Where tokens and windows are equal it is the identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from potstill.text.tokenizer import Encoded
from potstill.training.qa.teacher_cache import Outputs, WindowOutput

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """A teacher's distributions for one student window.

    Attributes:
        null_start: probability that there is no start here.
        null_end: probability that there is no end here.
        start: probability of each token of the slice to be the start, float32 ``[n]``; with
            ``null_start`` it sums to 1.
        end: as ``start``.
    """

    null_start: float
    null_end: float
    start: Array
    end: Array


def project(
    teacher: Encoded,
    outputs: Outputs,
    student: Encoded,
    start: int,
    stop: int,
    temperature: float,
) -> Targets | None:
    """A teacher's distributions over the tokens of a student's window.

    Args:
        teacher: the context in the teacher's tokens.
        outputs: the teacher's windows over it.
        student: the context in the student's tokens.
        start: first token of the student's slice.
        stop: one past its last token.
        temperature: of the teacher's softmax over the slice and "no answer".

    Returns:
        The distributions, or ``None`` where the teacher has no token in the slice.
    """
    offsets = student.offsets[start:stop]
    if not len(offsets):
        return None
    first, last = int(offsets[:, 0].min()), int(offsets[:, 1].max())
    theirs = teacher.offsets
    starts_here = (theirs[:, 0] >= first) & (theirs[:, 0] < last)
    ends_here = (theirs[:, 1] > first) & (theirs[:, 1] <= last)
    logits, nearest = _merge(outputs, len(teacher), starts_here | ends_here)
    if nearest is None:
        return None
    found: list[tuple[float, Array]] = []
    same = _same_tokens(theirs, starts_here, offsets) and _same_tokens(theirs, ends_here, offsets)
    nulls = nearest.start_logits[0], nearest.end_logits[0]
    for edge, asked in enumerate((starts_here, ends_here)):
        here = asked & np.isfinite(logits[edge])
        scores = np.concatenate([[nulls[edge]], logits[edge][here]]) / temperature
        mass = np.exp(scores - scores.max())
        mass /= mass.sum()
        if same and here.sum() == len(offsets):
            found.append((float(mass[0]), mass[1:].astype(np.float32)))
            continue
        if edge == 0:
            places = np.searchsorted(offsets[:, 1], theirs[here, 0], side="right")
        else:
            places = np.searchsorted(offsets[:, 0], theirs[here, 1] - 1, side="right") - 1
        places = places.clip(0, len(offsets) - 1)
        binned = np.bincount(places, mass[1:], len(offsets)).astype(np.float32)
        found.append((float(mass[0]), binned))
    return Targets(found[0][0], found[1][0], found[0][1], found[1][1])


def _same_tokens(
    theirs: npt.NDArray[np.int32], here: npt.NDArray[np.bool_], offsets: npt.NDArray[np.int32]
) -> bool:
    return int(here.sum()) == len(offsets) and bool((theirs[here] == offsets).all())


def _merge(
    outputs: Outputs, n_tokens: int, wanted: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], WindowOutput | None]:
    """Start and end logits of the wanted tokens, and the window that sees the most of them.

    A token that several windows see is read in the one that sees the most of the wanted ones: the
    window that is nearest to the student's own.
    """
    seen = [(int(wanted[w.start : w.stop].sum()), -i, w) for i, w in enumerate(outputs)]
    ranked = [w for n, _, w in sorted(seen, key=lambda one: one[:2], reverse=True) if n]
    logits = np.full((2, n_tokens), -np.inf)
    for window in reversed(ranked):  # the best is written last
        at = window.context_at
        inside = slice(at, at + window.stop - window.start)
        logits[0, window.start : window.stop] = window.start_logits[inside]
        logits[1, window.start : window.stop] = window.end_logits[inside]
    return logits, ranked[0] if ranked else None
