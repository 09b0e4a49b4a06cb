"""Keeping a part of the examples out of training, the same part wherever it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

_Item = TypeVar("_Item")


def split_examples(
    examples: Sequence[_Item], share: float, seed: int
) -> tuple[list[_Item], list[_Item]]:
    """What is trained on and what is scored on, as scikit-learn's ``train_test_split`` splits.

    Args:
        examples: all of them.
        share: of them to score on, rounded up to whole ones (``test_size``).
        seed: its ``random_state``.
    """
    if not share:
        return list(examples), []
    # ceil(share · n) in floats is scikit-learn's own arithmetic, and so is the legacy generator.
    n_scored = int(np.ceil(share * len(examples)))
    order = np.random.RandomState(seed).permutation(len(examples)).tolist()
    return [examples[i] for i in order[n_scored:]], [examples[i] for i in order[:n_scored]]
