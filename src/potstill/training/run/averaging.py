"""Weights averaged over the steps of a run.

Source: Polyak and Juditsky, 1992; as an exponential moving average with a warm-up, as TensorFlow's
``ExponentialMovingAverage`` has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """A moving average of what a model has trained."""

    def __init__(self, model: nn.Module, keep: float) -> None:
        """Starts from the weights that the model has now.

        Args:
            model: whose trained parameters are averaged.
            keep: share of the average that each step keeps; early steps keep less, so that the
                beginning is soon forgotten.
        """
        self._trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._keep = keep
        self.weights: dict[str, Tensor] = {n: p.detach().clone() for n, p in self._trained.items()}

    @torch.no_grad()
    def add(self, step: int) -> None:
        """Takes in the weights behind step ``step``, counted from 1."""
        keep = min(self._keep, (1 + step) / (10 + step))
        for name, parameter in self._trained.items():
            self.weights[name].lerp_(parameter.detach().to(self.weights[name].device), 1 - keep)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Goes on from an average that was kept.

        Raises:
            KeyError: it lacks a parameter.
            RuntimeError: a parameter has another shape.
        """
        for name, average in self.weights.items():
            average.copy_(weights[name])

    @torch.no_grad()
    def give(self) -> None:
        """Leaves the averages in the model for good."""
        for name, parameter in self._trained.items():
            parameter.copy_(self.weights[name])

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The model has the averages for as long as this lasts."""
        own = {name: p.detach().clone() for name, p in self._trained.items()}
        self.give()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in self._trained.items():
                    parameter.copy_(own[name])
