"""Token ids → hidden states. BERT and DistilBERT are this one encoder with options."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig
from potstill.models.layers import Layer


class Embeddings(nn.Module):
    """Word, position and (where the model has them) token-type embeddings, normed."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.hidden_width
        self.word = nn.Embedding(config.vocab_size, width, padding_idx=config.pad_id)
        self.position = nn.Embedding(config.max_positions, width)
        types = config.n_token_types
        self.token_type = nn.Embedding(types, width) if types else None
        self.norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        """``[batch, seq]`` ids → ``[batch, seq, width]``."""
        hidden = self.word(input_ids) + self.position.weight[: input_ids.shape[1]]
        if self.token_type is not None:
            if token_type_ids is None:
                hidden = hidden + self.token_type.weight[0]
            else:
                hidden = hidden + self.token_type(token_type_ids)
        return self.dropout(self.norm(hidden))


class Encoder(nn.Module):
    """A stack of transformer layers over embeddings."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Runs the encoder.

        Args:
            input_ids: int64 ``[batch, seq]``.
            attention_mask: 1 for real tokens, 0 for padding, ``[batch, seq]``; ``None`` where
                nothing is padded.
            token_type_ids: int64 ``[batch, seq]``; all 0 by default, ignored by DistilBERT.

        Returns:
            Hidden states ``[batch, seq, width]``: the embeddings', then one for each layer.
        """
        seq_len = input_ids.shape[1]
        if seq_len > self.config.max_positions:
            raise ValueError(
                f"rows of {seq_len} tokens are longer than the model's "
                f"{self.config.max_positions} positions: split them into windows"
            )
        mask = None if attention_mask is None else attention_mask[:, None, None, :].bool()
        states = [self.embeddings(input_ids, token_type_ids)]
        for layer in self.layers:
            states.append(layer(states[-1], mask))
        return tuple(states)


def initialize(module: nn.Module, std: float) -> None:
    """Gives every weight below ``module`` BERT's initial values: normal(0, std), biases 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=std)
            nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=std)
            if part.padding_idx is not None:
                with torch.no_grad():
                    part.weight[part.padding_idx].zero_()
