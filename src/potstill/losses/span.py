"""Losses of question answering: start and end, gold or a teacher's. Pure functions of tensors.

Each gives one value a row, so that rows with and without gold answers can be mixed.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from potstill.errors import InputError


def span_cross_entropy(
    start_logits: Tensor, end_logits: Tensor, start: Tensor, end: Tensor, allowed: Tensor
) -> Tensor:
    """Cross-entropy of the gold start and end, averaged over the two.

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
        ``[batch]``, in float32 whatever the logits are.
    """
    losses = [
        F.cross_entropy(logits.float().masked_fill(~allowed, float("-inf")), gold, reduction="none")
        for logits, gold in ((start_logits, start), (end_logits, end))
    ]
    return (losses[0] + losses[1]) / 2


def span_kl(
    start_logits: Tensor,
    end_logits: Tensor,
    teacher_start: Tensor,
    teacher_end: Tensor,
    allowed: Tensor,
    temperature: float,
) -> Tensor:
    """Divergence of the student's start and end from a teacher's distributions, times T².

    Hinton et al. 2015, §2 (https://arxiv.org/abs/1503.02531): with q = softmax(student / T) over
    the allowed positions and p the teacher's distribution at the same temperature,
    L = T² · ½ · (KL(p_start ‖ q_start) + KL(p_end ‖ q_end)). T² keeps the size of the gradient
    when T changes.

    Args:
        start_logits: the student's, ``[batch, seq]``.
        end_logits: the student's, ``[batch, seq]``.
        teacher_start: probabilities at ``temperature``, 0 where not allowed, ``[batch, seq]``;
            each row sums to 1.
        teacher_end: as ``teacher_start``.
        allowed: True where an answer may be, bool ``[batch, seq]``.
        temperature: T, above 0.

    Returns:
        ``[batch]``, in float32.

    Raises:
        InputError: the temperature is not above 0.
    """
    _check_temperature(temperature)
    total = 0.0
    for logits, teacher in ((start_logits, teacher_start), (end_logits, teacher_end)):
        scores = (logits.float() / temperature).masked_fill(~allowed, float("-inf"))
        # 0 · -inf would be no number: where nothing is allowed there is nothing to compare.
        student = F.log_softmax(scores, -1).masked_fill(~allowed, 0.0)
        divergence = F.kl_div(student, teacher.float(), reduction="none")
        total = total + divergence.sum(-1)
    assert isinstance(total, Tensor)
    return total * (temperature**2 / 2)


def span_distillation(
    start_logits: Tensor,
    end_logits: Tensor,
    teacher_start_logits: Tensor,
    teacher_end_logits: Tensor,
    temperature: float,
    allowed: Tensor | None = None,
) -> Tensor:
    """`span_kl` from a teacher's logits at the student's own positions.

    Without ``allowed`` this is the form of Sanh et al. 2019 for SQuAD
    (https://arxiv.org/abs/1910.01108) as notebooks spell it: softmax over the whole row, question
    and special tokens included.

    Args:
        start_logits: the student's, ``[batch, seq]``.
        end_logits: the student's, ``[batch, seq]``.
        teacher_start_logits: ``[batch, seq]``, without gradient.
        teacher_end_logits: ``[batch, seq]``, without gradient.
        temperature: T, above 0.
        allowed: True where an answer may be, bool ``[batch, seq]``; ``None`` for everywhere.

    Returns:
        ``[batch]``, in float32.

    Raises:
        InputError: the temperature is not above 0.
    """
    _check_temperature(temperature)
    if allowed is None:
        allowed = start_logits.new_ones(start_logits.shape).bool()
    teacher_start, teacher_end = (
        F.softmax((logits.float() / temperature).masked_fill(~allowed, float("-inf")), -1)
        for logits in (teacher_start_logits, teacher_end_logits)
    )
    return span_kl(start_logits, end_logits, teacher_start, teacher_end, allowed, temperature)


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise InputError(f"temperature must be above 0, not {temperature!r}: 2 is usual")
