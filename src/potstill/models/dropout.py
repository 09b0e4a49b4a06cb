"""Dropout whose masks cost little on a CPU.

Srivastava et al. 2014 (https://jmlr.org/papers/v15/srivastava14a.html). torch draws one double for
each element there, which is a quarter of a small model's training step; one byte is enough.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def dropout(x: Tensor, rate: float) -> Tensor:
    """``x`` with elements set to 0 at random, the others scaled so that the mean stays.

    On a CPU the rate is rounded to a multiple of 1/256, and the scale is that of the rounded rate;
    elsewhere it is torch's own dropout. Draws from torch's global generator.

    Args:
        x: of any shape and any floating dtype.
        rate: share to drop, ``[0, 1)``; 0 draws nothing.
    """
    dropped = min(round(rate * 256), 255)
    if x.device.type != "cpu" or torch.compiler.is_compiling() or not dropped:
        return F.dropout(x, rate)
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    draws = words.view(torch.uint8)[: x.numel()].view(x.shape)
    kept = torch.empty_like(x, requires_grad=False)
    torch.ge(draws, dropped, out=kept)
    return x * kept.mul_(256 / (256 - dropped))


class Dropout(nn.Dropout):
    """`dropout` as a layer; the identity outside training."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape → the same shape."""
        return dropout(input, self.p) if self.training else input
