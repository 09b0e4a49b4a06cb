"""A batch as one row of real tokens: nothing is computed for padding.

For graphics cards, where rows of different lengths otherwise pay for the longest. Every layer but
attention looks at one token at a time and does not care which row it stands in; attention runs
within each row, by torch's flash kernel for rows of any length where there is one, row by row
elsewhere.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.models.layers import Attention, Layer
from potstill.models.output import returned
from potstill.models.qa import QAOutput, QuestionAnsweringModel


class Unpadded(nn.Module):
    """A question-answering model that is given padded batches and computes real tokens alone.

    Logits of real tokens are those of the model itself, to rounding; those of padding are 0. It
    shares the model's weights and can be trained; dropout draws otherwise than it would padded.
    """

    def __init__(self, model: QuestionAnsweringModel) -> None:
        super().__init__()
        self.model = model
        self.config = model.config

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        return_dict: bool = True,
    ) -> QAOutput:
        """As `QuestionAnsweringModel.forward`, without a loss or hidden states.

        Args:
            input_ids: int64 ``[batch, seq]``.
            attention_mask: 1 for real tokens, 0 for padding, ``[batch, seq]``; ``None`` where
                nothing is padded.
            token_type_ids: int64 ``[batch, seq]``.
            return_dict: whether to return names with the values; otherwise a plain tuple.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        real = attention_mask.bool()
        encoder = self.model.encoder
        encoder.check_length(input_ids.shape[1])
        hidden = encoder.embed(input_ids, token_type_ids)[real]  # (n_tokens, width)
        lengths = attention_mask.sum(1)
        # The sizes of the rows are read once, not in every layer: it waits for the card.
        sizes: list[int] = lengths.tolist()
        bounds = F.pad(lengths.cumsum(0, dtype=torch.int32), (1, 0))
        layers: Any = encoder.layers
        for layer in layers:
            hidden = _layer(layer, hidden, sizes, bounds)
        logits = self.model.qa_head(self.model.head_dropout(hidden))
        padded = logits.new_zeros(*input_ids.shape, 2)
        padded[real] = logits
        start, end = padded.unbind(-1)
        return returned(QAOutput(None, start, end, None), return_dict)


def _layer(layer: Layer, hidden: Tensor, sizes: list[int], bounds: Tensor) -> Tensor:
    """`Layer.forward` on tokens of all rows, ``[n_tokens, width]``."""
    attended = layer.attention_dropout(_attention(layer.attention, hidden, sizes, bounds))
    hidden = layer.attention_norm(hidden + attended)
    return layer.ffn_norm(hidden + layer.ffn_dropout(layer.ffn(hidden)))


def _attention(attention: Attention, hidden: Tensor, sizes: list[int], bounds: Tensor) -> Tensor:
    parts = [
        project(hidden).unflatten(-1, (attention.n_heads, -1))
        for project in (attention.query, attention.key, attention.value)
    ]  # 3 × (n_tokens, heads, head_width)
    rate = attention.dropout if attention.training else 0.0
    if has_kernel(parts[0]) and not rate:
        from torch.nn.attention.varlen import varlen_attn

        longest = max(sizes)
        query, key, value = parts
        mixed: Any = varlen_attn(query, key, value, bounds, bounds, longest, longest)
    else:
        rows = [part.transpose(0, 1).split(sizes, dim=1) for part in parts]
        mixed = torch.cat(
            [
                F.scaled_dot_product_attention(*(x[None] for x in row), dropout_p=rate)[0]
                for row in zip(*rows, strict=True)
            ],
            dim=1,
        ).transpose(0, 1)
    return attention.output(mixed.flatten(-2))


def has_kernel(x: Tensor) -> bool:
    """Whether torch has a kernel for rows of any length: half precision on a recent CUDA card."""
    if x.device.type != "cuda" or x.dtype not in (torch.float16, torch.bfloat16):
        return False
    if importlib.util.find_spec("torch.nn.attention.varlen") is None:  # torch 2.10 and later
        return False
    return torch.cuda.get_device_capability(x.device) >= (8, 0)
