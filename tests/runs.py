"""Stopping training runs in the middle, and comparing what they leave behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from potstill.training.run.report import Listeners


class Stopped(Exception):
    """Raised from outside, in the middle of a run."""


def stop_at(step: int) -> Listeners:
    """Listeners that stop a run behind a step."""

    def listener(report) -> None:
        if report.step == step:
            raise Stopped

    return Listeners(step=listener)


def weights(out: str | Path) -> dict[str, Tensor]:
    """The finished model's parameters."""
    return load_file(Path(out) / "model.safetensors")


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Whether two models are the same, bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class Small(torch.nn.Module):
    """Linear layers by the names that models of ours have."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = torch.nn.Module()
        self.encoder.embeddings = torch.nn.Linear(4, 4)
        self.encoder.layers = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(2))
        self.head = torch.nn.Linear(4, 1)

    def forward(self, x):
        x = self.encoder.embeddings(x)
        for layer in self.encoder.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


class Vectors:
    """Rows of four numbers, of differing lengths, so that batches have differing sizes."""

    lengths = np.array([10, 10, 20, 40, 10, 20, 10, 30, 10])

    def __init__(self):
        self.x = torch.from_numpy(np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32))

    def __len__(self):
        return len(self.lengths)

    def batch(self, rows):
        return {"x": self.x[rows]}


def squares(model, batch, done):
    assert model.training
    return (model(batch["x"]) - 1).square().sum()
