"""Losses of token classification, gold or a teacher's: pure functions of tensors."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from potstill.errors import InputError
from potstill.losses.lm import IGNORE


def token_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the gold labels, summed over the tokens that have one.

    Devlin et al. 2019, §5.3 (https://arxiv.org/abs/1810.04805): the first token of each word
    speaks for it, and the others have no label.

    Args:
        logits: ``[batch, seq, n_labels]``.
        labels: int64 ``[batch, seq]``; -100 where a token has none.

    Returns:
        ``[batch]``, in float32 whatever the logits are; 0 for a row without labels.
    """
    losses = F.cross_entropy(
        logits.float().transpose(1, 2), labels, ignore_index=IGNORE, reduction="none"
    )
    return losses.sum(-1)


def token_kl(logits: Tensor, teacher_logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Divergence of each token's labels from a teacher's, times T², summed over the taught tokens.

    Hinton et al. 2015, §2 (https://arxiv.org/abs/1503.02531): with p = softmax(teacher / T) and
    q = softmax(student / T), L = T² · Σ_tokens KL(p ‖ q).

    Args:
        logits: the student's, ``[batch, seq, n_labels]``.
        teacher_logits: of the same shape, without gradient.
        taught: True for the tokens that the teacher speaks of, bool ``[batch, seq]``.
        temperature: T, above 0.

    Returns:
        ``[batch]``, in float32.

    Raises:
        InputError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise InputError(f"temperature must be above 0, not {temperature!r}: 2 is usual")
    student = F.log_softmax(logits.float() / temperature, -1)
    teacher = F.log_softmax(teacher_logits.float() / temperature, -1)
    divergence = F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1)
    return (divergence * taught).sum(-1) * temperature**2
