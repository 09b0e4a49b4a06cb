"""A plain numpy forward pass of the encoder and its heads: what exported files are held against.

Written from the papers' equations (Vaswani et al. 2017, Devlin et al. 2019), in float64 and without
regard to speed; it shares no code with the ONNX graph or the torch model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potstill.bundle.config import ModelConfig
from potstill.bundle.disentangled import Distances
from potstill.bundle.heads import DEFAULT, HEADS, Activate, HeadName, HeadSpec, Linear, Norm

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


def forward(
    config: ModelConfig,
    weights: Mapping[str, NDArray[Any]],
    input_ids: Ints,
    attention_mask: Ints,
    token_type_ids: Ints,
    head: HeadName = DEFAULT,
) -> tuple[Floats, ...]:
    """The float64 outputs that `bundle.onnx_graph` names, of int64 [batch, seq] inputs.

    Args:
        config: shape of the encoder.
        weights: every parameter under our names, linear weights [out, in].
        input_ids: token ids.
        attention_mask: 1 where a position may be looked at, 0 where not.
        token_type_ids: ignored where the model has none, or only one.
        head: what the encoder carries.
    """
    w = {name: np.asarray(value, np.float64) for name, value in weights.items()}
    x = w["embeddings.word.weight"][input_ids]  # [batch, seq, width]
    if config.has_positions:
        x = x + w["embeddings.position.weight"][_positions(config, input_ids)]
    if config.n_token_types:
        x = x + w["embeddings.token_type.weight"][token_type_ids * (config.n_token_types > 1)]
    if config.projects and config.spec.projects_first:
        x = _linear(x, w, "embedding_projection")
    x = _norm(x, w, "embeddings.norm", config.norm_eps)
    if config.projects and not config.spec.projects_first:
        x = _linear(x, w, "embedding_projection")
    allowed = attention_mask.astype(bool)[:, None, None, :]
    for i in range(config.n_layers):
        name = f"layers.{config.weights_of(i)}"
        if config.spec.pre_norm:
            x = _pre_norm_layer(x, w, i, config, allowed)
            continue
        attended = _attention(x, w, f"{name}.attention", config, allowed)
        x = _norm(x + attended, w, f"{name}.attention_norm", config.norm_eps)
        inner = _ACTIVATIONS[config.activation](_linear(x, w, f"{name}.ffn.up"))
        x = _norm(x + _linear(inner, w, f"{name}.ffn.down"), w, f"{name}.ffn_norm", config.norm_eps)
    if config.spec.pre_norm:
        x = _norm(x, w, "final_norm", config.norm_eps)
    if not HEADS[head].by_token:
        real = attention_mask[:, :, None]
        x = (x * real).sum(axis=1) / real.sum(axis=1) if config.pools_mean else x[:, 0]
    return _head(config, w, x, HEADS[head])


def _pre_norm_layer(
    x: Floats, w: Mapping[str, Floats], i: int, config: ModelConfig, allowed: NDArray[np.bool_]
) -> Floats:
    name, eps = f"layers.{i}", config.norm_eps
    at = np.arange(x.shape[1])
    if config.reach_of(i):
        far = np.abs(at[:, None] - at) > config.reach_of(i)
        # Padding that sees nothing but padding sees itself, so that its sums are numbers.
        allowed = (allowed & ~far) | np.eye(len(at), dtype=bool)
    normed = _norm(x, w, f"{name}.attention_norm", eps) if i else x
    angles = at[:, None] / config.theta_of(i) ** (
        np.arange(0, config.head_width, 2) / config.head_width
    )
    x = x + _attention(normed, w, f"{name}.attention", config, allowed, angles)
    normed = _norm(x, w, f"{name}.ffn_norm", eps)
    inner = _ACTIVATIONS[config.activation](_linear(normed, w, f"{name}.ffn.up"))
    return x + _linear(inner * _linear(normed, w, f"{name}.ffn.gate"), w, f"{name}.ffn.down")


def _turned(x: Floats, angles: Floats) -> Floats:
    """Pairs of numbers, half a width apart, as complex ones times e^(i · angle)."""
    half = x.shape[-1] // 2
    spun = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angles)
    return np.concatenate([spun.real, spun.imag], axis=-1)


def _head(
    config: ModelConfig, w: Mapping[str, Floats], x: Floats, head: HeadSpec
) -> tuple[Floats, ...]:
    for step in head.steps(config):
        if isinstance(step, Linear):
            x = _linear(x, w, step.name)
        elif isinstance(step, Activate):
            x = _ACTIVATIONS[step.activation](x)
        elif isinstance(step, Norm):
            x = _norm(x, w, step.name, config.norm_eps)
        else:
            x = x @ w["embeddings.word.weight"].T + w[f"{step.name}.bias"]
    return (x,) if len(head.outputs) == 1 else tuple(np.moveaxis(x, -1, 0))


def _positions(config: ModelConfig, input_ids: Ints) -> Ints:
    """Rows of the position table, [batch, seq]."""
    if (
        config.position_offset
    ):  # RoBERTa, MPNet: the n-th token that is no padding, counted from pad_id
        real = input_ids != config.pad_id
        return np.where(real, np.cumsum(real, axis=1), 0) + config.pad_id
    return np.broadcast_to(np.arange(input_ids.shape[1]), input_ids.shape)


def _linear(x: Floats, w: Mapping[str, Floats], name: str) -> Floats:
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)


def _norm(x: Floats, w: Mapping[str, Floats], name: str, eps: float) -> Floats:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + eps) * w[f"{name}.weight"] + w.get(f"{name}.bias", 0.0)


def _attention(
    x: Floats,
    w: Mapping[str, Floats],
    name: str,
    config: ModelConfig,
    allowed: NDArray[np.bool_],
    angles: Floats | None = None,
) -> Floats:
    batch, seq, _ = x.shape

    def heads(part: str) -> Floats:  # [batch, heads, seq, head_width]
        value = _linear(x, w, f"{name}.{part}")
        return value.reshape(batch, seq, -1, config.head_width).transpose(0, 2, 1, 3)

    query, key = heads("query"), heads("key")
    if angles is not None:
        query, key = _turned(query, angles), _turned(key, angles)
    scores = query @ key.transpose(0, 1, 3, 2)
    if config.distances is not None:
        scores = scores + _of_distances(query, key, w, name, config, config.distances)
    scores = scores / math.sqrt(config.head_width * config.score_terms)
    if config.has_position_bias:
        scores = scores + _position_bias(w["embeddings.distance.weight"], seq)
    scores = np.where(allowed, scores, -np.inf)  # every row of a batch may look somewhere
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    share = scores / scores.sum(axis=-1, keepdims=True)
    mixed = (share @ heads("value")).transpose(0, 2, 1, 3).reshape(batch, seq, -1)
    return _linear(mixed, w, f"{name}.output")


def _of_distances(
    query: Floats,
    key: Floats,
    w: Mapping[str, Floats],
    name: str,
    config: ModelConfig,
    known: Distances,
) -> Floats:
    """DeBERTa's other two terms, [batch, heads, seq, seq]: equation 4 of He et al. 2021.

    Spelled out: bucket by bucket, a table of what every token makes of each, and then the bucket of
    every pair looked up in it.
    """
    table = w["embeddings.distance.weight"]
    if known.normed:
        table = _norm(table, w, "embeddings.distance_norm", config.norm_eps)
    at = np.arange(query.shape[2])
    behind = at[:, None] - at  # how far the query (row) is behind the key (column)
    middle = known.buckets // 2
    if known.buckets:
        away = np.maximum(np.abs(behind), 1).astype(np.float32)
        steps = np.log(away / np.float32(middle))  # in float32, as the models were trained
        steps /= np.log(np.float32((known.farthest - 1) / middle))
        far = np.sign(behind) * (np.ceil(steps * np.float32(middle - 1)) + middle)
        behind = np.where(np.abs(behind) <= middle, behind, far).astype(np.int64)
    bucket = np.clip(behind + known.span, 0, 2 * known.span - 1)

    def heads(part: str) -> Floats:  # [heads, rows, head_width]
        found = _linear(table, w, f"{name}.{part}")
        return found.reshape(len(table), -1, config.head_width).transpose(1, 0, 2)

    found = np.zeros((*query.shape[:3], len(at)))
    if known.of_keys:
        of_buckets = query @ heads("key" if known.shares else "distance_key").transpose(0, 2, 1)
        found += of_buckets[:, :, at[:, None], bucket]
    if known.of_queries:
        of_buckets = key @ heads("query" if known.shares else "distance_query").transpose(0, 2, 1)
        found += of_buckets[:, :, at[None, :], bucket]
    return found


def _position_bias(table: Floats, seq: int) -> Floats:
    """What MPNet adds to the scores of query i and key j, [heads, seq, seq].

    Its 32 buckets, spelled out: 0 to 7 tokens to the left, then up to 11, 15, 22, 31, 45, 63, 90
    and any more; the same to the right, 16 buckets on.
    """
    edges = np.array([1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91])
    apart = np.arange(seq)[None, :] - np.arange(seq)[:, None]
    bucket = np.searchsorted(edges, np.abs(apart), side="right") + 16 * (apart > 0)
    return table[bucket].transpose(2, 0, 1)


def _gelu(x: Floats) -> Floats:
    erf = np.fromiter(map(math.erf, (x / math.sqrt(2)).ravel()), np.float64, x.size)
    return x * 0.5 * (1 + erf.reshape(x.shape))


def _gelu_new(x: Floats) -> Floats:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _silu(x: Floats) -> Floats:
    return x / (1 + np.exp(-x))


def _quick_gelu(x: Floats) -> Floats:
    return x / (1 + np.exp(-1.702 * x))


def _relu(x: Floats) -> Floats:
    return np.maximum(x, 0)


_ACTIVATIONS = {
    "gelu": _gelu,
    "gelu_new": _gelu_new,
    "relu": _relu,
    "silu": _silu,
    "quick_gelu": _quick_gelu,
    "tanh": np.tanh,
}
