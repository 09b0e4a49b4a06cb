"""Int8 with activation scales that are fixed beforehand, calibrated on text of the task.

Nothing is measured while the graph runs, so it is quicker than a scale for each token
(`potstill.export.int8`). One scale has to do for every token and channel, which MiniLM's outliers
would spoil: channels are first evened out, their size moved into the weights (SmoothQuant, Xiao et
al. 2022, https://arxiv.org/abs/2211.10438, eq. 4). Norm outputs feed the residual too, so the
evening out is a multiplication of its own.

What follows the activation function keeps a scale for each token: there a fixed one costs most
(docs/log.md, 2026-11-21). The graph is standard QDQ, which onnxruntime fuses to its int8 products;
weights are rounded under the pair limit, as everywhere here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import HeadName
from potstill.bundle.onnx_graph import Array, Graph, Storage, build_graph, float_linear
from potstill.bundle.onnx_weights import INT8, SCALE, SMOOTH
from potstill.bundle.weights import Weights
from potstill.data.qa import load_qa
from potstill.errors import DataError, InputError
from potstill.export.int8 import int8_storage, round_linear
from potstill.runtime.ort import onnxruntime
from potstill.runtime.session import usable_cores
from potstill.text.tokenizer import Tokenizer
from potstill.text.windows import Batch, assemble, pad, windows

WINDOWS = 128
"""Windows that scales are calibrated on."""
_SEED = 0
_MIGRATED = 0.7
"""How much of a channel's size moves into the weights: SmoothQuant's alpha."""
_BY_TOKEN = "ffn.down"
_SHARED = ("attention.query", "attention.key", "attention.value")
"""Linear layers with one input."""
_TINY = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What the inputs of linear layers were seen to be."""

    low: dict[str, NDArray[np.float32]]
    """Module → least value of each input channel."""
    high: dict[str, NDArray[np.float32]]
    """Module → greatest value of each input channel."""
    n_windows: int
    data: str
    """What the data are called in the manifest."""


def calibration_windows(
    data: str | Path, folder: Path, head: HeadName, seq_len: int, stride: int = 128
) -> list[Batch]:
    """Up to `WINDOWS` windows of questions drawn from a file, each a batch of its own.

    Args:
        data: a file of questions; gold answers are not looked at.
        folder: of the model, for its tokenizer.
        head: of the model.
        seq_len: longest window.
        stride: tokens that neighbouring windows share.

    Raises:
        InputError: the model is for another task.
        DataError: the file cannot be read, or holds no questions.
    """
    if head != "qa":
        raise InputError("int8-static is for question answering alone: use int8")
    examples = load_qa(data).examples
    if not examples:
        raise DataError(f"{data} holds no questions to calibrate on")
    tokenizer = Tokenizer.from_folder(folder)
    batches: list[Batch] = []
    for i in np.random.default_rng(_SEED).permutation(len(examples))[:WINDOWS]:
        question, context = tokenizer.encode_batch([examples[i].question, examples[i].context])
        sizes = len(question), len(context)
        cut = windows(0, 0, *sizes, seq_len=seq_len, stride=stride, layout=tokenizer.layout)
        for window in cut[: WINDOWS - len(batches)]:
            row = assemble(tokenizer, question, context, window)
            batches.append(pad([row], [window.context_at], tokenizer.pad_id, tokenizer.layout))
    return batches


def calibrate(
    config: ModelConfig,
    weights: Weights,
    head: HeadName,
    batches: Iterable[Batch],
    data: str = "",
) -> Calibration:
    """Runs the float32 graph on batches and keeps the range of every linear layer's input."""
    inputs: dict[str, str] = {}

    def watched(g: Graph, x: str, name: str, weight: Array, bias: Array) -> str:
        inputs[name] = x
        return float_linear(g, x, name, weight, bias)

    graph = build_graph(config, weights, Storage(linear=watched), head=head)
    values = sorted(set(inputs.values()))
    for value in values:
        seen = onnx.helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, None)
        graph.graph.output.append(seen)
    options = onnxruntime().SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = onnxruntime().InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [node.name for node in session.get_inputs()]
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    n_windows = 0
    for batch in batches:
        n_windows += len(batch.input_ids)
        real = batch.attention_mask == 1
        feed = {name: getattr(batch, name) for name in names}
        found: list[NDArray[np.float32]] = session.run(values, feed)  # pyright: ignore
        for value, x in zip(values, found, strict=True):
            x = x[real] if x.shape[:2] == real.shape else x.reshape(-1, x.shape[-1])
            low[value] = np.minimum(low.get(value, np.inf), x.min(axis=0))
            high[value] = np.maximum(high.get(value, -np.inf), x.max(axis=0))
    return Calibration(
        {name: low[value] for name, value in inputs.items()},
        {name: high[value] for name, value in inputs.items()},
        n_windows,
        data,
    )


def static_storage(config: ModelConfig, weights: Weights, calibration: Calibration) -> Storage:
    """How an int8 graph with fixed scales stores and computes its layers and tables."""
    by_token = int8_storage(config)

    def linear(g: Graph, x: str, name: str, weight: Array, bias: Array) -> str:
        if name.endswith(_BY_TOKEN):
            return by_token.linear(g, x, name, weight, bias)
        smooth = _smoothing(name, weights, calibration)
        if x not in g.memo:  # query, key and value share their input
            g.memo[x] = _quantised(g, x, name, smooth, calibration)
        q, scale = round_linear((weight * smooth).T)
        stored = g.op(
            "DequantizeLinear",
            g.const(f"{name}.weight{INT8}", q),
            g.const(f"{name}.weight{SCALE}", scale),
            g.const(f"{name}.weight.zero", np.zeros(len(scale), np.int8)),
            axis=1,
        )
        g.const(f"{name}.weight{SMOOTH}", smooth)
        return g.op("Add", g.op("MatMul", g.memo[x], stored), g.weight(f"{name}.bias", bias))

    return Storage(linear=linear, word_table=by_token.word_table, decoder=by_token.decoder)


def _smoothing(name: str, weights: Weights, calibration: Calibration) -> NDArray[np.float32]:
    """What each input channel is divided by, and its weights multiplied with."""
    layer, _, part = name.partition(".attention.")
    shared = [f"{layer}.{one}" for one in _SHARED] if f"attention.{part}" in _SHARED else [name]
    size = np.maximum(np.abs(calibration.low[name]), np.abs(calibration.high[name]))
    tops = [np.abs(weights[f"{one}.weight"]).max(axis=0) for one in shared]
    weight = np.maximum(np.max(tops, axis=0), _TINY)
    smooth = np.maximum(size, _TINY) ** _MIGRATED / weight ** (1 - _MIGRATED)
    return (smooth / np.exp(np.log(smooth).mean())).astype(np.float32)


def _quantised(
    g: Graph, x: str, name: str, smooth: NDArray[np.float32], calibration: Calibration
) -> str:
    """Evens the channels out and rounds them to uint8 with one scale; float32 again, for QDQ."""
    low = min(float((calibration.low[name] / smooth).min()), 0.0)
    high = max(float((calibration.high[name] / smooth).max()), low + _TINY)
    step = (high - low) / 255
    scale = g.const(f"{name}.input.scale", np.array(step, np.float32))
    zero = g.const(f"{name}.input.zero", np.array(round(-low / step), np.uint8))
    even = g.op("Mul", x, g.const(f"{name}.input.smooth", (1 / smooth).astype(np.float32)))
    return g.op("DequantizeLinear", g.op("QuantizeLinear", even, scale, zero), scale, zero)
