"""Token ids → hidden states. All supported types are one encoder with options."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig
from potstill.models.disentangled import DisentangledLayer, DistanceTable
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
            nn.Embedding(
                config.max_positions + config.position_offset,
                width,
                padding_idx=config.pad_id if self.skips_padding else None,
            )
            if config.has_positions
            else None
        )
        types = config.n_token_types
        self.token_type = nn.Embedding(types, width) if types else None
        known = config.distances
        self.distance: PositionBias | DistanceTable | None = None
        if config.has_position_bias:
            self.distance = PositionBias(config)
        elif known is not None:
            self.distance = DistanceTable(config, known)
        self.distance_norm = (
            norm(config, config.hidden_width) if known is not None and known.normed else None
        )
        first = config.spec.projects_first
        self.norm = norm(config, config.hidden_width if first else width)
        self.dropout = Dropout(0.0 if config.spec.pre_norm else config.hidden_dropout)

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None,
        projection: nn.Linear | None = None,
    ) -> Tensor:
        """``[batch, seq]`` ids → ``[batch, seq, width]``, normed, after a projection or without."""
        hidden = self.word(input_ids)
        if self.position is not None:
            hidden = hidden + self._positions(input_ids, self.position)
        if self.token_type is not None:
            if token_type_ids is None or self.token_type.num_embeddings == 1:
                hidden = hidden + self.token_type.weight[0]
            else:
                hidden = hidden + self.token_type(token_type_ids)
        hidden = hidden if projection is None else projection(hidden)
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
            nn.Linear(config.table_width, config.hidden_width, not config.spec.projects_first)
            if config.projects
            else None
        )
        kind = PreNormLayer if config.spec.pre_norm else Layer
        kind = DisentangledLayer if config.spec.disentangled else kind
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
        if attention_mask is not None and self.config.spec.disentangled:
            states[0] = states[0] * attention_mask[..., None]  # padding begins as nothing
        mask = self.mask(states[0], attention_mask)
        known = self.distances(input_ids.shape[1])
        for layer in self.layers:
            states.append(layer(states[-1], mask, *known))
        if self.final_norm is not None:
            states[-1] = self.final_norm(states[-1])
        return tuple(states)

    def embed(self, input_ids: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """What the first layer reads: ``[batch, seq]`` → ``[batch, seq, width]``."""
        if self.config.spec.projects_first:
            return self.embeddings(input_ids, token_type_ids, self.embedding_projection)
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
            True where a key may be seen, ``[batch, 1, 1, seq]`` (``[batch, 1, seq, seq]`` where
            contents and distances are kept apart); where there are position biases,
            what is added to the scores, ``[batch or 1, heads, seq, seq]``; or ``None``.
        """
        seen = None if attention_mask is None else attention_mask[:, None, None, :].bool()
        if seen is not None and self.config.spec.disentangled:
            return seen & seen.transpose(-1, -2)  # what padding learns counts in a row's softmax
        if not isinstance(self.embeddings.distance, PositionBias):
            return seen
        bias = self.embeddings.distance(embedded)
        return bias if seen is None else bias.masked_fill(~seen, torch.finfo(bias.dtype).min / 2)

    def distances(self, seq_len: int) -> tuple[tuple[Tensor, Tensor], ...]:
        """What layers that keep distances apart are given beside their mask.

        Returns:
            One pair: vectors of buckets ``[rows, width]``, and the row of every distance of
            ``seq_len`` tokens. Nothing where layers take none.
        """
        table = self.embeddings.distance
        if not isinstance(table, DistanceTable):
            return ()
        normed = self.embeddings.distance_norm
        vectors = table.weight if normed is None else normed(table.weight)
        return ((vectors, table.rows_of(seq_len)),)

    def train_upper(self, n_layers: int) -> None:
        """Has only the ``n_layers`` upper layers, and a norm behind them, learn from here on.

        Layers that share their weights with one of them learn too; 0 leaves the whole encoder as
        it is.

        Raises:
            ValueError: there are not so many layers.
        """
        if n_layers > len(self.layers):
            raise ValueError(f"{n_layers} is more than the {len(self.layers)} layers")
        self.requires_grad_(False)
        for part in (*self.layers[len(self.layers) - n_layers :], self.final_norm):
            if n_layers and part is not None:
                part.requires_grad_(True)

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
