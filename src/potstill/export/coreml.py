"""Core ML: an ML program for Apple's machines, written operator by operator from the weights.

Float16, as Apple's neural engine computes; one row of any length up to the model's positions. It is
written on any system, but only macOS can run it: the file is **not run** here. What is checked is
the program before it becomes a file: coremltools works out its value for given inputs in numpy.
"""

from __future__ import annotations

import contextlib
import io
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from potstill.bundle.heads import HEADS, Activate, HeadSpec, Linear, Norm
from potstill.bundle.onnx_graph import MASKED
from potstill.export.source import Source, library
from potstill.text.windows import Batch

PACKAGE = "coreml/model.mlpackage"


def write(source: Source, file: Path, precision: str) -> None:
    """Writes the folder of ``file``, an ``….mlpackage``.

    Raises:
        ConfigError: the encoder has position biases.
        MissingExtraError: coremltools is not installed.
    """
    assert precision == "fp16"
    source.check_plain("Core ML")
    ct, mil = _coremltools()
    dims = (1, mil.get_new_symbol())
    specs = [mil.Builder.TensorSpec(shape=dims, dtype=mil.types.int32) for _ in source.inputs]
    forward = _Net(mil.Builder, source).forward

    def two(input_ids: Any, attention_mask: Any) -> Any:
        return forward(input_ids, attention_mask)

    def three(input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
        return forward(input_ids, attention_mask, token_type_ids)

    # coremltools takes the inputs' names from those of the function's arguments.
    made = mil.Builder.program(input_specs=specs, opset_version=ct.target.iOS16)
    program = made(three if len(source.inputs) == 3 else two)
    longest = source.config.max_positions
    lengths = ct.RangeDim(1, longest, default=min(source.seq_len, longest))
    inputs = [ct.TensorType(name=n, shape=(1, lengths), dtype=np.int32) for n in source.inputs]
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar for each of its passes
        model = ct.convert(
            program,
            convert_to="mlprogram",
            inputs=inputs,
            compute_precision=ct.precision.FLOAT16,
            minimum_deployment_target=ct.target.iOS16,
            skip_model_load=True,
        )
    shutil.rmtree(file.parent, ignore_errors=True)
    model.save(str(file.parent))


def _coremltools() -> tuple[Any, Any]:
    """The library, and its part that writes programs.

    Raises:
        MissingExtraError: it is not installed.
    """
    ct = library("coremltools", "coreml", "this format")
    return ct, library("coremltools.converters.mil.mil", "coreml", "this format")


class _Net:
    """The forward pass of one row, as calls of coremltools' builder."""

    def __init__(self, mb: Any, source: Source) -> None:
        self.mb, self.source, self.config = mb, source, source.config
        self.w = {name: np.asarray(w, np.float32) for name, w in source.weights.items()}

    def forward(self, ids: Any, mask: Any, types: Any = None) -> Any:
        """The outputs, as variables of the program, of int32 inputs [1, seq]."""
        mb, config, head = self.mb, self.config, HEADS[self.source.head]
        x = self._embeddings(ids, types)
        hidden = mb.sub(x=np.float32(1), y=mb.cast(x=mask, dtype="fp32"))
        bias = mb.expand_dims(x=mb.mul(x=hidden, y=np.float32(MASKED)), axes=[1, 2])
        for i in range(config.n_layers):
            first = not head.by_token and i == config.n_layers - 1
            x = self._layer(i, x, bias, first_only=first)
        found = self._head(head, x)
        return tuple(
            mb.identity(x=value, name=name)
            for name, value in zip(self.source.outputs, found, strict=True)
        )

    def _embeddings(self, ids: Any, types: Any) -> Any:
        mb, config, w = self.mb, self.config, self.w
        x = mb.gather(x=w["embeddings.word.weight"], indices=ids, axis=0)
        if config.n_token_types == 1:
            x = mb.add(x=x, y=w["embeddings.token_type.weight"])
        elif config.n_token_types:
            rows = mb.gather(x=w["embeddings.token_type.weight"], indices=types, axis=0)
            x = mb.add(x=x, y=rows)
        ones = mb.fill_like(ref_tensor=ids, value=np.int32(1))
        if config.position_offset:
            ones = mb.cast(x=mb.not_equal(x=ids, y=np.int32(config.pad_id)), dtype="int32")
        places = mb.cumsum(x=ones, axis=1)
        if config.position_offset:
            places = mb.add(x=mb.mul(x=places, y=ones), y=np.int32(config.pad_id))
        else:
            places = mb.sub(x=places, y=np.int32(1))
        table = w["embeddings.position.weight"]
        x = self._norm("embeddings.norm", mb.add(x=x, y=mb.gather(x=table, indices=places, axis=0)))
        return self._linear("embedding_projection", x) if config.projects else x

    def _layer(self, i: int, x: Any, bias: Any, *, first_only: bool) -> Any:
        mb, config = self.mb, self.config
        name, n_heads = f"layers.{i}", config.heads_of(i)
        asking = x
        if first_only:
            end = [1, 1, config.hidden_width]
            asking = mb.slice_by_index(x=x, begin=[0, 0, 0], end=end)

        def heads(part: str, value: Any) -> Any:  # [1, heads, seq, head_width]
            split = self._linear(f"{name}.attention.{part}", value)
            split = mb.reshape(x=split, shape=[1, -1, n_heads, config.head_width])
            return mb.transpose(x=split, perm=[0, 2, 1, 3])

        scale = np.float32(1 / math.sqrt(config.head_width))
        q = mb.mul(x=heads("query", asking), y=scale)
        scores = mb.matmul(x=q, y=heads("key", x), transpose_y=True)
        share = mb.softmax(x=mb.add(x=scores, y=bias), axis=-1)
        mixed = mb.transpose(x=mb.matmul(x=share, y=heads("value", x)), perm=[0, 2, 1, 3])
        mixed = mb.reshape(x=mixed, shape=[1, -1, n_heads * config.head_width])
        attended = self._linear(f"{name}.attention.output", mixed)
        x = self._norm(f"{name}.attention_norm", mb.add(x=attended, y=asking))
        inner = self._activate(config.activation, self._linear(f"{name}.ffn.up", x))
        down = self._linear(f"{name}.ffn.down", inner)
        return self._norm(f"{name}.ffn_norm", mb.add(x=down, y=x))

    def _head(self, head: HeadSpec, x: Any) -> tuple[Any, ...]:
        """The outputs of a head, of the encoder's last states [1, seq, width]."""
        mb = self.mb
        for step in head.steps(self.config):
            if isinstance(step, Linear):
                x = self._linear(step.name, x)
            elif isinstance(step, Activate):
                x = self._activate(step.activation, x)
            elif isinstance(step, Norm):
                x = self._norm(step.name, x)
            else:
                words, bias = self.w["embeddings.word.weight"], self.w[f"{step.name}.bias"]
                x = mb.linear(x=x, weight=words, bias=bias)
        if len(head.outputs) > 1:
            parts = mb.split(x=x, num_splits=len(head.outputs), axis=-1)
            return tuple(mb.squeeze(x=part, axes=[-1]) for part in parts)
        return (x,) if head.by_token else (mb.squeeze(x=x, axes=[1]),)

    def _linear(self, name: str, x: Any) -> Any:
        return self.mb.linear(x=x, weight=self.w[f"{name}.weight"], bias=self.w[f"{name}.bias"])

    def _norm(self, name: str, x: Any) -> Any:
        # What is added to a variance of float16 must not round to 0.
        eps = np.float32(max(self.config.norm_eps, 1e-5))
        gamma, beta = self.w[f"{name}.weight"], self.w[f"{name}.bias"]
        return self.mb.layer_norm(x=x, axes=[-1], gamma=gamma, beta=beta, epsilon=eps)

    def _activate(self, activation: str, x: Any) -> Any:
        mb = self.mb
        if activation in ("relu", "tanh"):
            return getattr(mb, activation)(x=x)
        if activation == "silu":
            return mb.silu(x=x)
        if activation == "quick_gelu":
            return mb.mul(x=x, y=mb.sigmoid(x=mb.mul(x=x, y=np.float32(1.702))))
        mode = {"gelu": "EXACT", "gelu_new": "TANH_APPROXIMATION"}[activation]
        return mb.gelu(x=x, mode=mode)


def evaluate(source: Source, batch: Batch) -> tuple[Any, ...]:
    """The outputs of the program for a batch of one row, as coremltools itself works them out.

    Every operator of a program has a value where all it takes is known, computed in numpy and
    float32 while the program is written. This checks the program, not the file that Apple's
    compiler will read.

    Raises:
        MissingExtraError: coremltools is not installed.
    """
    ct, mil = _coremltools()
    with mil.Function({}, opset_version=ct.target.iOS16):
        feed = [
            mil.Builder.const(val=getattr(batch, name).astype(np.int32)) for name in source.inputs
        ]
        return tuple(value.val for value in _Net(mil.Builder, source).forward(*feed))
