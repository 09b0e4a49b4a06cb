"""Losses of multiple choice, gold or a teacher's: pure functions of tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.errors import InputError


def choice_cross_entropy(logits: Tensor, labels: Tensor, allowed: Tensor) -> Tensor:
    """Cross-entropy of the right choice among those that there are.

    Zellers et al. 2018 (SWAG, https://arxiv.org/abs/1808.05326), as Devlin et al. 2019, §4.4,
    train it: a score for each choice, normalised by a softmax over them.

    Args:
        logits: ``[batch, n_choices]``.
        labels: number of the right choice, int64 ``[batch]``.
        allowed: True where there is such a choice, bool ``[batch, n_choices]``.

    Returns:
        ``[batch]``, in float32 whatever the logits are.
    """
    scores = logits.float().masked_fill(~allowed, -torch.inf)
    return F.cross_entropy(scores, labels, reduction="none")


def choice_kl(
    logits: Tensor, teacher_logits: Tensor, allowed: Tensor, temperature: float
) -> Tensor:
    """Divergence of the student's choice from a teacher's, times T².

    Hinton et al. 2015, §2 (https://arxiv.org/abs/1503.02531), over the choices that there are.

    Args:
        logits: the student's, ``[batch, n_choices]``.
        teacher_logits: of the same shape, without gradient.
        allowed: True where there is such a choice, bool ``[batch, n_choices]``.
        temperature: T, above 0.

    Returns:
        ``[batch]``, in float32.

    Raises:
        InputError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise InputError(f"temperature must be above 0, not {temperature!r}: 2 is usual")
    student, teacher = (
        F.log_softmax((one.float() / temperature).masked_fill(~allowed, -torch.inf), -1)
        for one in (logits, teacher_logits)
    )
    # Where there is no choice both are -inf; p = 0 there, and 0 · (-inf - -inf) must stay out.
    gap = (teacher - student).masked_fill(~allowed, 0.0)
    return (teacher.exp() * gap).sum(-1) * temperature**2
