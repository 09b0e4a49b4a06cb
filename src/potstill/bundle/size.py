"""How large a model is and what a token costs: arithmetic on its config alone, no weights read."""

from __future__ import annotations

import math

from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import HEADS, HeadName
from potstill.bundle.weights import expected_shapes

_TABLES = frozenset(f"embeddings.{name}.weight" for name in ("word", "position", "token_type"))


def parameters(config: ModelConfig, *, head: HeadName | None, embeddings: bool = True) -> int:
    """Number of parameters of an encoder with a head.

    "22M parameters" is ambiguous: in a small model half of them are the word table, which costs
    bytes and no arithmetic.

    Args:
        config: the model's shape.
        head: what it carries; ``None`` for the encoder alone.
        embeddings: whether the word, position and token type tables count.
    """
    return sum(
        math.prod(shape)
        for name, shape in expected_shapes(config, head=head).items()
        if embeddings or name not in _TABLES
    )


def flops_per_token(config: ModelConfig, seq_len: int, head: HeadName) -> int:
    """Forward multiplications plus additions a token, in the matrix products of one full row.

    With hidden_width w, and in each layer attention's width a (w where no head was removed),
    feed-forward width f and seq_len n::

        2 · (sum over layers of (4·w·a + 2·w·f + 2·n·a) + h)

    4·w·a are query, key, value and output; 2·w·f the feed-forward's two layers; 2·n·a attention's
    two products with n positions, scores and weighted sum (of fewer where a layer sees only what is
    near); a gate is one more w·f; a product with distances, 2·n of them, is 2·n·a more; h the
    weights of the head: 2·w for question answering; the word table too for masked language
    modelling; those of a head that speaks of the whole row are shared among its n tokens. Where a
    projection widens the embeddings (ELECTRA), embedding_width · w comes to it. The factor 2 counts
    a multiplication and an addition each. Table look-ups, norms, activations and softmax, a few
    percent, are left out.

    Args:
        config: the model's shape.
        seq_len: tokens of the row, all of them attended to.
        head: what the encoder carries.
    """
    width = config.hidden_width
    layers = sum(
        (4 * width + 2 * _seen(config, i, seq_len) * config.score_terms) * config.attention_width(i)
        + (2 + config.spec.gated) * width * config.ffn_of(i)
        for i in range(config.n_layers)
    )
    projection = config.table_width * width * config.projects
    own = sum(math.prod(s) for s in HEADS[head].shapes(config).values() if len(s) == 2)
    if HEADS[head].speaks_words(config):
        own += config.vocab_size * config.table_width
    if not HEADS[head].by_token:
        own = round(own / seq_len)
    return 2 * (projection + layers + own)


def _seen(config: ModelConfig, layer: int, seq_len: int) -> int:
    """Positions that a token of a layer sees at most."""
    reach = config.reach_of(layer)
    return min(seq_len, 2 * reach + 1) if reach else seq_len
