"""Attention that keeps contents and distances apart.

He et al. 2021, DeBERTa, section 3.1 (https://arxiv.org/abs/2006.03654). What a query's content
makes of distances is a product with one column a distance; all keys of a query lie side by side in
it, and a query further they lie one column further to the left.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig
from potstill.bundle.disentangled import Distances
from potstill.models.dropout import dropout
from potstill.models.layers import Attention, Layer


class DistanceTable(nn.Embedding):
    """A vector for every bucket of distances, for all layers."""

    rows: Tensor
    """Row of every distance of a query behind its key, from the least (far before it) on."""

    def __init__(self, config: ModelConfig, distances: Distances) -> None:
        super().__init__(2 * distances.span, config.hidden_width)
        self.longest = config.max_positions
        rows = [distances.row(n) for n in range(-self.longest, self.longest + 1)]
        self.register_buffer("rows", torch.tensor(rows), persistent=False)

    def rows_of(self, seq_len: int) -> Tensor:
        """Row of every distance in ``seq_len`` tokens and one more: ``[2 · seq_len + 1]``."""
        return self.rows[self.longest - seq_len : self.longest + seq_len + 1]


class DisentangledAttention(Attention):
    """`Attention` whose scores know distances beside contents."""

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        super().__init__(config, layer)
        known = config.distances
        width, inner = config.hidden_width, config.attention_width(layer)
        self.n_terms = config.score_terms
        self.known = known
        self.table_dropout = config.hidden_dropout
        own = () if known is None else known.projections
        self.distance_key = nn.Linear(width, inner) if "distance_key" in own else None
        self.distance_query = nn.Linear(width, inner) if "distance_query" in own else None

    def forward(
        self, hidden: Tensor, mask: Tensor | None, table: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Mixes every position with those it may see.

        Args:
            hidden: ``[batch, seq, width]``.
            mask: True where query and key are both no padding, ``[batch, 1, seq, seq]``; ``None``
                where nothing is.
            table: vectors of buckets ``[rows, width]``, and the row of each distance from key to
                query, from ``-seq`` to ``seq``; ``None`` where distances are not known.
        """
        query, key, value = self.heads(hidden)
        query = query * self.n_terms**-0.5
        real = None if mask is None else mask.diagonal(dim1=-2, dim2=-1)[..., None]
        if real is not None:  # padding asks nothing: it sees all alike
            query = query * real
        bias = None
        if table is not None and self.known is not None:
            bias = self._bias(query, key, self.known, *table)
        if mask is not None and real is not None:
            bias = query.new_zeros(()) if bias is None else bias
            bias = torch.where(mask, bias, real * (torch.finfo(bias.dtype).min / 2))
        return self.mix([query, key, value], bias)

    def _bias(
        self, query: Tensor, key: Tensor, known: Distances, vectors: Tensor, rows: Tensor
    ) -> Tensor | None:
        """What distances add to the scores: ``[batch, heads, seq, seq]``."""
        if self.training:
            vectors = dropout(vectors, self.table_dropout)
        scale = query.shape[-1] ** -0.5
        bias = None
        if known.of_keys:
            project = self.key if self.distance_key is None else self.distance_key
            of_keys = self._split(project(vectors))[:, rows.flip(0)[1:]]  # from the left on
            bias = skewed(query * scale @ of_keys.transpose(-1, -2))
        if known.of_queries:
            project = self.query if self.distance_query is None else self.distance_query
            of_queries = self._split(project(vectors))[:, rows[1:]]
            scale *= self.n_terms**-0.5
            found = skewed(key * scale @ of_queries.transpose(-1, -2)).transpose(-1, -2)
            bias = found if bias is None else bias + found
        return bias

    def _split(self, vectors: Tensor) -> Tensor:
        return vectors.unflatten(-1, (self.n_heads, -1)).transpose(0, 1)


class DisentangledLayer(Layer):
    """`Layer` with `DisentangledAttention`."""

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        super().__init__(config, layer)
        self.attention = DisentangledAttention(config, layer)

    def forward(
        self, hidden: Tensor, mask: Tensor | None, table: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """``[batch, seq, width]`` → the same; the rest as in `DisentangledAttention`."""
        return self.finish(hidden, self.attention(hidden, mask, table))


def skewed(products: Tensor) -> Tensor:
    """A row for each token, a column for each distance → a column for each other token.

    Args:
        products: ``[…, seq, 2 · seq]``; in row ``i`` the token ``j`` has column
            ``j - i + seq - 1``.

    Returns:
        ``[…, seq, seq]``.
    """
    n = products.shape[-2]
    # In memory, the first column of a row lies one number before that of the row above, if a row
    # is read one number shorter than it is.
    flat = products.flatten(-2)[..., n - 1 : -1]
    return flat.unflatten(-1, (n, 2 * n - 1))[..., :n]
