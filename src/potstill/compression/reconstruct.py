"""Which heads or neurons stay, and what stands behind them, by least squares.

A matrix reads heads or neurons (groups of its columns). The groups that the others can stand in for
go, one round after another, and the matrix is fitted anew to what the full model computes there.
Hassibi and Stork 1993 (Optimal Brain Surgeon) with groups in place of single weights, as in Kurtic
et al. 2023 (ZipLM, https://arxiv.org/abs/2302.04089, eq. 3 and 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RIDGE = 0.01
"""Weight of the old matrix beside the data, in mean variances of a column."""
_ROUND = 0.15
"""Share of the groups that one round removes, at least one."""


class Moments:
    """Sums over tokens of what a matrix reads, what it ought to give, and their products."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        self.n = 0
        self.inputs = np.zeros(n_inputs)
        self.outputs = np.zeros(n_outputs)
        self.gram = np.zeros((n_inputs, n_inputs))
        self.cross = np.zeros((n_inputs, n_outputs))

    def add(self, inputs: NDArray[Any], outputs: NDArray[Any]) -> None:
        """Counts tokens in.

        Args:
            inputs: ``[tokens, n_inputs]``.
            outputs: wanted for them, ``[tokens, n_outputs]``.
        """
        self.n += len(inputs)
        self.inputs += inputs.sum(axis=0, dtype=np.float64)
        self.outputs += outputs.sum(axis=0, dtype=np.float64)
        self.gram += inputs.T @ inputs
        self.cross += inputs.T @ outputs


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What is left of a matrix."""

    kept: list[int]
    """Numbers of the groups that stay, rising."""
    weight: NDArray[np.float32]
    """``[n_outputs, columns of the groups that stay]``."""
    bias: NDArray[np.float32]


def fit(moments: Moments, old: NDArray[Any], keep: int, group: int = 1) -> Fit:
    """Keeps the groups that cost most to lose and fits the matrix to what is wanted.

    Args:
        moments: of at least one token.
        old: the matrix before, ``[n_outputs, n_inputs]``; the less the tokens say, the nearer the
            new one stays to it.
        keep: groups that stay.
        group: columns of a group, neighbours.
    """
    mean, wanted = moments.inputs / moments.n, moments.outputs / moments.n
    gram = moments.gram / moments.n - np.outer(mean, mean)
    ridge = max(_RIDGE * float(gram.diagonal().mean()), 1e-12)
    gram[np.diag_indices_from(gram)] += ridge
    cross = moments.cross / moments.n - np.outer(mean, wanted) + ridge * old.T.astype(np.float64)
    kept = np.arange(len(mean) // group)
    while True:
        columns = (kept[:, None] * group + np.arange(group)).ravel()
        inverse = np.linalg.inv(gram[np.ix_(columns, columns)])
        weight = inverse @ cross[columns]
        if len(kept) <= keep:
            break
        cost = _cost(inverse, weight, group)
        left = max(keep, len(kept) - max(1, int(_ROUND * len(kept))))
        # Of equals the first stays, on every machine.
        kept = np.sort(kept[np.argsort(-cost, kind="stable")[:left]])
    bias = wanted - mean[columns] @ weight
    return Fit(kept.tolist(), weight.T.astype(np.float32), bias.astype(np.float32))


def _cost(inverse: NDArray[Any], weight: NDArray[Any], group: int) -> NDArray[Any]:
    """What losing each group adds to the squared error, the others fitted anew."""
    n = len(weight) // group
    at = np.arange(n)
    blocks = inverse.reshape(n, group, n, group)[at, :, at, :]  # [n, group, group]
    rows = weight.reshape(n, group, -1)
    return (rows * np.linalg.solve(blocks, rows)).sum(axis=(1, 2))
