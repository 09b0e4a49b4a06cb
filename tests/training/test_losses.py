"""Losses against formulas written out by hand."""

import pytest
import torch

from potstill.training.losses import span_cross_entropy


def by_hand(logits, gold, allowed):
    row = [float(x) for x, ok in zip(logits, allowed, strict=True) if ok]
    total = torch.logsumexp(torch.tensor(row), 0)
    return float(total - logits[gold])


def test_softmax_is_over_allowed_positions_only():
    torch.manual_seed(0)
    start, end = torch.randn(3, 7), torch.randn(3, 7)
    allowed = torch.tensor(
        [[1, 0, 0, 1, 1, 1, 0], [1, 0, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 1, 1]]
    ).bool()
    gold = [(3, 5), (0, 0), (5, 6)]
    expected = sum(
        (by_hand(start[i], a, allowed[i]) + by_hand(end[i], b, allowed[i])) / 2
        for i, (a, b) in enumerate(gold)
    )
    columns = torch.tensor(gold)
    found = span_cross_entropy(start, end, columns[:, 0], columns[:, 1], allowed)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_forbidden_positions_get_no_gradient():
    start = torch.randn(2, 5, requires_grad=True)
    end = torch.randn(2, 5, requires_grad=True)
    allowed = torch.tensor([[1, 0, 1, 1, 0], [1, 0, 0, 1, 1]]).bool()
    gold = torch.tensor([2, 3])
    span_cross_entropy(start, end, gold, gold, allowed).backward()
    for logits in (start, end):
        assert torch.all(logits.grad[~allowed] == 0)
        assert torch.all(logits.grad[allowed] != 0)


def test_half_precision_logits_give_a_float32_loss():
    logits = torch.randn(2, 5).bfloat16()
    gold = torch.tensor([1, 1])
    loss = span_cross_entropy(logits, logits, gold, gold, torch.ones(2, 5).bool())
    assert loss.dtype == torch.float32
