"""Nodes for attention that keeps contents and distances apart: see `bundle.disentangled`.

Not a gather of ``seq × seq`` numbers: a product with one column a distance is read with rows one
number shorter than they are, which moves each row a column to the left of the one above. What the
table of distances becomes in a layer depends on no input: whoever opens the file computes it once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from potstill.bundle.config import ModelConfig
from potstill.bundle.disentangled import Distances
from potstill.bundle.onnx_nodes import Graph


def of_distances(
    g: Graph,
    config: ModelConfig,
    known: Distances,
    project: Callable[[str], str],
    query: str,
    key: str,
    *,
    first_only: bool,
) -> list[str]:
    """What distances add to a layer's scores: values ``[batch, heads, seq, seq]``.

    Args:
        g: the graph.
        config: shape of the encoder.
        known: its options of distances.
        project: a projection's name below ``attention`` → the table through it,
            ``[rows, heads · head_width]``.
        query: ``[batch, heads, seq, head_width]``, scaled as the scores are.
        key: as ``query``, not scaled.
        first_only: whether only the first token asks: ``seq`` of the query and the result is 1.
    """
    added: list[str] = []
    if known.of_keys:
        table = project("key" if known.shares else "distance_key")
        vectors = _vectors(g, config, known, table, "left", (0, 2, 3, 1), first_only)
        products = g.op("MatMul", query, vectors)
        added.append(products if first_only else _skewed(g, products))
    if known.of_queries:
        table = project("query" if known.shares else "distance_query")
        scale = 1 / np.sqrt(config.head_width * config.score_terms)
        table = g.op("Mul", table, g.scalar("scale", scale))
        if first_only:  # one vector for each key
            vectors = _vectors(g, config, known, table, "left", (0, 2, 1, 3), first_only)
            product = g.op("ReduceSum", g.op("Mul", key, vectors), g.ints(3), keepdims=0)
            added.append(g.op("Unsqueeze", product, g.ints(2)))
        else:
            vectors = _vectors(g, config, known, table, "right", (0, 2, 3, 1), first_only)
            products = _skewed(g, g.op("MatMul", key, vectors))
            added.append(g.op("Transpose", products, perm=(0, 1, 3, 2)))
    return added


def _vectors(
    g: Graph,
    config: ModelConfig,
    known: Distances,
    table: str,
    side: str,
    order: tuple[int, ...],
    first_only: bool,
) -> str:
    """The table's rows for all distances, ``[1, distance, head, width]``, its axes in ``order``.

    Of four axes, as queries and keys have: onnxruntime from 1.24 on crashes where three in float16
    are turned before a product (https://github.com/microsoft/onnxruntime/issues/28392).
    """
    found = g.op("Gather", table, _rows(g, config, known, side, first_only))
    found = g.op("Reshape", found, g.ints(1, -1, config.n_heads, config.head_width))
    return g.op("Transpose", found, perm=order)


def _rows(g: Graph, config: ModelConfig, known: Distances, side: str, first_only: bool) -> str:
    """Numbers of the table's rows, ``[2 · seq]``; ``[seq]`` where only the first token asks.

    To the ``left`` for columns that are keys, each with how far a query is behind it, the largest
    distance first; to the ``right`` for columns that are queries. The last column is for no pair.
    """
    memo = "distance rows", side, first_only
    if memo not in g.memo:
        n, step = config.max_positions, -1 if side == "left" else 1
        rows = [known.row(step * (column - n + 1)) for column in range(2 * n)]
        stored = g.const(f"distance_rows_{side}", np.array(rows, np.int64))
        seq_len = g.op("Shape", "input_ids", start=1, end=2)
        start = g.ints(n - 1) if first_only else g.op("Sub", g.ints(n), seq_len)
        stop = g.op("Add", g.ints(n - 1 if first_only else n), seq_len)
        g.memo[memo] = g.op("Slice", stored, start, stop, g.ints(0))
    return g.memo[memo]


def _skewed(g: Graph, products: str) -> str:
    """``[batch, heads, seq, 2 · seq]`` → ``[batch, heads, seq, seq]``.

    In row ``i`` the token ``j`` has column ``j - i + seq - 1``.
    """
    if "skew" not in g.memo:
        seq_len = g.op("Shape", "input_ids", start=1, end=2)
        before = g.op("Sub", seq_len, g.ints(1))
        short = g.op("Add", seq_len, before)
        shape = g.op("Concat", g.ints(0, 0), seq_len, short, axis=0)
        g.memo["skew"] = seq_len, before, shape
    seq_len, before, shape = g.memo["skew"]
    flat = g.op("Slice", g.op("Reshape", products, g.ints(0, 0, -1)), before, g.ints(-1), g.ints(2))
    return g.op("Slice", g.op("Reshape", flat, shape), g.ints(0), seq_len, g.ints(3))
