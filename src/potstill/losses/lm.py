"""Losses of masked language models and of their distillation: pure functions of tensors."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from potstill.errors import InputError

IGNORE = -100
"""Label of a position that is not predicted."""


def masked_lm_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the tokens behind the masks, averaged over them.

    Devlin et al. 2019, §3.1 (https://arxiv.org/abs/1810.04805): with M the masked positions,
    L_mlm = -1/|M| · Σ_{i∈M} log softmax(logits_i)[label_i].

    Args:
        logits: ``[…, vocab]``.
        labels: the tokens that were there, int64 ``[…]``; -100 where nothing is predicted.

    Returns:
        A scalar in float32; 0 where no position has a label.
    """
    total = F.cross_entropy(
        logits.float().flatten(0, -2), labels.flatten(), ignore_index=IGNORE, reduction="sum"
    )
    return total / (labels != IGNORE).sum().clamp(min=1)


def soft_target_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Divergence of the student's distribution from the teacher's, averaged over positions, · T².

    Hinton et al. 2015, §2 (https://arxiv.org/abs/1503.02531), as DistilBERT uses it (Sanh et al.
    2019, §3, https://arxiv.org/abs/1910.01108): with p = softmax(teacher / T) and
    q = softmax(student / T), L_ce = T² / n · Σ_i Σ_v p_iv · (log p_iv - log q_iv). The gradient is
    that of the paper's -Σ p · log q, the teacher's entropy being constant; T² keeps its size when
    T changes.

    Args:
        student_logits: ``[…, vocab]``.
        teacher_logits: ``[…, vocab]``, without gradient.
        temperature: T, above 0.

    Returns:
        A scalar in float32; 0 where there are no positions.

    Raises:
        InputError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise InputError(f"temperature must be above 0, not {temperature!r}: 2 is usual")
    student = F.log_softmax(student_logits.float() / temperature, -1)
    teacher = F.log_softmax(teacher_logits.float() / temperature, -1)
    n_positions = student[..., 0].numel()
    total = F.kl_div(student, teacher, reduction="sum", log_target=True)
    return total * temperature**2 / max(1, n_positions)


def hidden_cosine(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """How far the student's states point away from the teacher's, averaged over real positions.

    Sanh et al. 2019, §3 (https://arxiv.org/abs/1910.01108), L_cos, "align the directions of the
    student and teacher hidden states vectors": 1/n · Σ_i (1 - cos(s_i, t_i)).

    Args:
        student: ``[batch, seq, width]``.
        teacher: ``[batch, seq, width]``, of the same width.
        mask: nonzero for real tokens, ``[batch, seq]``; ``None`` where nothing is padded.

    Returns:
        A scalar in float32, from 0 (the same directions) to 2; 0 where there are no positions.

    Raises:
        InputError: the widths differ.
    """
    if student.shape[-1] != teacher.shape[-1]:
        raise InputError(
            f"a cosine needs states of one width, not {student.shape[-1]} and {teacher.shape[-1]}: "
            "project one of them first"
        )
    apart = 1 - F.cosine_similarity(student.float(), teacher.float(), dim=-1)
    if mask is None:
        return apart.sum() / max(1, apart.numel())
    real = mask.to(apart.dtype)
    return (apart * real).sum() / real.sum().clamp(min=1)
