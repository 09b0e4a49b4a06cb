"""Losses against formulas written out by hand."""

import pytest
import torch
import torch.nn.functional as F

from potstill.errors import InputError
from potstill.losses.span import span_cross_entropy, span_distillation, span_kl


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
    expected = [
        (by_hand(start[i], a, allowed[i]) + by_hand(end[i], b, allowed[i])) / 2
        for i, (a, b) in enumerate(gold)
    ]
    columns = torch.tensor(gold)
    found = span_cross_entropy(start, end, columns[:, 0], columns[:, 1], allowed)
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_forbidden_positions_get_no_gradient():
    start = torch.randn(2, 5, requires_grad=True)
    end = torch.randn(2, 5, requires_grad=True)
    allowed = torch.tensor([[1, 0, 1, 1, 0], [1, 0, 0, 1, 1]]).bool()
    gold = torch.tensor([2, 3])
    span_cross_entropy(start, end, gold, gold, allowed).sum().backward()
    for logits in (start, end):
        assert torch.all(logits.grad[~allowed] == 0)
        assert torch.all(logits.grad[allowed] != 0)


def test_half_precision_logits_give_a_float32_loss():
    logits = torch.randn(2, 5).bfloat16()
    gold = torch.tensor([1, 1])
    loss = span_cross_entropy(logits, logits, gold, gold, torch.ones(2, 5).bool())
    assert loss.dtype == torch.float32


def kl_by_hand(student, teacher, allowed, temperature):
    """Σ p · (log p - log q) of one row, as the formula is written."""
    places = [i for i, ok in enumerate(allowed) if ok]
    p = torch.softmax(teacher[places] / temperature, 0)
    q = torch.softmax(student[places] / temperature, 0)
    return float(sum(a * (a.log() - b.log()) for a, b in zip(p, q, strict=True)))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 10.0])
def test_distillation_is_the_formula_over_allowed_positions(temperature):
    torch.manual_seed(1)
    start, end, teacher_start, teacher_end = torch.randn(4, 3, 7) * 3
    allowed = torch.rand(3, 7) > 0.4
    allowed[:, 0] = True
    expected = [
        temperature**2
        * (
            kl_by_hand(start[i], teacher_start[i], allowed[i], temperature)
            + kl_by_hand(end[i], teacher_end[i], allowed[i], temperature)
        )
        / 2
        for i in range(3)
    ]
    found = span_distillation(start, end, teacher_start, teacher_end, temperature, allowed)
    assert found.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_without_a_mask_it_is_the_notebooks_form():
    torch.manual_seed(2)
    start, end, teacher_start, teacher_end = torch.randn(4, 5, 11)
    t = 2.0
    kl = torch.nn.KLDivLoss(reduction="batchmean")
    losses = [
        kl(F.log_softmax(ours / t, dim=-1), F.softmax(theirs / t, dim=-1)) * t**2
        for ours, theirs in ((start, teacher_start), (end, teacher_end))
    ]
    expected = (losses[0] + losses[1]) / 2
    found = span_distillation(start, end, teacher_start, teacher_end, t).mean()
    torch.testing.assert_close(found, expected)


def test_nothing_outside_the_allowed_positions_counts():
    torch.manual_seed(3)
    start, end, teacher_start, teacher_end = torch.randn(4, 2, 6)
    allowed = torch.tensor([[1, 0, 1, 1, 1, 0], [1, 0, 0, 1, 1, 1]]).bool()
    noise = torch.where(allowed, 0.0, 50.0)
    plain = span_distillation(start, end, teacher_start, teacher_end, 2.0, allowed)
    noisy = span_distillation(
        start + noise, end - noise, teacher_start - noise, teacher_end + noise, 2.0, allowed
    )
    torch.testing.assert_close(plain, noisy)


def test_a_student_that_agrees_has_no_loss_and_no_gradient():
    torch.manual_seed(4)
    start = torch.randn(2, 6, requires_grad=True)
    end = torch.randn(2, 6, requires_grad=True)
    allowed = torch.tensor([[1, 0, 1, 1, 1, 0], [1, 0, 0, 1, 1, 1]]).bool()
    soft = [
        torch.softmax((x.detach() / 3.0).masked_fill(~allowed, -torch.inf), -1)
        for x in (start, end)
    ]
    loss = span_kl(start, end, *soft, allowed, 3.0)
    torch.testing.assert_close(loss, torch.zeros(2), atol=1e-5, rtol=0)
    loss.sum().backward()
    for logits in (start, end):
        torch.testing.assert_close(logits.grad, torch.zeros(2, 6), atol=1e-5, rtol=0)


@pytest.mark.parametrize("temperature", [0.0, -0.5, float("nan")])
def test_a_temperature_of_zero_is_refused(temperature):
    logits, allowed = torch.zeros(1, 3), torch.ones(1, 3).bool()
    with pytest.raises(InputError, match="temperature must be above 0"):
        span_kl(logits, logits, logits, logits, allowed, temperature)
    with pytest.raises(InputError, match="temperature must be above 0"):
        span_distillation(logits, logits, logits, logits, temperature)
