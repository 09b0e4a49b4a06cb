"""Which waiting rows run together: the one rule, for the batcher and for whoever simulates it."""

from __future__ import annotations

from collections.abc import Sequence

LOOK = 64
"""Rows behind the first that may join its batch."""
FULL = 0.8
"""Least share of a batch that is no padding."""


def fill(lengths: Sequence[int | None], token_budget: int) -> list[int]:
    """The rows of the next batch.

    Args:
        lengths: tokens of the rows that wait, the most urgent first; ``None`` for one of another
            model than the first. Those behind the 65th are not looked at.
        token_budget: most tokens of a batch, padding included; with 1 every row runs alone.

    Returns:
        Their places in ``lengths``, rising; 0 always among them.
    """
    first = lengths[0]
    assert first is not None
    taken = [0]
    longest = total = first
    for i in range(1, min(len(lengths), LOOK + 1)):
        length = lengths[i]
        if length is None:
            continue
        size, n = max(longest, length), len(taken) + 1
        if n * size <= token_budget and total + length >= FULL * n * size:
            taken.append(i)
            longest, total = size, total + length
    return taken
