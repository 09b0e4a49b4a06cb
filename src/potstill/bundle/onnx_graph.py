"""The ONNX graph of an encoder with one of its heads, written from config and weights.

No torch: the graph is put together node by node with ``onnx.helper``. All supported encoders
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from potstill.bundle import heads
from potstill.bundle.config import ModelConfig, position_bucket
from potstill.bundle.encoders.spec import HeadName

Array: TypeAlias = NDArray[Any]

OPSET = 17
"""The first with LayerNormalization; newer ones buy nothing here and shut older readers out."""
IR_VERSION = 8
MASKED = -1e4
"""Added to the score of a masked position: exp(-1e4) is 0, and float16 holds it."""


_ONE = helper.make_tensor("one", TensorProto.INT64, [1], [1])


@dataclass
class Graph:
    """A graph being written: nodes and initialisers in order, with fresh names for values."""

    dtype: Any = np.float32
    """Type of the values between nodes."""
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = field(default_factory=dict)
    domains: set[str] = field(default_factory=set)
    """Operator sets used beside the standard one."""
    memo: dict[Any, Any] = field(default_factory=dict)
    """What a storage remembers while one graph is written, such as values it has quantised."""

    def op(self, kind: str, *inputs: str, n_out: int = 1, **attributes: Any) -> Any:  # noqa: ANN401
        """Appends a node; returns the name of its output, or the list of names if ``n_out`` > 1."""
        outputs = [f"v{len(self.nodes)}_{kind}" + (f"_{i}" if i else "") for i in range(n_out)]
        if attributes.get("domain"):
            self.domains.add(attributes["domain"])
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs[0] if n_out == 1 else outputs

    def const(self, name: str, value: Array | Sequence[int]) -> str:
        """Adds an initialiser as it is (once, if the name is already there); returns its name."""
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def ints(self, *values: int) -> str:
        """A one-dimensional int64 constant."""
        name = "i" + "_".join(str(v).replace("-", "m") for v in values)
        return self.const(name, np.array(values, dtype=np.int64))

    def scalar(self, name: str, value: float, dtype: Any = None) -> str:  # noqa: ANN401
        """A scalar constant of the graph's type."""
        return self.const(name, np.array(value, dtype=dtype or self.dtype))

    def weight(self, name: str, value: Array) -> str:
        """Adds a parameter in the graph's type."""
        return self.const(name, value.astype(self.dtype))


Linear: TypeAlias = Callable[[Graph, str, str, Array, Array], str]
"""(graph, input value, our module name, weight [out, in], bias [out]) → output value."""
Table: TypeAlias = Callable[[Graph, str, str, Array], str]
"""(graph, ids value, our module name, weight [rows, width]) → rows of the table, looked up."""


def float_linear(graph: Graph, x: str, name: str, weight: Array, bias: Array) -> str:
    """``x @ weight.T + bias`` with the weight stored in the graph's floating-point type."""
    product = graph.op("MatMul", x, graph.weight(f"{name}.weight", weight.T))
    return graph.op("Add", product, graph.weight(f"{name}.bias", bias))


def float_table(graph: Graph, ids: str, name: str, weight: Array) -> str:
    """Rows of an embedding table stored in the graph's floating-point type."""
    return graph.op("Gather", graph.weight(f"{name}.weight", weight), ids)


