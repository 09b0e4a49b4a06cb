"""Losses that match what goes on inside teacher and student: states, attention, relations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def hidden_mse(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of hidden states over real tokens.

    Jiao et al. 2020 (TinyBERT, https://arxiv.org/abs/1909.10351), eq. 8:
    L = MSE(H_S · W_h, H_T). Where the widths differ the caller applies the learned projection W_h
    to the student's states first.

    Args:
        student: ``[batch, seq, width]``.
        teacher: ``[batch, seq, width]``, without gradient.
        mask: 1 for real tokens, ``[batch, seq]``.

    Returns:
        ``[batch]``: the mean over each row's tokens and the width, in float32.
    """
    squared = (student.float() - teacher.float()).square().mean(-1)
    return (squared * mask).sum(-1) / mask.sum(-1)


def attention_mse(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of attention scores before the softmax.

    Jiao et al. 2020 (TinyBERT), eq. 7: L = 1/h · Σ_i MSE(A_S_i, A_T_i) with A the scores
    Q·Kᵀ/√d before the softmax, which the paper found to converge faster than the normalised ones.

    Args:
        student: scores ``[batch, heads, seq, seq]``.
        teacher: as ``student``, without gradient.
        mask: 1 for real tokens, ``[batch, seq]``.

    Returns:
        ``[batch]``: the mean over heads and pairs of real tokens, in float32.
    """
    pairs = (mask[:, None, :, None] * mask[:, None, None, :]).float()
    squared = (student.float() - teacher.float()).square() * pairs
    return squared.sum((1, 2, 3)) / (pairs.sum((1, 2, 3)) * student.shape[1])


def relation_kl(student: Tensor, teacher: Tensor, mask: Tensor, n_heads: int) -> Tensor:
    """Divergence of the student's relations between tokens from the teacher's.

    Wang et al. 2021 (MiniLMv2, https://arxiv.org/abs/2012.15828), eq. 3 to 6: the vectors of all
    heads are laid side by side and cut anew into A_r relation heads; a relation is
    R = softmax(A·Aᵀ / √d_r) with A the queries, the keys or the values of one relation head, and
    L = 1/(A_r·|x|) · Σ_a Σ_t KL(R_T ‖ R_S). Widths may differ, since only relations are compared.
    The values alone, with as many relation heads as attention heads, are MiniLM's
    value relation (Wang et al. 2020, https://arxiv.org/abs/2002.10957, eq. 6).

    Args:
        student: queries, keys or values, ``[batch, seq, width_student]``.
        teacher: of the same kind, ``[batch, seq, width_teacher]``, without gradient.
        mask: 1 for real tokens, ``[batch, seq]``.
        n_heads: A_r; it divides both widths.

    Returns:
        ``[batch]``: the mean over relation heads and each row's tokens, in float32.
    """
    theirs = relations(teacher, mask, n_heads)
    ours = relations(student, mask, n_heads)
    # Where a key is padding both are -inf; p = 0 there, and 0 · (-inf - -inf) must stay out.
    hidden = mask[:, None, None, :] == 0
    gap = (theirs - ours).masked_fill(hidden, 0.0)
    divergence = (theirs.exp() * gap).sum(-1) * mask[:, None, :]
    return divergence.sum((1, 2)) / (mask.sum(-1) * n_heads)


def relations(vectors: Tensor, mask: Tensor, n_heads: int) -> Tensor:
    """Logarithms of the scaled dot-product relations between tokens.

    Args:
        vectors: queries, keys or values, ``[batch, seq, width]``.
        mask: 1 for real tokens, ``[batch, seq]``.
        n_heads: relation heads that the width is cut into.

    Returns:
        ``[batch, n_heads, seq, seq]``, in float32; ``-inf`` where the second token is padding.
    """
    heads = vectors.float().unflatten(-1, (n_heads, -1)).transpose(1, 2)
    scores = heads @ heads.transpose(-1, -2) / heads.shape[-1] ** 0.5
    return F.log_softmax(scores.masked_fill(mask[:, None, None, :] == 0, -torch.inf), -1)


def attention_scores(query: Tensor, key: Tensor, n_heads: int) -> Tensor:
    """Attention scores before the softmax: Q·Kᵀ/√d, ``[batch, heads, seq, seq]``.

    Args:
        query: ``[batch, seq, width]``.
        key: ``[batch, seq, width]``.
        n_heads: attention heads.
    """
    q, k = (x.unflatten(-1, (n_heads, -1)).transpose(1, 2) for x in (query, key))
    return q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
