"""The encoder and its heads as a ``tf.Module``: what SavedModel, TF.js and LiteRT are made from.

Written from config and weights, as `bundle.onnx_graph` is. Only operators that TF.js and LiteRT
have are used, and only in the way their converters read them:

- a linear layer is a product of two matrices: [batch · seq, in] by a kernel stored [in, out], so
  that LiteRT makes it one fully connected operator and rounds it token by token;
- what it gives is three-dimensional again before it is added to what went round it;
- GELU is spelled out with erf, in the order that LiteRT's converter knows it by;
- no einsum, no new axes by slicing.

TensorFlow is imported inside the calls.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from potstill.bundle.heads import HEADS, Activate, HeadSpec, Linear, Norm
from potstill.bundle.onnx_graph import MASKED
from potstill.bundle.onnx_nodes import Array
from potstill.export.source import Source, library

_TINY = 1e-12


def build_module(source: Source, *, scaled: bool = False) -> Any:
    """The model as a ``tf.Module``.

    Its ``forward`` takes int32 tensors [batch, seq] in the order of ``source.inputs`` and gives a
    dictionary of float32 tensors under ``source.outputs``.

    Args:
        source: the model.
        scaled: keep matrices within [-1, 1], with one scale for each output column (each row of
            the word table) applied to what they give. The file then survives a format that rounds
            a whole matrix with one scale.

    Raises:
        ConfigError: the encoder has position biases.
        MissingExtraError: TensorFlow is not installed.
    """
    source.check_plain("a TensorFlow format")
    kept = f"module scaled={scaled}"
    if kept not in source.memo:
        tf = tensorflow()
        module = tf.Module(name="potstill")
        net = _Net(tf, source, scaled=scaled)
        module.parameters = net.variables  # a module saves what hangs on it
        module.forward = net.forward
        source.memo[kept] = module
    return source.memo[kept]


def signature(source: Source, module: Any, seq_len: int | None) -> Any:
    """``module.forward`` as a concrete function of rows of one length, or of any (``None``)."""
    tf = tensorflow()
    specs = [tf.TensorSpec([None, seq_len], tf.int32, name=name) for name in source.inputs]
    return tf.function(module.forward, input_signature=specs).get_concrete_function()


def tensorflow() -> Any:
    """The library.

    Raises:
        MissingExtraError: it is not installed.
    """
    return library("tensorflow", "tf", "this format")


class _Net:
    """The forward pass, with every parameter a variable."""

    def __init__(self, tf: Any, source: Source, *, scaled: bool) -> None:
        self.tf, self.source, self.config = tf, source, source.config
        self.variables: dict[str, Any] = {}
        for name, value in source.weights.items():
            if scaled and _rounds_badly(name, value):
                scale = np.maximum(np.abs(value).max(axis=1, keepdims=True), _TINY)
                self._keep(name, value / scale)
                # Rows of a table are scaled as they are looked up, columns of a kernel at once.
                is_table = name.startswith("embeddings.")
                self._keep(f"{name}.scale", scale if is_table else scale[:, 0])
            else:
                self._keep(name, value)

    def _keep(self, name: str, value: Array) -> None:
        is_kernel = value.ndim == 2 and not name.startswith("embeddings.")
        stored = value.T if is_kernel else value
        self.variables[name] = self.tf.Variable(
            np.ascontiguousarray(stored, np.float32), trainable=False, name=name.replace(".", "_")
        )

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
        tf, config, head = self.tf, self.config, HEADS[self.source.head]
        shape = tf.shape(input_ids)
        batch, seq = shape[0], input_ids.shape[1] or shape[1]
        x = self._embeddings(input_ids, token_type_ids, batch, seq)
        hidden = 1.0 - tf.cast(tf.reshape(attention_mask, [batch, 1, 1, seq]), tf.float32)
        bias = hidden * MASKED
        for i in range(config.n_layers):
            # A head that reads the first token alone needs nothing else of the last layer.
            first = not head.by_token and i == config.n_layers - 1
            x = self._layer(i, x, bias, batch, seq, first_only=first)
        found = self._head(head, x, batch, seq if head.by_token else 1)
        return {
            name: tf.identity(value, name=name)
            for name, value in zip(self.source.outputs, found, strict=True)
        }

    def _embeddings(self, ids: Any, types: Any, batch: Any, seq: Any) -> Any:
        tf, config, v = self.tf, self.config, self.variables
        x = self._rows("embeddings.word.weight", ids)  # [batch, seq, width]
        if config.n_token_types == 1:
            x = x + v["embeddings.token_type.weight"]
        elif config.n_token_types:
            x = x + tf.gather(v["embeddings.token_type.weight"], types)
        table = v["embeddings.position.weight"]
        if config.position_offset:  # RoBERTa counts what is no padding, from pad_id on
            real = tf.cast(tf.not_equal(ids, config.pad_id), tf.int32)
            x = x + tf.gather(table, tf.cumsum(real, axis=1) * real + config.pad_id)
        else:
            rows = tf.slice(table, [0, 0], [seq, config.table_width])
            x = x + tf.reshape(rows, [1, seq, config.table_width])
        x = self._norm("embeddings.norm", x)
        return self._linear("embedding_projection", x, batch, seq) if config.projects else x

    def _layer(self, i: int, x: Any, bias: Any, batch: Any, seq: Any, *, first_only: bool) -> Any:
        """One layer, [batch, seq, width], or [batch, 1, width] where only the first is asked."""
        tf, config = self.tf, self.config
        name, n_heads = f"layers.{i}", config.heads_of(i)
        n_asking = 1 if first_only else seq
        asking = tf.slice(x, [0, 0, 0], [batch, 1, config.hidden_width]) if first_only else x

        def heads(part: str, value: Any, length: Any) -> Any:  # [batch, heads, length, head_width]
            split = self._linear(f"{name}.attention.{part}", value, batch, length)
            split = tf.reshape(split, [batch, length, n_heads, config.head_width])
            return tf.transpose(split, [0, 2, 1, 3])

        q = heads("query", asking, n_asking) * (1 / math.sqrt(config.head_width))
        k, v = heads("key", x, seq), heads("value", x, seq)
        share = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) + bias, axis=-1)
        mixed = tf.transpose(tf.matmul(share, v), [0, 2, 1, 3])
        mixed = tf.reshape(mixed, [batch, n_asking, n_heads * config.head_width])
        attended = self._linear(f"{name}.attention.output", mixed, batch, n_asking)
        x = self._norm(f"{name}.attention_norm", attended + asking)
        inner = self._activate(
            config.activation, self._linear(f"{name}.ffn.up", x, batch, n_asking)
        )
        down = self._linear(f"{name}.ffn.down", inner, batch, n_asking)
        return self._norm(f"{name}.ffn_norm", down + x)

    def _linear(self, name: str, x: Any, batch: Any, length: Any) -> Any:
        """[batch, length, in] → [batch, length, out]."""
        tf, v = self.tf, self.variables
        kernel = v[f"{name}.weight"]
        n_in, n_out = kernel.shape
        product = tf.matmul(tf.reshape(x, [-1, n_in]), kernel)
        product = self._scaled(f"{name}.weight", product) + v[f"{name}.bias"]
        return tf.reshape(product, [batch, length, n_out])

    def _scaled(self, name: str, x: Any) -> Any:
        scale = self.variables.get(f"{name}.scale")
        return x if scale is None else x * scale

    def _rows(self, name: str, ids: Any) -> Any:
        rows = self.tf.gather(self.variables[name], ids)
        scale = self.variables.get(f"{name}.scale")
        return rows if scale is None else rows * self.tf.gather(scale, ids)

    def _norm(self, name: str, x: Any) -> Any:
        tf, v = self.tf, self.variables
        centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(centred * centred, axis=-1, keepdims=True)
        normal = centred * tf.math.rsqrt(variance + self.config.norm_eps)
        return normal * v[f"{name}.weight"] + v[f"{name}.bias"]

    def _head(self, head: HeadSpec, x: Any, batch: Any, seq: Any) -> tuple[Any, ...]:
        """The outputs of a head, of the encoder's last states [batch, seq, width]."""
        tf, config, v = self.tf, self.config, self.variables
        for step in head.steps(config):
            if isinstance(step, Linear):
                x = self._linear(step.name, x, batch, seq)
            elif isinstance(step, Activate):
                x = self._activate(step.activation, x)
            elif isinstance(step, Norm):
                x = self._norm(step.name, x)
            else:
                words = "embeddings.word.weight"
                x = tf.reshape(x, [-1, config.table_width])
                x = tf.matmul(x, v[words], transpose_b=True)
                if f"{words}.scale" in v:
                    x = x * tf.reshape(v[f"{words}.scale"], [config.vocab_size])
                x = tf.reshape(x + v[f"{step.name}.bias"], [batch, seq, config.vocab_size])
        if len(head.outputs) > 1:
            return tuple(tf.unstack(x, axis=-1))
        return (x,) if head.by_token else (tf.reshape(x, [batch, x.shape[-1]]),)

    def _activate(self, activation: str, x: Any) -> Any:
        tf = self.tf
        if activation in ("relu", "tanh"):
            return getattr(tf.nn, activation)(x)
        if activation in ("silu", "quick_gelu"):
            return x * tf.sigmoid(1.702 * x if activation == "quick_gelu" else x)
        if activation == "gelu":
            return (0.5 * x) * (1.0 + tf.math.erf(x * math.sqrt(0.5)))
        cube = x * x * x
        return 0.5 * x * (1.0 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * cube)))


def _rounds_badly(name: str, value: Array) -> bool:
    """Whether a parameter has rows of very different size: every matrix, but the small tables."""
    return value.ndim == 2 and (name == "embeddings.word.weight" or "embeddings." not in name)
