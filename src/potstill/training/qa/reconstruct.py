"""Pruning an encoder layer by layer, each fitted to what the full encoder computes there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig
from potstill.bundle.weights import Weights
from potstill.compression.reconstruct import Fit, Moments, fit
from potstill.models.encoder import Encoder


@torch.no_grad()
def reconstruct(
    encoder: Encoder,
    weights: Weights,
    batches: Iterable[dict[str, Tensor]],
    heads: Sequence[int],
    ffn: Sequence[int],
) -> tuple[ModelConfig, Weights]:
    """Removes heads and neurons and makes up for them with what stays.

    Every layer is fitted to the full encoder's sums before its two norms, reading what the pruned
    layers below it give: what they lost is made good as far as a linear layer can.

    Args:
        encoder: the full one, in evaluation mode.
        weights: of the full model, under our names.
        batches: ``input_ids``, ``attention_mask`` and ``token_type_ids`` of training windows.
        heads: how many of each layer stay.
        ffn: how many neurons of each layer stay.

    Returns:
        The smaller config and its weights.
    """
    streams = [_Stream(encoder, batch) for batch in batches]
    pruned = dict(weights)
    full: Any
    for i, full in enumerate(encoder.layers):
        layer = copy.deepcopy(full)
        _fit_attention(full, layer, streams, heads[i])
        _fit_ffn(full, layer, streams, ffn[i])
        for name, value in layer.state_dict().items():
            pruned[f"layers.{i}.{name}"] = value.numpy()
    return encoder.config.with_layer_shapes(heads, ffn), pruned


class _Stream:
    """The states of one batch on their way through both encoders."""

    def __init__(self, encoder: Encoder, batch: dict[str, Tensor]) -> None:
        first = encoder.embed(batch["input_ids"], batch["token_type_ids"])
        self.theirs = self.ours = first
        """``[batch, seq, width]``: the full encoder's, the pruned one's."""
        self.real = batch["attention_mask"].bool()
        self.mask = encoder.mask(first, batch["attention_mask"])

    def count(self, moments: Moments, inputs: Tensor, wanted: Tensor) -> None:
        """Adds the batch's real tokens; both ``[batch, seq, …]``."""
        moments.add(inputs[self.real].numpy(), wanted[self.real].numpy())


def _fit_attention(full: Any, layer: Any, streams: list[_Stream], keep: int) -> None:
    attention = layer.attention
    output = attention.output
    moments = Moments(output.in_features, output.out_features)
    for stream in streams:
        theirs = stream.theirs + full.attention(stream.theirs, stream.mask)
        inputs = _given(output, lambda s=stream: attention(s.ours, s.mask))
        stream.count(moments, inputs, theirs - stream.ours)
        stream.theirs = full.attention_norm(theirs)
    width = output.in_features // attention.n_heads
    found = fit(moments, output.weight.numpy(), keep, width)
    rows = torch.cat([torch.arange(h * width, (h + 1) * width) for h in found.kept])
    for name in ("query", "key", "value"):
        setattr(attention, name, _narrowed(getattr(attention, name), rows))
    attention.output, attention.n_heads = _fitted(found), keep
    for stream in streams:
        stream.ours = layer.attention_norm(stream.ours + attention(stream.ours, stream.mask))


def _fit_ffn(full: Any, layer: Any, streams: list[_Stream], keep: int) -> None:
    down = layer.ffn.down
    moments = Moments(down.in_features, down.out_features)
    for stream in streams:
        theirs = stream.theirs + full.ffn(stream.theirs)
        inputs = _given(down, lambda s=stream: layer.ffn(s.ours))
        stream.count(moments, inputs, theirs - stream.ours)
        stream.theirs = full.ffn_norm(theirs)
    found = fit(moments, down.weight.numpy(), keep)
    layer.ffn.up = _narrowed(layer.ffn.up, torch.tensor(found.kept))
    layer.ffn.down = _fitted(found)
    for stream in streams:
        stream.ours = layer.ffn_norm(stream.ours + layer.ffn(stream.ours))


def _given(module: nn.Module, run: Callable[[], Tensor]) -> Tensor:
    """What ``module`` reads while ``run`` runs it once."""
    seen: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    try:
        run()
    finally:
        handle.remove()
    return seen[0]


def _narrowed(linear: nn.Linear, rows: Tensor) -> nn.Linear:
    """The same layer with some of its outputs."""
    return _linear(linear.weight[rows], linear.bias[rows])


def _fitted(found: Fit) -> nn.Linear:
    return _linear(torch.from_numpy(found.weight), torch.from_numpy(found.bias))


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight, linear.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return linear
