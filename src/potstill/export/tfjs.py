"""TensorFlow.js graph models: ``model.json`` and shards of weights.

They are written and read without TensorFlow.js's own converter, whose packages no longer install.

``model.json`` holds the frozen graph of rows of any length as JSON, its signature (names as in the
SavedModel), and where each weight lies in the shards. Weights are float32, float16 (widened again
when the file is loaded), or uint8 with one scale for a whole matrix, which is all that the format
knows: those matrices are therefore stored within [-1, 1], with a scale of each column beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.bundle.atomic import write_bytes, write_json
from potstill.bundle.heads import HEADS, HeadName
from potstill.errors import ModelError
from potstill.export.source import Source, library, output_names
from potstill.export.tf_graph import build_module, signature, tensorflow
from potstill.runtime.session import Logits
from potstill.text.windows import Batch

SHARD = 4 << 20
"""Bytes of a shard; browsers keep files of this size in their caches."""
_STEPS = 127
"""Levels on each side of 0 in a uint8: 0 is one of them."""


def write(source: Source, file: Path, precision: str) -> None:
    """Writes ``file`` (``model.json``) and its shards beside it.

    Args:
        source: the model.
        file: in a folder of its own.
        precision: ``fp32``, ``fp16`` or ``uint8``: how matrices are stored.

    Raises:
        MissingExtraError: TensorFlow is not installed.
    """
    module = build_module(source, scaled=precision == "uint8")
    graph = _frozen(signature(source, module, None))
    tf = tensorflow()
    weights: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for node in graph.node:
        if node.op != "Const":
            continue
        value = tf.make_ndarray(node.attr["value"].tensor)
        entry, stored = _stored(value, precision)
        weights.append({"name": node.name, "shape": list(value.shape), **entry})
        parts.append(stored.tobytes())
        node.attr["value"].tensor.tensor_content = b""
        for name in ("float_val", "int_val", "bool_val"):
            node.attr["value"].tensor.ClearField(name)
    data = b"".join(parts)
    shards = [data[at : at + SHARD] for at in range(0, len(data), SHARD)]
    names = [f"group1-shard{i}of{len(shards)}.bin" for i in range(1, len(shards) + 1)]
    for name, shard in zip(names, shards, strict=True):
        write_bytes(file.parent / name, shard)
    write_json(
        file,
        {
            "format": "graph-model",
            "generatedBy": "potstill",
            "convertedBy": None,
            "signature": _signature(source),
            "modelTopology": _topology(graph),
            "weightsManifest": [{"paths": names, "weights": weights}],
        },
    )


def _frozen(function: Any) -> Any:
    """The graph of a concrete function, variables made constants, in a run of order."""
    folding = library("tensorflow.python.framework.convert_to_constants", "tf", "TF.js")
    frozen = folding.convert_variables_to_constants_v2(function, lower_control_flow=False)
    return frozen.graph.as_graph_def()


def _stored(value: NDArray[Any], precision: str) -> tuple[dict[str, Any], NDArray[Any]]:
    """A weight's entry in the manifest, and its bytes."""
    kind = value.dtype.name
    if kind != "float32" or value.ndim < 2 or precision == "fp32":
        return {"dtype": kind}, value.astype(np.uint8 if kind == "bool" else value.dtype)
    if precision == "fp16":
        return {
            "dtype": kind,
            "quantization": {"dtype": "float16", "original_dtype": "float32"},
        }, value.astype(np.float16)
    scale = max(float(np.abs(value).max()), 1e-12) / _STEPS
    rounded = (np.round(value / scale) + _STEPS).astype(np.uint8)
    quantization = {"dtype": "uint8", "min": -_STEPS * scale, "scale": scale}
    return {"dtype": kind, "quantization": {**quantization, "original_dtype": "float32"}}, rounded


def _topology(graph: Any) -> dict[str, Any]:
    formats = library("google.protobuf.json_format", "tf", "TF.js")
    values = formats.MessageToDict(graph)
    for node in values["node"]:
        node["attr"] = {k: v for k, v in node.get("attr", {}).items() if not k.startswith("_")}
    return {"node": values["node"], "library": {}, "versions": values.get("versions", {})}


def _signature(source: Source) -> dict[str, Any]:
    """Names of the graph's tensors, under the names of the SavedModel."""

    def tensor(name: str, dtype: str, sizes: list[int]) -> dict[str, Any]:
        dim = [{"size": str(size)} for size in sizes]
        return {"name": name, "dtype": dtype, "tensorShape": {"dim": dim}}

    head = HEADS[source.head]
    sizes = [-1] * (1 + head.by_token) + [*head.output_shape(source.config)]
    return {
        "inputs": {name: tensor(f"{name}:0", "DT_INT32", [-1, -1]) for name in source.inputs},
        "outputs": {name: tensor(f"{name}:0", "DT_FLOAT", sizes) for name in source.outputs},
    }


class GraphModelSession:
    """A written graph model, read back as TF.js reads it and run in TensorFlow.

    TF.js itself runs in JavaScript; there the client's tests run such files.
    """

    def __init__(self, file: Path, head: HeadName) -> None:
        """Loads ``file`` (``model.json``).

        Raises:
            MissingExtraError: TensorFlow is not installed.
            ModelError: the file or its shards are damaged.
        """
        self._tf, self.file = tensorflow(), file
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            graph = _graph(values, dict(_weights(values, file.parent)))
            inputs, outputs = values["signature"]["inputs"], values["signature"]["outputs"]
            self._inputs = sorted(inputs)
            wanted = [outputs[name]["name"] for name in output_names(head)]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{file} is damaged or not a graph model: {error}") from None
        tf = self._tf
        wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
        self._run = wrapped.prune([inputs[name]["name"] for name in self._inputs], wanted)

    def run(self, batch: Batch) -> tuple[Logits, ...]:
        """The outputs, float32."""
        tf = self._tf
        feed = [tf.constant(getattr(batch, name), dtype=tf.int32) for name in self._inputs]
        return tuple(value.numpy() for value in self._run(*feed))


def _weights(values: dict[str, Any], folder: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Name → value of every weight, widened as TF.js widens it."""
    for group in values["weightsManifest"]:
        data = b"".join((folder / Path(name).name).read_bytes() for name in group["paths"])
        at = 0
        for entry in group["weights"]:
            rounded = entry.get("quantization")
            kind = np.dtype(rounded["dtype"] if rounded else entry["dtype"])
            count = int(np.prod(entry["shape"], dtype=np.int64))
            value = np.frombuffer(data, kind, count, at).reshape(entry["shape"])
            at += count * kind.itemsize
            if rounded and "scale" in rounded:
                value = value.astype(np.float32) * np.float32(rounded["scale"])
                value = value + np.float32(rounded["min"])
            yield entry["name"], value.astype(entry["dtype"])


def _graph(values: dict[str, Any], weights: dict[str, NDArray[Any]]) -> Any:
    tf = tensorflow()
    formats = library("google.protobuf.json_format", "tf", "TF.js")
    topology = {**values["modelTopology"], "library": {}}
    graph = formats.ParseDict(topology, tf.compat.v1.GraphDef())
    for node in graph.node:
        if node.op == "Const":
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(weights[node.name]))
    return graph
