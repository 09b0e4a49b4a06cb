"""Inner losses against formulas written out by hand."""

import pytest
import torch

from potstill.losses.transfer import attention_mse, attention_scores, hidden_mse, relation_kl

MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])


def test_hidden_states_are_compared_where_there_are_tokens():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 2, 4, 6)
    expected = [float(((student[i, :n] - teacher[i, :n]) ** 2).mean()) for i, n in ((0, 3), (1, 4))]
    assert hidden_mse(student, teacher, MASK).tolist() == pytest.approx(expected, rel=1e-5)


def test_attention_scores_are_scaled_dot_products_of_each_head():
    torch.manual_seed(0)
    query, key = torch.randn(2, 2, 4, 6)
    scores = attention_scores(query, key, 2)
    assert scores.shape == (2, 2, 4, 4)
    by_hand = float(query[1, 2, 3:] @ key[1, 0, 3:]) / 3**0.5
    assert float(scores[1, 1, 2, 0]) == pytest.approx(by_hand, rel=1e-5)


def test_attention_is_compared_between_real_tokens():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 2, 3, 4, 4)
    expected = [
        float(((student[i, :, :n, :n] - teacher[i, :, :n, :n]) ** 2).mean())
        for i, n in ((0, 3), (1, 4))
    ]
    assert attention_mse(student, teacher, MASK).tolist() == pytest.approx(expected, rel=1e-5)


def relation_by_hand(student, teacher, n, heads):
    """1 / (heads · n) · Σ_a Σ_t KL(R_T ‖ R_S) of one row with n tokens."""
    total = 0.0
    for a in range(heads):
        rows = []
        for vectors in (teacher, student):
            width = vectors.shape[-1] // heads
            part = vectors[:n, a * width : (a + 1) * width]
            rows.append(torch.softmax(part @ part.T / width**0.5, -1))
        theirs, ours = rows
        total += float((theirs * (theirs.log() - ours.log())).sum())
    return total / (heads * n)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_relations_of_models_of_different_width_are_compared(heads):
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 4, 8), torch.randn(2, 4, 12)
    expected = [relation_by_hand(student[i], teacher[i], n, heads) for i, n in ((0, 3), (1, 4))]
    found = relation_kl(student, teacher, MASK, heads)
    assert found.tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", [hidden_mse, lambda s, t, m: relation_kl(s, t, m, 2)])
def test_padding_gets_no_gradient(loss):
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 4, 6, requires_grad=True), torch.randn(2, 4, 6)
    loss(student, teacher, MASK).sum().backward()
    assert torch.isfinite(student.grad).all()
    assert (student.grad[0, 3] == 0).all()
    assert (student.grad[1] != 0).any()


def test_equal_models_have_no_loss():
    vectors = torch.randn(2, 4, 6)
    scores = torch.randn(2, 3, 4, 4)
    assert relation_kl(vectors, vectors, MASK, 3).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert hidden_mse(vectors, vectors, MASK).tolist() == [0, 0]
    assert attention_mse(scores, scores, MASK).tolist() == [0, 0]
