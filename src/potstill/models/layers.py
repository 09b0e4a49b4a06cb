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


class Rotary(nn.Module):
    """Turns queries and keys by their positions.

    Source:
        Su et al. 2021, equation 34 (https://arxiv.org/abs/2104.09864), with the two numbers of a
        pair half a width apart, as transformers keeps them.
    """

    speeds: Tensor
    """Angle from one position to the next, for each pair: float32 ``[head_width / 2]``."""

    def __init__(self, width: int, theta: float) -> None:
        super().__init__()
        speeds = 1.0 / theta ** (torch.arange(0, width, 2, dtype=torch.float) / width)
        self.register_buffer("speeds", speeds, persistent=False)

    def forward(self, *vectors: Tensor) -> list[Tensor]:
        """``[batch, heads, seq, head_width]`` each → the same, turned, in their dtype."""
        at = torch.arange(vectors[0].shape[2], device=vectors[0].device, dtype=torch.float)
        angles = at[:, None] * self.speeds.float()
        angles = torch.cat([angles, angles], dim=-1)  # (seq, head_width)
        cosine, sine = angles.cos(), angles.sin()
        found: list[Tensor] = []
        for vector in vectors:
            first, second = vector.float().chunk(2, dim=-1)
            across = torch.cat([-second, first], dim=-1)
            found.append((vector.float() * cosine + across * sine).to(vector.dtype))
        return found


class Attention(nn.Module):
    """Multi-head self-attention with separate query, key, value and output projections."""

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        super().__init__()
        width, inner = config.hidden_width, config.attention_width(layer)
        self.n_heads = config.heads_of(layer)
        self.dropout = config.attention_dropout
        bias = config.spec.biases
        self.query = nn.Linear(width, inner, bias)
        self.key = nn.Linear(width, inner, bias)
        self.value = nn.Linear(width, inner, bias)
        self.output = nn.Linear(inner, width, bias)
        turns = config.spec.rotary
        self.rotary = Rotary(config.head_width, config.theta_of(layer)) if turns else None

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Mixes every position with those it may see.

        Args:
            hidden: ``[batch, seq, width]``.
            mask: True where a key may be seen, or what is added to the scores; broadcastable to
                ``[batch, heads, seq, seq]``; ``None`` for every key as it is.
        """
        return self.mix(self.heads(hidden), mask)

    def heads(self, hidden: Tensor) -> list[Tensor]:
        """Queries, keys and values: 3 × ``[batch, heads, seq, head_width]``."""
        if torch.is_autocast_enabled(hidden.device.type):  # once, and not for each projection
            hidden = hidden.to(torch.get_autocast_dtype(hidden.device.type))
        heads = [
            project(hidden).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        ]
        if self.rotary is not None:
            heads = [*self.rotary(*heads[:2]), heads[2]]
        return heads

    def mix(self, heads: list[Tensor], mask: Tensor | None) -> Tensor:
        """Queries, keys and values of `heads` → ``[batch, seq, width]``; ``mask`` as above."""
        rate = self.dropout if self.training else 0.0
        attend = F.scaled_dot_product_attention
        if self.training and heads[0].device.type == "cpu":
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
        width, inner, bias = config.hidden_width, config.ffn_of(layer), config.spec.biases
        self.up = nn.Linear(width, inner, bias)
        self.activation = ACTIVATIONS[config.activation]
        self.down = nn.Linear(inner, width, bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """``[…, width]`` → ``[…, width]``."""
        return self.down(self.activation(self.up(hidden)))


class GatedFeedForward(FeedForward):
    """Linear layers with an activation and a gate between them (GeGLU).

    Source:
        Shazeer 2020 (https://arxiv.org/abs/2002.05202).
    """

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        super().__init__(config, layer)
        self.gate = nn.Linear(config.hidden_width, config.ffn_of(layer), config.spec.biases)
        self.dropout = Dropout(config.hidden_dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """``[…, width]`` → ``[…, width]``."""
        inner = self.activation(self.up(hidden)) * self.gate(hidden)
        return self.down(self.dropout(inner))


def norm(config: ModelConfig, width: int) -> nn.LayerNorm:
    """A layer norm of an encoder."""
    return nn.LayerNorm(width, eps=config.norm_eps, bias=config.spec.biases)


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
        return self.finish(hidden, self.attention(hidden, mask))

    def finish(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """The layer from what its attention gave on, ``[batch, seq, width]``."""
        hidden = self.attention_norm(hidden + self.attention_dropout(attended))
        return self.ffn_norm(hidden + self.ffn_dropout(self.ffn(hidden)))


class PreNormLayer(nn.Module):
    """One layer with norms before attention and feed-forward, of which some see only what is near.

    As in ModernBERT (Warner et al. 2024, https://arxiv.org/abs/2412.13663).
    """

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        super().__init__()
        width = config.hidden_width
        self.reach = config.reach_of(layer)
        self.attention_norm = norm(config, width) if layer else nn.Identity()
        self.attention = Attention(config, layer)
        self.attention_dropout = Dropout(config.attention_dropout)
        self.ffn_norm = norm(config, width)
        self.ffn = GatedFeedForward(config, layer)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """``[batch, seq, width]`` → the same; ``mask`` True where a key may be seen, or none."""
        seen = self._near(hidden, mask) if self.reach else mask
        attended = self.attention(self.attention_norm(hidden), seen)
        hidden = hidden + self.attention_dropout(attended)
        return hidden + self.ffn(self.ffn_norm(hidden))

    def _near(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        at = torch.arange(hidden.shape[1], device=hidden.device)
        near = ((at[:, None] - at).abs() <= self.reach)[None, None]  # (1, 1, seq, seq)
        # Padding may see nothing at all: torch's attention gives it zeros then, as transformers'.
        return near if mask is None else near & mask


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


class Transform(nn.Module):
    """What a head begins with: a dense layer, an activation and a norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_width, config.table_width, config.spec.biases)
        self.activation = ACTIVATIONS[config.lm_activation]
        self.norm = norm(config, config.table_width)

    def forward(self, hidden: Tensor) -> Tensor:
        """``[…, width]`` → ``[…, table_width]``."""
        return self.norm(self.activation(self.dense(hidden)))


def of_row(config: ModelConfig, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
    """The state that stands for a whole row: the first token's, or the mean of all.

    Args:
        config: says which.
        hidden: ``[batch, seq, width]``.
        attention_mask: 1 for real tokens, ``[batch, seq]``, or ``None``.
    """
    if not config.pools_mean:
        return hidden[:, 0]
    if attention_mask is None:
        return hidden.mean(1)
    real = attention_mask[..., None].to(hidden.dtype)
    return (hidden * real).sum(1) / real.sum(1)


class Pooler(nn.Linear):
    """A dense layer and an activation, on the state that stands for a whole row."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.hidden_width, config.hidden_width)
        self.activation = POOLER_ACTIVATIONS[config.pooler_activation]

    def forward(self, input: Tensor) -> Tensor:
        """``[…, width]`` → ``[…, width]``."""
        return self.activation(super().forward(input))