def float_decoder(graph: Graph, x: str, name: str, weight: Array) -> str:
    """``x @ weight.T`` with the embedding table that `float_table` stored."""
    table = graph.weight(f"{name}.weight", weight)
    return graph.op("MatMul", x, graph.op("Transpose", table, perm=(1, 0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """How the large parameters are stored, and thereby computed with."""

    linear: Linear = float_linear
    word_table: Table = float_table
    decoder: Table = float_decoder
    """From states back to words: what the word table gives when it is multiplied with."""
    dtype: Any = np.float32
    """Type of all values between nodes: float32 or float16."""


def build_graph(
    config: ModelConfig,
    weights: Mapping[str, Array],
    storage: Storage | None = None,
    *,
    head: HeadName = "qa",
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
        first = not known.by_token and i == config.n_layers - 1
        x = _layer(graph, config, weights, storage, i, x, bias, first_only=first)
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
    # From 1 on, padding counted too: only differences are looked at.
    ones = g.op("ConstantOfShape", g.op("Shape", "input_ids", start=1, end=2), value=_ONE)
    at = g.op("CumSum", ones, g.scalar("first", 0, np.int64))
    apart = g.op("Sub", g.op("Unsqueeze", at, g.ints(0)), g.op("Unsqueeze", at, g.ints(1)))
    found = g.op("Gather", by_distance, g.op("Add", apart, g.ints(n - 1)))
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
    x = g.op("Add", x, _positions(g, config, weights["embeddings.position.weight"]))
    x = _norm(g, config, weights, "embeddings.norm", x)
    if config.projects:
        module = "embedding_projection"
        x = storage.linear(g, x, module, weights[f"{module}.weight"], weights[f"{module}.bias"])
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
    asking = g.op("Gather", x, g.ints(0), axis=1) if first_only else x
    if first_only and config.has_position_bias:
        bias = g.op("Gather", bias, g.ints(0), axis=2)

    def linear(value: str, part: str) -> str:
        module = f"{name}.{part}"
        w, b = weights[f"{module}.weight"], weights[f"{module}.bias"]
        return storage.linear(g, value, module, w, b)

    def heads(value: str, order: tuple[int, ...]) -> str:
        split = g.op("Reshape", value, g.ints(0, 0, config.heads_of(i), config.head_width))
        return g.op("Transpose", split, perm=order)

    q = heads(linear(asking, "attention.query"), (0, 2, 1, 3))  # [batch, heads, seq, head_width]
    k = heads(linear(x, "attention.key"), (0, 2, 3, 1))  # [batch, heads, head_width, seq]
    v = heads(linear(x, "attention.value"), (0, 2, 1, 3))
    # Scaling the query touches seq × width numbers, scaling the scores heads × seq × seq.
    q = g.op("Mul", q, g.scalar("scale", 1 / math.sqrt(config.head_width)))
    share = g.op("Softmax", g.op("Add", g.op("MatMul", q, k), bias), axis=-1)
    mixed = g.op("Transpose", g.op("MatMul", share, v), perm=(0, 2, 1, 3))
    mixed = g.op("Reshape", mixed, g.ints(0, 0, config.attention_width(i)))
    attended = linear(mixed, "attention.output")

    x = _norm(g, config, weights, f"{name}.attention_norm", g.op("Add", attended, asking))
    inner = _activate(g, config.activation, linear(x, "ffn.up"))
    return _norm(g, config, weights, f"{name}.ffn_norm", g.op("Add", linear(inner, "ffn.down"), x))


def _norm(g: Graph, config: ModelConfig, weights: Mapping[str, Array], name: str, x: str) -> str:
    # In float32 always: squares of float16 activations overflow, and 1e-12 is 0 there.
    half = g.dtype != np.float32
    scale = g.const(f"{name}.weight", weights[f"{name}.weight"].astype(np.float32))
    shift = g.const(f"{name}.bias", weights[f"{name}.bias"].astype(np.float32))
    if half:
        x = g.op("Cast", x, to=TensorProto.FLOAT)
    x = g.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=config.norm_eps)
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
    head: heads.Head,
) -> dict[str, Shape]:
    """Writes a head behind the encoder's last states; which outputs that gave, and their shapes."""
    axes: Shape = ["batch", "seq"]
    if not head.by_token:
        axes = ["batch"]
        x = g.op("Squeeze", x, g.ints(1))  # [batch, width]
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
    return write(g, x, step.name, weights[f"{step.name}.weight"], weights[f"{step.name}.bias"])


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
