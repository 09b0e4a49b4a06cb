"""Which texts are kept out of training, and which rows form which batch.

The order of an epoch is a pure function of (seed, epoch), so a run can be continued at any step
by its number.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from potstill.text.windows import by_token_budget

_POOL_BATCHES = 50
"""Batches' worth of rows sorted by length together: enough that padding nearly vanishes, few
enough that the rows of a batch are still a random draw."""


def epoch_batches(
    lengths: npt.NDArray[np.integer], budget: int, *, seed: int, epoch: int
) -> list[list[int]]:
    """The batches of one epoch: every row once, similar lengths together, in random order.

    Args:
        lengths: tokens of each row.
        budget: most tokens of a batch, padding included.
        seed: of the whole run.
        epoch: number of the pass, from 0.

    Returns:
        Row indices of each batch.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    rows_a_batch = max(1.0, budget / max(1.0, float(np.mean(lengths))))
    pool = max(1, math.ceil(_POOL_BATCHES * rows_a_batch))
    batches: list[list[int]] = []
    for at in range(0, len(order), pool):
        rows = order[at : at + pool]
        groups = by_token_budget(lengths[rows].tolist(), budget)
        batches += [[int(rows[i]) for i in group] for group in groups]
    return [batches[i] for i in random.permutation(len(batches))]


class Schedule:
    """Every optimiser step of a run: how many there are, and the batches of each.

    A step takes ``accumulate`` consecutive batches, or ``rows_per_step`` rows cut into batches;
    steps do not cross from one epoch to the next, so the last of an epoch may have fewer.
    """

    def __init__(
        self,
        lengths: npt.NDArray[np.integer],
        *,
        budget: int,
        accumulate: int,
        seed: int,
        epochs: float,
        max_steps: int = 0,
        rows_per_step: int = 0,
    ) -> None:
        self._lengths = lengths
        self._rows_per_step = rows_per_step
        self._budget = budget
        self._accumulate = accumulate
        self._seed = seed
        self._epoch = -1
        self._steps: list[list[list[int]]] = []
        counts = [self._count(epoch) for epoch in range(math.ceil(epochs))]
        steps = sum(counts[: math.floor(epochs)])
        if epochs != math.floor(epochs):
            steps += max(1, round(counts[-1] * (epochs - math.floor(epochs))))
        self.n_steps = min(steps, max_steps) if max_steps else steps
        """Optimiser steps of the whole run."""
        self._ends = np.cumsum(counts)

    @property
    def rows_per_step(self) -> float:
        """Rows of a step, on average over a pass."""
        return len(self._lengths) / max(1, int(self._ends[0]))

    def step(self, number: int) -> list[list[int]]:
        """Row indices of each batch of step ``number``, counted from 0."""
        epoch = self.epoch(number)
        if epoch != self._epoch:
            self._steps = self._load(epoch)
            self._epoch = epoch
        return self._steps[number - (int(self._ends[epoch - 1]) if epoch else 0)]

    def rows(self) -> npt.NDArray[np.int64]:
        """Every row that some step of the run takes, once, in the order of first use."""
        used: dict[int, None] = {}
        for number in range(self.n_steps):
            for batch in self.step(number):
                used.update(dict.fromkeys(batch))
            if len(used) == len(self._lengths):
                break
        return np.fromiter(used, np.int64, len(used))

    def epoch(self, number: int) -> int:
        """The epoch that step ``number`` belongs to, from 0."""
        return int(np.searchsorted(self._ends, number, side="right"))

    def _load(self, epoch: int) -> list[list[list[int]]]:
        if self._rows_per_step:
            return _steps_of_rows(
                self._lengths, self._rows_per_step, self._budget, seed=self._seed, epoch=epoch
            )
        batches = epoch_batches(self._lengths, self._budget, seed=self._seed, epoch=epoch)
        n = self._accumulate
        return [batches[at : at + n] for at in range(0, len(batches), n)]

    def _count(self, epoch: int) -> int:
        return len(self._load(epoch))


def _steps_of_rows(
    lengths: npt.NDArray[np.integer], n_rows: int, budget: int, *, seed: int, epoch: int
) -> list[list[list[int]]]:
    """Steps of exactly ``n_rows`` rows, each cut into batches of similar lengths."""
    order = np.random.default_rng([seed, epoch]).permutation(len(lengths))
    steps: list[list[list[int]]] = []
    for at in range(0, len(order), n_rows):
        rows = order[at : at + n_rows]
        groups = by_token_budget(lengths[rows].tolist(), budget)
        steps.append([[int(rows[i]) for i in group] for group in groups])
    return steps


def rate_factor(step: int, n_steps: int, *, warmup: float, decay: float) -> float:
    """Learning rate at a step, as a share of the highest.

    Linear from 0 to 1 over the first ``warmup`` of the steps, 1 until the last ``decay`` of them,
    then linear to 0 (with ``decay`` 1: from the end of the warm-up on).

    Args:
        step: number of the step, from 0.
        n_steps: steps of the whole run.
        warmup: share of the steps.
        decay: share of the steps.
    """
    rise = round(n_steps * warmup)
    if step < rise:
        return (step + 1) / rise
    fall = min(n_steps - rise, round(n_steps * decay))
    left = n_steps - step
    return min(1.0, left / fall) if fall else 1.0


def is_held_out(text: str, share: float) -> bool:
    """Whether a text belongs to the share that is kept out of training: a matter of its hash."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def share(
    batches: Sequence[list[int]], rank: int, world: int, *, by_rows: bool = False
) -> list[list[int]]:
    """What one of ``world`` processes takes of a step's batches.

    Whole batches go around; those left over are cut by rows, so that all have much the same to do
    and every row is taken once. A process may be left with nothing.

    Args:
        batches: row indices of each batch of the step.
        rank: number of the process, from 0.
        world: how many there are.
        by_rows: cut every batch: no process waits for one whose batch has longer rows, but
            batches get smaller, which a graphics card is slower with.
    """
    if by_rows:  # by turns, as the first to choose may get a row more
        cut = [batch[(rank + i) % world :: world] for i, batch in enumerate(batches)]
        return [rows for rows in cut if rows]
    whole = len(batches) - len(batches) % world
    own = [batches[i] for i in range(rank, whole, world)]
    return own + [rows for batch in batches[whole:] if (rows := batch[rank::world])]


def row_count(batches: Sequence[Sequence[int]]) -> int:
    """Rows of all batches of a step."""
    return sum(len(batch) for batch in batches)
