"""Language-model losses against direct transcriptions of their formulas."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from potstill.errors import InputError
from potstill.losses.lm import hidden_cosine, masked_lm_cross_entropy, soft_target_kl

SEEDS = st.integers(0, 10_000)


def drawn(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 3


def softmax(row):
    exps = [math.exp(x - max(row)) for x in row]
    return [e / sum(exps) for e in exps]


@given(SEEDS)
def test_masked_lm_is_the_mean_negative_log_likelihood(seed):
    logits = drawn(seed, 2, 5, 7)
    labels = torch.tensor([[3, -100, 0, -100, 6], [-100, 1, -100, -100, -100]])
    terms = [
        -math.log(softmax(logits[row, at].tolist())[labels[row, at]])
        for row in range(2)
        for at in range(5)
        if labels[row, at] >= 0
    ]
    assert len(terms) == 4
    found = float(masked_lm_cross_entropy(logits, labels))
    assert found == pytest.approx(sum(terms) / 4, rel=1e-5)


@given(SEEDS, st.floats(0.3, 8))
def test_soft_targets_are_the_divergence_times_the_squared_temperature(seed, temperature):
    student, teacher = drawn(seed, 4, 6), drawn(seed + 1, 4, 6)
    total = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        p = softmax([x / temperature for x in t])
        q = softmax([x / temperature for x in s])
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
    found = float(soft_target_kl(student, teacher, temperature))
    assert found == pytest.approx(total / 4 * temperature**2, rel=1e-4, abs=1e-5)


@given(SEEDS)
def test_soft_targets_have_the_gradient_of_the_papers_cross_entropy(seed):
    """L_ce = Σ t_i · log(s_i) in the paper: the teacher's entropy is constant."""
    student, teacher = drawn(seed, 4, 6).requires_grad_(), drawn(seed + 1, 4, 6)
    soft_target_kl(student, teacher, 2.0).backward()
    again = student.detach().clone().requires_grad_()
    paper = -(torch.softmax(teacher / 2, -1) * torch.log_softmax(again / 2, -1)).sum(-1).mean() * 4
    paper.backward()
    torch.testing.assert_close(student.grad, again.grad)


def test_soft_targets_are_the_published_call():
    """``nn.KLDivLoss(reduction="batchmean")(log_softmax(s / T), softmax(t / T)) * T**2``."""
    student, teacher, temperature = drawn(0, 9, 11), drawn(1, 9, 11), 2.0
    published = torch.nn.KLDivLoss(reduction="batchmean")(
        torch.log_softmax(student / temperature, -1), torch.softmax(teacher / temperature, -1)
    )
    torch.testing.assert_close(
        soft_target_kl(student, teacher, temperature), published * temperature**2
    )


@given(SEEDS)
def test_cosine_is_the_published_call_on_real_positions(seed):
    """``nn.CosineEmbeddingLoss(reduction="mean")`` of the selected states, with targets 1."""
    student, teacher = drawn(seed, 3, 5, 8), drawn(seed + 1, 3, 5, 8)
    mask = torch.arange(5)[None] < torch.tensor([5, 3, 1])[:, None]
    target = torch.ones(int(mask.sum()))
    published = torch.nn.CosineEmbeddingLoss(reduction="mean")
    expected = published(student[mask], teacher[mask], target)
    torch.testing.assert_close(hidden_cosine(student, teacher, mask.long()), expected)
    flat = published(student.flatten(0, 1), teacher.flatten(0, 1), torch.ones(15))
    torch.testing.assert_close(hidden_cosine(student, teacher), flat)


def test_cosine_by_hand():
    student = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]])
    teacher = torch.tensor([[[3.0, 0.0], [1.0, 0.0], [-1.0, -1.0]]])
    assert float(hidden_cosine(student, teacher)) == pytest.approx((0 + 1 + 2) / 3)


@given(SEEDS)
def test_nothing_is_lost_on_a_perfect_student(seed):
    states, logits = drawn(seed, 2, 3, 4), drawn(seed, 6, 5)
    assert float(hidden_cosine(states, states * 2)) == pytest.approx(0, abs=1e-6)
    assert float(soft_target_kl(logits, logits + 5, 3.0)) == pytest.approx(0, abs=1e-5)


def test_no_positions_cost_nothing_and_give_no_nan():
    labels = torch.full((2, 3), -100)
    logits = drawn(0, 2, 3, 4).requires_grad_()
    none = torch.zeros(2, 3)
    losses = [
        masked_lm_cross_entropy(logits, labels),
        soft_target_kl(logits[none.bool()], logits[none.bool()].detach(), 2.0),
        hidden_cosine(logits, logits.detach(), none),
    ]
    assert [loss.item() for loss in losses] == [0, 0, 0]
    sum(losses).backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_positions_may_lie_in_rows():
    student, teacher = drawn(0, 2, 3, 4), drawn(1, 2, 3, 4)
    flat = soft_target_kl(student.flatten(0, 1), teacher.flatten(0, 1), 2.0)
    torch.testing.assert_close(soft_target_kl(student, teacher, 2.0), flat)


def test_one_position_is_averaged_over_one():
    logits, other = drawn(0, 1, 2, 4), drawn(1, 1, 2, 4)
    told = masked_lm_cross_entropy(logits, torch.tensor([[2, -100]]))
    assert told.item() == pytest.approx(-math.log(softmax(logits[0, 0].tolist())[2]), rel=1e-5)
    p, q = softmax(other[0, 0].tolist()), softmax(logits[0, 0].tolist())
    gap = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert soft_target_kl(logits[0, :1], other[0, :1], 1.0).item() == pytest.approx(gap, rel=1e-4)
    alike = torch.cosine_similarity(logits[0, 0], other[0, 0], dim=0).item()
    for found in (
        hidden_cosine(logits, other, torch.tensor([[1, 0]])),
        hidden_cosine(logits[:, :1], other[:, :1]),
    ):
        assert found.item() == pytest.approx(1 - alike, rel=1e-5)


def test_half_precision_logits_are_summed_in_float32():
    logits = drawn(0, 4, 50).bfloat16()
    assert masked_lm_cross_entropy(logits, torch.arange(4)).dtype == torch.float32
    assert soft_target_kl(logits, logits, 2.0).dtype == torch.float32
    assert hidden_cosine(logits[None], logits[None]).dtype == torch.float32


@pytest.mark.parametrize("temperature", [0, -0.5, math.nan])
def test_a_temperature_that_is_none(temperature):
    with pytest.raises(InputError, match="temperature must be above 0"):
        soft_target_kl(drawn(0, 2, 3), drawn(1, 2, 3), temperature)


def test_widths_that_differ():
    with pytest.raises(InputError, match="one width, not 8 and 4"):
        hidden_cosine(drawn(0, 2, 3, 8), drawn(1, 2, 3, 4))
