"""Stopping training runs in the middle, and comparing what they leave behind."""

from __future__ import annotations

from pathlib import Path

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
