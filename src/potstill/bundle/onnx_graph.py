"""The ONNX graph of an encoder with one of its heads, written from config and weights.

No torch: the graph is put together node by node, see `bundle.onnx_nodes`. All supported encoders
are one function with options. Only standard operators are used, so onnxruntime,
onnxruntime-web (and with it transformers.js) and OpenVINO read the file; the patterns are the ones
onnxruntime fuses.

Inputs are int64 ``input_ids``, ``attention_mask`` and, where the model tells token types apart,
``token_type_ids``, all [batch, seq] with both free. Outputs are float32: ``start_logits`` and
``end_logits``, [batch, seq], for question answering; ``logits`` for every other head, [batch,
n_labels] for labels of a text, [batch, 1] for a choice (a row each), [batch, seq, n_labels] for
labels of tokens and [batch, seq, vocab] for a masked language model.

Initialisers keep our parameter names (a linear layer's weight is transposed to [in, out]), so that
``bundle.onnx_weights`` can read the weights back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

from potstill.bundle import heads
from potstill.bundle.config import ModelConfig, position_bucket
from potstill.bundle.disentangled import Distances
from potstill.bundle.encoders.spec import HeadName
from potstill.bundle.onnx_disentangled import of_distances
from potstill.bundle.onnx_nodes import Array, Graph, Storage, float_linear, float_table
from potstill.bundle.onnx_positions import distances, mean, near, turned

OPSET = 17
"""The first with LayerNormalization; newer ones buy nothing here and shut older readers out."""
IR_VERSION = 8
MASKED = -1e4
"""Added to the score of a masked position: exp(-1e4) is 0, and float16 holds it."""


def build_graph(
    config: ModelConfig,
    weights: Mapping[str, Array],
    storage: Storage | None = None,
    *,
    head: HeadName = heads.DEFAULT,
) -> onnx.ModelProto:
    """Writes the graph of a model.

    Args:
        config: shape of the encoder.
        weights: every parameter under our names, linear weights [out, in].
        storage: how weights are stored; float32 where not given.
        head: what the encoder carries.

    Returns:
        The model, checked by ``onnx.checker``.
    """
    storage, known = storage or Storage(), heads.HEADS[head]
    graph = Graph(dtype=storage.dtype)
    bias = _mask_bias(graph)
    if config.has_position_bias:
        bias = graph.op("Add", _position_bias(graph, config, weights), bias)
    x = _embeddings(graph, config, weights, storage)
    for i in range(config.n_layers):
        # A head that reads the first token alone needs nothing else of the last layer.
        first = not (known.by_token or config.pools_mean) and i == config.n_layers - 1
        x = _layer(graph, config, weights, storage, i, x, bias, first_only=first)
    if config.spec.pre_norm:
        x = _norm(graph, config, weights, "final_norm", x)
    outputs = _head(graph, config, weights, storage, x, known)
    return _model(graph, config, outputs)


def _mask_bias(g: Graph) -> str:
    """[batch, 1, 1, seq]: 0 where a position may be looked at, ``MASKED`` where not."""
    mask = g.op("Unsqueeze", "attention_mask", g.ints(1, 2))
    mask = g.op("Cast", mask, to=helper.np_dtype_to_tensor_dtype(np.dtype(g.dtype)))
    hidden = g.op("Sub", g.scalar("one", 1.0), mask)
    return g.op("Mul", hidden, g.scalar("masked", MASKED))


def _position_bias(g: Graph, config: ModelConfig, weights: Mapping[str, Array]) -> str:
    """[heads, seq, seq]: what attention adds for the distance from each query to each key."""
    n = config.max_positions
    buckets = np.array([position_bucket(distance) for distance in range(1 - n, n)], np.int64)
    table = weights["embeddings.distance.weight"]
    by_distance = float_table(g, g.const("buckets", buckets), "embeddings.distance", table)
    found = g.op("Gather", by_distance, g.op("Add", distances(g), g.ints(n - 1)))
    return g.op("Transpose", found, perm=(2, 0, 1))


def _embeddings(
    g: Graph, config: ModelConfig, weights: Mapping[str, Array], storage: Storage
) -> str:
    x = storage.word_table(g, "input_ids", "embeddings.word", weights["embeddings.word.weight"])
    if config.n_token_types == 1:  # nothing to choose from: RoBERTa's one row goes to every token
        name = "embeddings.token_type.weight"
        x = g.op("Add", x, g.weight(name, weights[name]))
    elif config.n_token_types:
        types = weights["embeddings.token_type.weight"]
        x = g.op("Add", x, float_table(g, "token_type_ids", "embeddings.token_type", types))
    if config.has_positions:
        x = g.op("Add", x, _positions(g, config, weights["embeddings.position.weight"]))
    steps = ["norm", "projection"] if config.projects else ["norm"]
    for step in reversed(steps) if config.spec.projects_first else steps:
        if step == "norm":
            x = _norm(g, config, weights, "embeddings.norm", x)
        else:
            x = _linear(g, weights, storage, x, "embedding_projection")
    return x


def _positions(g: Graph, config: ModelConfig, table: Array) -> str:
    """Position vectors, [seq, width], or [batch, seq, width] where padding is not counted."""
    name = "embeddings.position"
    if not config.position_offset:
        stored = g.weight(f"{name}.weight", table)
        seq_len = g.op("Shape", "input_ids", start=1, end=2)
        return g.op("Slice", stored, g.ints(0), seq_len, g.ints(0))
    padding = g.op("Equal", "input_ids", g.ints(config.pad_id))
    real = g.op("Cast", g.op("Not", padding), to=TensorProto.INT64)
    counted = g.op("Mul", g.op("CumSum", real, g.scalar("axis", 1, np.int64)), real)
    return float_table(g, g.op("Add", counted, g.ints(config.pad_id)), name, table)


def _layer(
    g: Graph,
    config: ModelConfig,
    weights: Mapping[str, Array],
    storage: Storage,
    i: int,
    x: str,
    bias: str,
    *,
    first_only: bool = False,
) -> str:
    """One layer, [batch, seq, width], or [batch, 1, width] where only the first token is asked."""
    name = f"layers.{config.weights_of(i)}"
    before = x
    if config.spec.pre_norm and i:
        x = _norm(g, config, weights, f"{name}.attention_norm", x)
    asking = g.op("Gather", x, g.ints(0), axis=1) if first_only else x
    pre = config.spec.pre_norm
    if config.reach_of(i):
        bias = near(g, bias, config.reach_of(i), MASKED)
    if first_only and (config.has_position_bias or config.reach_of(i)):
        bias = g.op("Gather", bias, g.ints(0), axis=2)

    def linear(value: str, part: str) -> str:
        return _linear(g, weights, storage, value, f"{name}.{part}")

    def heads(value: str, order: tuple[int, ...]) -> str:
        split = g.op("Reshape", value, g.ints(0, 0, config.heads_of(i), config.head_width))
        return g.op("Transpose", split, perm=order)

    scale = 1 / math.sqrt(config.head_width * config.score_terms)
    q = heads(linear(asking, "attention.query"), (0, 2, 1, 3))  # [batch, heads, seq, head_width]
    k = linear(x, "attention.key")
    v = heads(linear(x, "attention.value"), (0, 2, 1, 3))
    # Scaling the query touches seq × width numbers, scaling the scores heads × seq × seq.
    if config.spec.rotary and not first_only:
        q = turned(g, q, config.theta_of(i), config.head_width, scale)
    else:  # position 0 turns nothing
        q = g.op("Mul", q, g.scalar("scale", scale))
    if config.spec.rotary:
        k = turned(g, heads(k, (0, 2, 1, 3)), config.theta_of(i), config.head_width)
        scores = g.op("MatMul", q, g.op("Transpose", k, perm=(0, 1, 3, 2)))
    else:
        scores = g.op("MatMul", q, heads(k, (0, 2, 3, 1)))  # [batch, heads, head_width, seq]
    known = config.distances
    if known is not None:
        table, k = _distance_table(g, config, weights, known), heads(k, (0, 2, 1, 3))

        def project(part: str) -> str:
            return linear(table, f"attention.{part}")

        for added in of_distances(g, config, known, project, q, k, first_only=first_only):
            scores = g.op("Add", scores, added)
    share = g.op("Softmax", g.op("Add", scores, bias), axis=-1)
    mixed = g.op("Transpose", g.op("MatMul", share, v), perm=(0, 2, 1, 3))
    mixed = g.op("Reshape", mixed, g.ints(0, 0, config.attention_width(i)))
    attended = linear(mixed, "attention.output")

    if pre:
        before = g.op("Gather", before, g.ints(0), axis=1) if first_only else before
        x = g.op("Add", before, attended)
        normed = _norm(g, config, weights, f"{name}.ffn_norm", x)
        inner = _activate(g, config.activation, linear(normed, "ffn.up"))
        inner = g.op("Mul", inner, linear(normed, "ffn.gate"))
        return g.op("Add", x, linear(inner, "ffn.down"))
    x = _norm(g, config, weights, f"{name}.attention_norm", g.op("Add", attended, asking))
    inner = _activate(g, config.activation, linear(x, "ffn.up"))
    return _norm(g, config, weights, f"{name}.ffn_norm", g.op("Add", linear(inner, "ffn.down"), x))


def _distance_table(
    g: Graph, config: ModelConfig, weights: Mapping[str, Array], known: Distances
) -> str:
    name = "embeddings.distance"
    if name not in g.memo:
        table = g.weight(f"{name}.weight", weights[f"{name}.weight"])
        g.memo[name] = _norm(g, config, weights, f"{name}_norm", table) if known.normed else table
    return g.memo[name]


def _linear(g: Graph, weights: Mapping[str, Array], storage: Storage, x: str, module: str) -> str:
    found = weights[f"{module}.weight"], weights.get(f"{module}.bias")
    return storage.linear(g, x, module, *found)


def _norm(g: Graph, config: ModelConfig, weights: Mapping[str, Array], name: str, x: str) -> str:
    # In float32 always: squares of float16 activations overflow, and 1e-12 is 0 there.
    half = g.dtype != np.float32
    scale = g.const(f"{name}.weight", weights[f"{name}.weight"].astype(np.float32))
    known = weights.get(f"{name}.bias")
    shift = () if known is None else (g.const(f"{name}.bias", known.astype(np.float32)),)
    if half:
        x = g.op("Cast", x, to=TensorProto.FLOAT)
    x = g.op("LayerNormalization", x, scale, *shift, axis=-1, epsilon=config.norm_eps)
    return g.op("Cast", x, to=TensorProto.FLOAT16) if half else x


def _activate(g: Graph, activation: str, x: str) -> str:
    if activation in ("relu", "tanh"):
        return g.op(activation.title(), x)
    if activation in ("silu", "quick_gelu"):
        gate = g.op("Mul", x, g.scalar("steep", 1.702)) if activation == "quick_gelu" else x
        return g.op("Mul", x, g.op("Sigmoid", gate))
    if activation == "gelu":  # exact: x · ½ · (1 + erf(x / √2)), in the order onnxruntime fuses
        inner = g.op("Erf", g.op("Div", x, g.scalar("root_two", math.sqrt(2))))
    else:  # gelu_new: the tanh approximation
        cube = g.op("Mul", g.op("Mul", g.op("Mul", x, x), x), g.scalar("cubic", 0.044715))
        inner = g.op("Mul", g.op("Add", x, cube), g.scalar("root", math.sqrt(2 / math.pi)))
        inner = g.op("Tanh", inner)
    product = g.op("Mul", x, g.op("Add", inner, g.scalar("one", 1.0)))
    return g.op("Mul", product, g.scalar("half", 0.5))


Shape: TypeAlias = "list[str | int]"


def _head(
    g: Graph,
    config: ModelConfig,
    weights: Mapping[str, Array],
    storage: Storage,
    x: str,
    head: heads.HeadSpec,
) -> dict[str, Shape]:
    """Writes a head behind the encoder's last states; which outputs that gave, and their shapes."""
    axes: Shape = ["batch", "seq"]
    if not head.by_token:
        axes = ["batch"]
        x = mean(g, x) if config.pools_mean else g.op("Squeeze", x, g.ints(1))  # [batch, width]
    for step in head.steps(config):
        if isinstance(step, heads.Linear):
            x = _linear_of(g, weights, storage, step, x)
        elif isinstance(step, heads.Activate):
            x = _activate(g, step.activation, x)
        elif isinstance(step, heads.Norm):
            x = _norm(g, config, weights, step.name, x)
        else:
            x = storage.decoder(g, x, "embeddings.word", weights["embeddings.word.weight"])
            bias = f"{step.name}.bias"
            x = g.op("Add", x, g.weight(bias, weights[bias]))
    if len(head.outputs) == 1:
        g.nodes.append(helper.make_node("Identity", [_as_float32(g, x)], [*head.outputs]))
    else:
        parts = g.op("Split", _as_float32(g, x), g.ints(1, 1), n_out=len(head.outputs), axis=-1)
        for value, output in zip(parts, head.outputs, strict=True):
            # axis given: without it a window of one token would lose its seq dimension too.
            g.nodes.append(helper.make_node("Squeeze", [value, g.ints(-1)], [output]))
    shape: Shape = [*axes, *head.output_shape(config)]
    return dict.fromkeys(head.outputs, shape)


def _linear_of(
    g: Graph, weights: Mapping[str, Array], storage: Storage, step: heads.Linear, x: str
) -> str:
    write = storage.linear if step.large else float_linear
    return write(g, x, step.name, weights[f"{step.name}.weight"], weights.get(f"{step.name}.bias"))


def _as_float32(g: Graph, x: str) -> str:
    return x if g.dtype == np.float32 else g.op("Cast", x, to=TensorProto.FLOAT)


def _model(g: Graph, config: ModelConfig, outputs: Mapping[str, Shape]) -> onnx.ModelProto:
    names = ["input_ids", "attention_mask"] + ["token_type_ids"] * (config.n_token_types > 1)
    graph = helper.make_graph(
        g.nodes,
        "potstill",
        [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "seq"]) for n in names],
        [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, shape)
            for n, shape in outputs.items()
        ],
        initializer=list(g.initializers.values()),
    )
    domains = [helper.make_opsetid("", OPSET)]
    domains += [helper.make_opsetid(domain, 1) for domain in sorted(g.domains)]
    model = helper.make_model(graph, opset_imports=domains, producer_name="potstill")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model
