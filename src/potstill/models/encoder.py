"""Token ids → hidden states. All supported types are one encoder with options."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig
from potstill.models.dropout import Dropout
from potstill.models.layers import Layer, PositionBias, PreNormLayer, norm


class Embeddings(nn.Module):
    """Word, position and (where the model has them) token-type embeddings, normed.

    Those of distances, where the model has them, are for attention: see `Encoder.mask`.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.table_width
        self.pad_id = config.pad_id
        self.skips_padding = config.position_offset > 0
        self.word = nn.Embedding(config.vocab_size, width, padding_idx=config.pad_id)
        self.position = (
            None
            if config.spec.rotary
            else nn.Embedding(
                config.max_positions + config.position_offset,
                width,
                padding_idx=config.pad_id if self.skips_padding else None,
            )
        )
        types = config.n_token_types
        self.token_type = nn.Embedding(types, width) if types else None
        self.distance = PositionBias(config) if config.has_position_bias else None
        self.norm = norm(config, width)
        self.dropout = Dropout(0.0 if config.spec.pre_norm else config.hidden_dropout)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        """``[batch, seq]`` ids → ``[batch, seq, width]``."""
        hidden = self.word(input_ids)
        if self.position is not None:
            hidden = hidden + self._positions(input_ids, self.position)
        if self.token_type is not None:
            if token_type_ids is None or self.token_type.num_embeddings == 1:
                hidden = hidden + self.token_type.weight[0]
            else:
                hidden = hidden + self.token_type(token_type_ids)
        return self.dropout(self.norm(hidden))

    def _positions(self, input_ids: Tensor, position: nn.Embedding) -> Tensor:
        if not self.skips_padding:
            return position.weight[: input_ids.shape[1]]
        # The n-th token that is no padding has row pad_id + n, padding row pad_id: Liu et al.
        # 2019, as in fairseq's `make_positions`.
        real = (input_ids != self.pad_id).long()
        return position(real.cumsum(1) * real + self.pad_id)


class Encoder(nn.Module):
    """A stack of transformer layers over embeddings."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.embedding_projection = (
            nn.Linear(config.table_width, config.hidden_width) if config.projects else None
        )
        kind = PreNormLayer if config.spec.pre_norm else Layer
        own = [kind(config, i) for i in range(config.n_own_layers)]
        self.layers = nn.ModuleList(own[config.weights_of(i)] for i in range(config.n_layers))
        self.final_norm = norm(config, config.hidden_width) if config.spec.pre_norm else None

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
            token_type_ids: int64 ``[batch, seq]``; all 0 by default, ignored where the model has
                none or only one.

        Returns:
            Hidden states ``[batch, seq, width]``: the embeddings' (projected, where the model does
            so), then one for each layer; the last one normed, where a norm follows the layers.
        """
        self.check_length(input_ids.shape[1])
        states = [self.embed(input_ids, token_type_ids)]
        mask = self.mask(states[0], attention_mask)
        for layer in self.layers:
            states.append(layer(states[-1], mask))
        if self.final_norm is not None:
            states[-1] = self.final_norm(states[-1])
        return tuple(states)

    def embed(self, input_ids: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """What the first layer reads: ``[batch, seq]`` → ``[batch, seq, width]``."""
        embedded = self.embeddings(input_ids, token_type_ids)
        if self.embedding_projection is not None:
            embedded = self.embedding_projection(embedded)
        return embedded

    def mask(self, embedded: Tensor, attention_mask: Tensor | None) -> Tensor | None:
        """What every layer's attention is given as its mask.

        Args:
            embedded: what the first layer reads, ``[batch, seq, width]``.
            attention_mask: 1 for real tokens, 0 for padding, ``[batch, seq]``, or ``None``.

        Returns:
            True where a key may be seen, ``[batch, 1, 1, seq]``; where there are position biases,
            what is added to the scores, ``[batch or 1, heads, seq, seq]``; or ``None``.
        """
        seen = None if attention_mask is None else attention_mask[:, None, None, :].bool()
        if self.embeddings.distance is None:
            return seen
        bias = self.embeddings.distance(embedded)
        return bias if seen is None else bias.masked_fill(~seen, torch.finfo(bias.dtype).min / 2)

    def check_length(self, seq_len: int) -> None:
        """Refuses rows that the position table is too short for.

        Raises:
            ValueError: ``seq_len`` is more than ``max_positions``.
        """
        if seq_len > self.config.max_positions:
            raise ValueError(
                f"rows of {seq_len} tokens are longer than the model's "
                f"{self.config.max_positions} positions: split them into windows"
            )


def initialize(module: nn.Module, std: float) -> None:
    """Gives every weight below ``module`` BERT's initial values: normal(0, std), biases 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=std)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=std)
            if part.padding_idx is not None:
                with torch.no_grad():
                    part.weight[part.padding_idx].zero_()
