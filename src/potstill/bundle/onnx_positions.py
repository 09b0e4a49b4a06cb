"""Nodes for what attention knows of positions: distances, what is near, turned queries and keys."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from potstill.bundle.onnx_nodes import Graph

_ONE = helper.make_tensor("one", TensorProto.INT64, [1], [1])


def _places(g: Graph) -> str:
    """Int64 [seq], rising by one from 1 on; padding is counted too."""
    if "places" not in g.memo:
        ones = g.op("ConstantOfShape", g.op("Shape", "input_ids", start=1, end=2), value=_ONE)
        g.memo["places"] = g.op("CumSum", ones, g.scalar("first", 0, np.int64))
    return g.memo["places"]


def distances(g: Graph) -> str:
    """Int64 [seq, seq]: how far each key is behind each query."""
    if "distances" not in g.memo:
        at = _places(g)
        columns, rows = g.op("Unsqueeze", at, g.ints(0)), g.op("Unsqueeze", at, g.ints(1))
        g.memo["distances"] = g.op("Sub", columns, rows)
    return g.memo["distances"]


def near(g: Graph, bias: str, reach: int, masked: float) -> str:
    """[batch, 1, seq, seq]: a mask's bias [batch, 1, 1, seq], and ``masked`` beyond ``reach``."""
    if ("near", reach) not in g.memo:
        far = g.op("Greater", g.op("Abs", distances(g)), g.ints(reach))
        far = g.op("Cast", far, to=helper.np_dtype_to_tensor_dtype(np.dtype(g.dtype)))
        far = g.op("Mul", far, g.scalar("masked", masked))
        g.memo["near", reach] = g.op("Add", bias, far)
    return g.memo["near", reach]


def turned(g: Graph, x: str, theta: float, width: int, scale: float = 1.0) -> str:
    """Queries or keys [batch, heads, seq, width], turned by their positions and scaled.

    Source:
        Su et al. 2021, equation 34 (https://arxiv.org/abs/2104.09864), with the two numbers of a
        pair half a width apart, as transformers keeps them.
    """
    cosine, sine = _angles(g, theta, width, scale)
    half = width // 2
    first = g.op("Slice", x, g.ints(0), g.ints(half), g.ints(3))
    second = g.op("Slice", x, g.ints(half), g.ints(width), g.ints(3))
    across = g.op("Concat", g.op("Neg", second), first, axis=-1)
    return g.op("Add", g.op("Mul", x, cosine), g.op("Mul", across, sine))


def _angles(g: Graph, theta: float, width: int, scale: float) -> tuple[str, str]:
    """Cosines and sines, [seq, width] each, multiplied with ``scale``."""
    key = "angles", theta, scale
    if key not in g.memo:
        speeds = (1.0 / theta ** (np.arange(0, width, 2) / width)).astype(np.float32)
        named = g.const(f"speeds_{theta:g}", np.concatenate([speeds, speeds])[None])
        at = g.op("Sub", _places(g), g.ints(1))
        at = g.op("Cast", g.op("Unsqueeze", at, g.ints(1)), to=TensorProto.FLOAT)
        angles = g.op("Mul", at, named)
        found = [g.op("Cos", angles), g.op("Sin", angles)]
        if scale != 1:
            factor = g.scalar(f"scale_{width}", scale, np.float32)
            found = [g.op("Mul", value, factor) for value in found]
        if g.dtype != np.float32:
            found = [g.op("Cast", value, to=TensorProto.FLOAT16) for value in found]
        g.memo[key] = found[0], found[1]
    return g.memo[key]


def mean(g: Graph, x: str) -> str:
    """[batch, width]: the mean of the states [batch, seq, width] that are no padding."""
    half = g.dtype != np.float32
    x = g.op("Cast", x, to=TensorProto.FLOAT) if half else x
    real = g.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    kept = g.op("Mul", x, g.op("Unsqueeze", real, g.ints(2)))
    total = g.op("ReduceSum", kept, g.ints(1), keepdims=0)
    found = g.op("Div", total, g.op("ReduceSum", real, g.ints(1), keepdims=1))
    return g.op("Cast", found, to=TensorProto.FLOAT16) if half else found
