"""Low-rank adapters: a large model learns a task through a few small matrices.

Source: Hu et al. 2021, LoRA (https://arxiv.org/abs/2106.09685). Every dense layer of the encoder
keeps its weights and adds ``2 · up · down``, of a rank that is far below its width: a third of the
training's arithmetic is saved, and what was learned is a file of a few megabytes.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

SCALE = 2.0
"""Weight of what an adapter adds: ``alpha / rank`` of the paper."""


class AdaptedLinear(nn.Linear):
    """A dense layer whose own weights stay, with a trained matrix of low rank beside them."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        """Takes over ``linear``'s parameters; computes what it computed until it is trained."""
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.down = nn.Parameter(torch.empty(rank, linear.in_features))
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, input: Tensor) -> Tensor:
        """``[…, in_features]`` → ``[…, out_features]``."""
        own, low = super().forward(input), F.linear(input, self.down)
        added = torch.addmm(own.flatten(0, -2), low.flatten(0, -2), (SCALE * self.up).t())
        return added.view_as(own)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """A plain layer that computes the same."""
        plain = nn.Linear(self.in_features, self.out_features, self.bias is not None)
        plain.weight, plain.bias = self.weight, self.bias
        plain.weight += SCALE * self.up @ self.down
        return plain


def adapt(encoder: nn.Module, rank: int) -> None:
    """Freezes ``encoder`` and gives every dense layer in its layers an adapter."""
    encoder.requires_grad_(False)
    for parent, name, linear in _dense(encoder):
        setattr(parent, name, AdaptedLinear(linear, rank))


def learned(encoder: nn.Module) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """What the adapters learned: a weight's name → ``down`` [rank, in] and ``up`` [out, rank]."""
    return {
        f"{name}.weight": (_array(layer.down), _array(layer.up))
        for name, layer in encoder.named_modules()
        if isinstance(layer, AdaptedLinear)
    }


def _array(parameter: Tensor) -> NDArray[np.float32]:
    return parameter.detach().float().cpu().numpy()


def merge(encoder: nn.Module) -> None:
    """Folds the adapters into the weights, which may be trained again; nothing where none are."""
    for parent, name, linear in _dense(encoder):
        if isinstance(linear, AdaptedLinear):
            setattr(parent, name, linear.merged())
    encoder.requires_grad_(True)


def _dense(encoder: nn.Module) -> list[tuple[nn.Module, str, nn.Linear]]:
    return [
        (parent, name, child)
        for parent in encoder.get_submodule("layers").modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear)
    ]
