"""Losses: pure functions of logits and labels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def span_cross_entropy(
    start_logits: Tensor,
    end_logits: Tensor,
    start: Tensor,
    end: Tensor,
    allowed: Tensor,
) -> Tensor:
    """Cross-entropy of the gold start and end, averaged over the two, summed over rows.

    Devlin et al. 2019, §4.2 (https://arxiv.org/abs/1810.04805), with the softmax taken over the
    positions that may hold an answer instead of over the whole row: at answering time question
    and padding are never read either.

    Args:
        start_logits: ``[batch, seq]``.
        end_logits: ``[batch, seq]``.
        start: gold first token, int64 ``[batch]``; 0 (``[CLS]``) for no answer in this window.
        end: gold last token, int64 ``[batch]``.
        allowed: True where an answer may be (``[CLS]`` and the context), bool ``[batch, seq]``.

    Returns:
        A scalar, in float32 whatever the logits are.
    """
    losses = [
        F.cross_entropy(logits.float().masked_fill(~allowed, float("-inf")), gold, reduction="sum")
        for logits, gold in ((start_logits, start), (end_logits, end))
    ]
    return (losses[0] + losses[1]) / 2
