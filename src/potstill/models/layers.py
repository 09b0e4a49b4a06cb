"""The bricks of an encoder: attention, feed-forward, one transformer layer.

Post-norm transformer layers as in Devlin et al. 2019 (https://arxiv.org/abs/1810.04805). The others
are BERT's own, but for two things: DistilBERT's have no dropout behind the attention's output, and
MPNet's attention adds to its scores what the distance between two tokens is worth.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig, position_bucket
from potstill.bundle.encoders.mpnet import BUCKETS
from potstill.models.dropout import Dropout, dropout

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
}
"""Name in ``config.json`` → function."""

POOLER_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "relu": F.relu,
    "tanh": torch.tanh,
}
"""`ModelConfig.pooler_activation` → function."""


def plain_attention(
    query: Tensor, key: Tensor, value: Tensor, *, attn_mask: Tensor | None, dropout_p: float
) -> Tensor:
    """softmax(query · keyᵀ / √head_width) · value, matrix by matrix.

    What ``scaled_dot_product_attention`` computes, to the rounding of the dtype. For training on a
    CPU: in bfloat16 torch's fused kernel takes three times as long on the way back, and with
    dropout torch has no fused kernel there and draws a double for every weight.

    Args:
        query: ``[batch, heads, seq, head_width]``, as ``key`` and ``value``.
        key: as ``query``.
        value: as ``query``.
        attn_mask: True where a key may be seen, or what is added to the scores; broadcastable to
            ``[batch, heads, seq, seq]``.
        dropout_p: share of the weights to drop.
    """
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if attn_mask is not None and attn_mask.is_floating_point():
        scores = scores + attn_mask.to(scores.dtype)
    elif attn_mask is not None:
        hidden = torch.zeros_like(attn_mask, dtype=scores.dtype)
        scores += hidden.masked_fill(~attn_mask, torch.finfo(scores.dtype).min / 2)
    return dropout(scores.softmax(-1), dropout_p) @ value


class Attention(nn.Module):
    """Multi-head self-attention with separate query, key, value and output projections."""

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        super().__init__()
        width, inner = config.hidden_width, config.attention_width(layer)
        self.n_heads = config.heads_of(layer)
        self.dropout = config.attention_dropout
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.output = nn.Linear(inner, width)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Mixes every position with those it may see.

        Args:
            hidden: ``[batch, seq, width]``.
            mask: True where a key may be seen, or what is added to the scores; broadcastable to
                ``[batch, heads, seq, seq]``; ``None`` for every key as it is.
        """
        if torch.is_autocast_enabled(hidden.device.type):  # once, and not for each projection
            hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
        heads = [
            project(hidden).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        ]  # 3 × (batch, heads, seq, head_width)
        rate = self.dropout if self.training else 0.0
        attend = F.scaled_dot_product_attention
        if self.training and hidden.device.type == "cpu":
            if rate or heads[0].dtype == torch.bfloat16:
                attend = plain_attention
        if mask is not None and mask.is_floating_point():
            mask = mask.to(heads[0].dtype)
        mixed = attend(*heads, attn_mask=mask, dropout_p=rate)
        return self.output(mixed.transpose(1, 2).flatten(-2))


class FeedForward(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        super().__init__()
        self.up = nn.Linear(config.hidden_width, config.ffn_of(layer))
        self.activation = ACTIVATIONS[config.activation]
        self.down = nn.Linear(config.ffn_of(layer), config.hidden_width)

    def forward(self, hidden: Tensor) -> Tensor:
        """``[…, width]`` → ``[…, width]``."""
        return self.down(self.activation(self.up(hidden)))


class Layer(nn.Module):
    """One transformer layer: attention, then feed-forward, each with residual and norm."""

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        super().__init__()
        width = config.hidden_width
        self.attention = Attention(config, layer)
        self.attention_norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.ffn = FeedForward(config, layer)
        self.ffn_norm = nn.LayerNorm(width, eps=config.norm_eps)
        drops = config.spec.drops_behind_attention
        self.attention_dropout = Dropout(config.hidden_dropout if drops else 0.0)
        drops = config.spec.drops_behind_ffn
        self.ffn_dropout = Dropout(config.hidden_dropout if drops else 0.0)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """``[batch, seq, width]`` → ``[batch, seq, width]``; ``mask`` as in `Attention`."""
        attended = self.attention_dropout(self.attention(hidden, mask))
        hidden = self.attention_norm(hidden + attended)
        return self.ffn_norm(hidden + self.ffn_dropout(self.ffn(hidden)))


class PositionBias(nn.Embedding):
    """What attention adds to its scores for how far apart two tokens are: a number a head.

    One table for all layers, in buckets of `position_bucket`. As in MPNet (Song et al. 2020,
    https://arxiv.org/abs/2004.09297).
    """

    buckets: Tensor
    """Bucket of every distance, from the least (the furthest behind) on."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(BUCKETS, config.n_heads)
        last = config.max_positions - 1
        buckets = [position_bucket(distance) for distance in range(-last, last + 1)]
        self.register_buffer("buckets", torch.tensor(buckets), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """``[batch, seq, …]`` → ``[1, heads, seq, seq]``; only the length is looked at."""
        n = input.shape[1]
        middle = len(self.buckets) // 2
        at = torch.arange(n, device=input.device)
        by_distance = super().forward(self.buckets[middle - n + 1 : middle + n])  # (2n - 1, heads)
        return by_distance[at - at[:, None] + n - 1].permute(2, 0, 1)[None]


class Pooler(nn.Linear):
    """One state for a whole row: a dense layer on that of the first token, and an activation."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.hidden_width, config.hidden_width)
        self.activation = POOLER_ACTIVATIONS[config.pooler_activation]

    def forward(self, input: Tensor) -> Tensor:
        """``[batch, seq, width]`` → ``[batch, width]``."""
        return self.activation(super().forward(input[:, 0]))
