"""What heads and neurons are worth, by how the loss would change without them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from potstill.compression.prune import Importance
from potstill.models.encoder import Encoder


def importance(
    encoder: Encoder,
    batches: Iterable[dict[str, Tensor]],
    loss: Callable[[dict[str, Tensor]], Tensor],
) -> Importance:
    """Gradient times activation, summed over the rows of all batches.

    A head: the magnitude of the first-order change of a row's loss when the head is silenced
    (Michel et al. 2019, https://arxiv.org/abs/1905.10650, eq. 2). A neuron: the square of that
    change (Molchanov et al. 2019, https://arxiv.org/abs/1906.10771, eq. 8, of a gate on it).

    Args:
        encoder: of the model that ``loss`` runs; put into evaluation mode by the caller.
        batches: as the training loop has them.
        loss: of one batch, summed over its rows, so that no row's gradient knows of another.
    """
    layers: Any = list(encoder.layers)
    mixed = [_Watch(layer.attention.output) for layer in layers]
    inner = [_Watch(layer.ffn.down) for layer in layers]
    heads = [torch.zeros(layer.attention.n_heads, dtype=torch.float64) for layer in layers]
    neurons = [torch.zeros(layer.ffn.down.in_features, dtype=torch.float64) for layer in layers]
    frozen = [p for p in encoder.parameters() if p.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        for batch in batches:
            total = loss(batch)
            seen = [watch.input for watch in (*mixed, *inner)]
            slopes = torch.autograd.grad(total, seen)
            for i in range(len(layers)):
                change = (seen[i] * slopes[i]).detach().sum(1)  # [batch, attention width]
                by_head = change.unflatten(-1, (len(heads[i]), -1)).sum(-1)
                heads[i] += by_head.abs().double().sum(0).cpu()
                at = len(layers) + i
                change = (seen[at] * slopes[at]).detach().sum(1)  # [batch, ffn width]
                neurons[i] += change.double().square().sum(0).cpu()
    finally:
        for watch in (*mixed, *inner):
            watch.close()
        for parameter in frozen:
            parameter.requires_grad_(True)
    return Importance([h.numpy() for h in heads], [n.numpy() for n in neurons])


class _Watch:
    """Keeps what a module was given last, as a place that gradients can be asked for."""

    def __init__(self, module: nn.Module) -> None:
        self.input = torch.empty(0)
        self._handle = module.register_forward_pre_hook(self._keep)

    def _keep(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        given = inputs[0]
        # The first layers' inputs hang on frozen parameters alone and would carry no gradient.
        self.input = given if given.requires_grad else given.detach().requires_grad_(True)
        return (self.input,)

    def close(self) -> None:
        self._handle.remove()
