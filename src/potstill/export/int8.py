"""Int8: weights rounded once, activations rounded token by token while the graph runs.

Weights are int8 with one scale per output column (per row of the word table). Activations are
quantised with **one scale per token**, taken from that token alone, so the answer of a window does
not depend on what else is in its batch, which per-tensor scales (``DynamicQuantizeLinear``) make it
do; on MiniLM they also halve the error. What follows the GELU is never below the function's own
minimum, so its range starts there, and the whole offset moves into the bias.

Trap: on x86 without VNNI, ``MatMulInteger`` adds two uint8 × int8 products in a saturating int16.
Weights are therefore rounded such that no two neighbours can reach it (|a| + |b| ≤ 128, since
255 · 128 < 2¹⁵), with the scale of each column chosen for the least error under that bound. The
products are then exact on every CPU, at a smaller cost than the usual seven-bit weights.

Attention's own products, norms, positions, token types and the heads' last layers stay float32.
Masked language modelling multiplies with the word table: its rounded rows, in float32 again, since
they were not rounded under the bound above.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.bundle.config import ModelConfig
from potstill.bundle.onnx_nodes import Array, Graph, Storage
from potstill.bundle.onnx_weights import INT8, SCALE

PAIR_LIMIT = 128
"""Most that the magnitudes of two neighbouring weights may sum to: 255 · 128 fits an int16."""
_LEAST = {"gelu": -0.17, "gelu_new": -0.1702, "relu": 0.0, "silu": -0.2785, "quick_gelu": -0.1637}
"""Least value an activation function gives (GELU: −0.169971; by tanh: −0.170041; SiLU: −0.278465,
and that by 1.702 for the quick GELU), rounded down."""
_LEVELS = np.arange(64, 161, 4)
"""Candidates for the integer that a column's largest weight is scaled to; above 127 it is cut."""
_TINY = 1e-12


def int8_storage(config: ModelConfig) -> Storage:
    """How an int8 graph stores and computes its linear layers and the word table."""
    least = _LEAST[config.activation]

    def linear(g: Graph, x: str, name: str, weight: Array, bias: Array | None) -> str:
        # A gate may turn what was activated around: then nothing is known of its least value.
        floor = least if name.endswith("ffn.down") and not config.spec.gated else None
        if x not in g.memo:  # query, key and value share their input
            g.memo[x] = _quantise_tokens(g, x, floor)
        tokens, token_scale = g.memo[x]
        if name not in g.memo:  # layers may share their weights
            g.memo[name] = round_linear(weight.T)
        q, scale = g.memo[name]
        stored = g.const(f"{name}.weight{INT8}", q)
        y = g.op("Cast", g.op("MatMulInteger", tokens, stored, _zero(g, floor)), to=1)
        y = g.op("Mul", y, g.const(f"{name}.weight{SCALE}", scale))
        y = g.op("Mul", y, token_scale)
        if bias is None:
            return y
        added = g.weight(f"{name}.bias", bias)
        if floor:
            # x = scale · tokens + floor, so x @ w = scale · (tokens @ w) + floor · (sum of w).
            shift = floor * (q.astype(np.float32) * scale).sum(axis=0)
            added = g.op("Add", added, g.weight(f"{name}.shift", shift))
        return g.op("Add", y, added)

    return Storage(linear=linear, word_table=_int8_table, decoder=_int8_decoder)


def _quantise_tokens(g: Graph, x: str, floor: float | None) -> tuple[str, str]:
    """Rounds each token of [batch, seq, width] to uint8; returns it and its scale [batch, seq, 1].

    Without a floor the range is symmetric about 0 (which is 128); with one it starts there.
    """
    if floor:
        x = g.op("Sub", x, g.scalar("floor", floor))
    size = g.op("Abs", x) if floor is None else x
    top = g.op("ReduceMax", size, axes=[-1], keepdims=1)
    top = g.op("Max", top, g.scalar("tiny", _TINY))  # a token of zeros must not divide by 0
    steps = g.scalar("steps", 127.0) if floor is None else g.scalar("steps_0", 255.0)
    scaled = g.op("Mul", x, g.op("Div", steps, top))
    tokens = g.op("QuantizeLinear", scaled, g.scalar("one", 1.0), _zero(g, floor))
    return tokens, g.op("Div", top, steps)


def _zero(g: Graph, floor: float | None) -> str:
    """The integer that stands for 0, or for the floor."""
    if floor is None:
        return g.const("zero_point", np.array(128, np.uint8))
    return g.const("zero_point_0", np.array(0, np.uint8))


def _int8_table(g: Graph, ids: str, name: str, weight: Array) -> str:
    table, scale = _stored_table(g, name, weight)
    rows = g.op("Cast", g.op("Gather", table, ids), to=1)
    return g.op("Mul", rows, g.op("Gather", scale, ids))


def _int8_decoder(g: Graph, x: str, name: str, weight: Array) -> str:
    table, scale = _stored_table(g, name, weight)
    words = g.op("Transpose", g.op("Cast", table, to=1), perm=(1, 0))
    return g.op("Mul", g.op("MatMul", x, words), g.op("Transpose", scale, perm=(1, 0)))


def _stored_table(g: Graph, name: str, weight: Array) -> tuple[str, str]:
    """An embedding table as int8 [rows, width], and the scale of each row [rows, 1]."""
    scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True) / 127, _TINY).astype(np.float32)
    q = np.round(weight / scale).astype(np.int8)
    return g.const(f"{name}.weight{INT8}", q), g.const(f"{name}.weight{SCALE}", scale)


def round_linear(weight: Array) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounds a linear weight [in, out] to int8 with one scale per output column.

    Each column takes the scale of least squared error among `_LEVELS`, every candidate rounded
    under the pair limit.

    Returns:
        int8 [in, out], in [-127, 127] with |a| + |b| ≤ 128 for rows 2i and 2i + 1; float32 [out].
    """
    weight = np.asarray(weight, np.float32)
    top = np.maximum(np.abs(weight).max(axis=0), _TINY)
    best_q = np.zeros(weight.shape, np.int8)
    best_scale = np.ones(weight.shape[1], np.float32)
    best_error = np.full(weight.shape[1], np.inf)
    for level in _LEVELS:
        scale = (top / level).astype(np.float32)
        q = _within_pairs(np.clip(np.round(weight / scale), -127, 127))
        error = np.square(q * scale - weight).sum(axis=0)
        better = error < best_error
        best_q[:, better] = q[:, better].astype(np.int8)
        best_scale[better] = scale[better]
        best_error[better] = error[better]
    return best_q, best_scale


def _within_pairs(q: NDArray[Any]) -> NDArray[Any]:
    """Shortens neighbours (rows 2i and 2i + 1) whose magnitudes sum to more than the limit."""
    n = len(q) // 2 * 2
    a, b = q[0:n:2], q[1:n:2]
    over = np.maximum(np.abs(a) + np.abs(b) - PAIR_LIMIT, 0)
    cut = np.minimum(np.ceil(over / 2), np.abs(a))
    q[0:n:2] = np.sign(a) * (np.abs(a) - cut)
    q[1:n:2] = np.sign(b) * (np.abs(b) - (over - cut))
    return q
