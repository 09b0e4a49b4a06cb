"""A graph while it is written: nodes, constants, and how large parameters are stored.

No torch: the graph is put together node by node with ``onnx.helper``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array: TypeAlias = NDArray[Any]


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


Linear: TypeAlias = "Callable[[Graph, str, str, Array, Array | None], str]"
"""(graph, input value, our module name, weight [out, in], bias [out] or none) → output value."""
Table: TypeAlias = Callable[[Graph, str, str, Array], str]
"""(graph, ids value, our module name, weight [rows, width]) → rows of the table, looked up."""


def float_linear(graph: Graph, x: str, name: str, weight: Array, bias: Array | None) -> str:
    """``x @ weight.T + bias`` with the weight stored in the graph's floating-point type."""
    product = graph.op("MatMul", x, graph.weight(f"{name}.weight", weight.T))
    if bias is None:
        return product
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
