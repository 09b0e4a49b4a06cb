import pytest
import torch
import torch.nn.functional as F

from potstill.errors import InputError
from potstill.losses.choice import choice_cross_entropy, choice_kl
from potstill.losses.tagging import token_cross_entropy, token_kl


@pytest.fixture
def logits():
    return torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)


def test_only_labelled_tokens_count(logits):
    labels = torch.tensor([[-100, 1, -100, 2, -100], [-100, -100, -100, -100, -100]])
    losses = token_cross_entropy(logits, labels)
    first = F.cross_entropy(logits[0], labels[0], ignore_index=-100, reduction="sum")
    assert losses.tolist() == pytest.approx([first.item(), 0.0])
    losses.sum().backward()
    assert logits.grad is not None and logits.grad[1].abs().sum() == 0


@pytest.mark.parametrize("t", [0.5, 1.0, 3.0])
def test_a_student_like_its_teacher_loses_nothing(logits, t):
    taught = torch.tensor([[False, True, True, False, False], [False, True, False, False, False]])
    assert token_kl(logits, logits.detach(), taught, t).tolist() == pytest.approx([0, 0])
    other = logits.detach().clone()
    other[0, 0] += torch.tensor([9.0, 0, 0])  # where nothing is taught
    assert token_kl(logits, other, taught, t).tolist() == pytest.approx([0, 0])
    other[0, 1] += torch.tensor([9.0, 0, 0])
    losses = token_kl(logits, other, taught, t)
    assert losses[0] > 0.1 and losses[1] == 0
    p, q = (F.softmax(one[0, 1] / t, -1) for one in (other, logits))
    assert losses[0].item() == pytest.approx(t * t * (p * (p / q).log()).sum().item(), rel=1e-5)


def test_only_choices_that_there_are_count():
    logits = torch.tensor([[1.0, 2.0, 99.0], [0.5, 0.0, -1.0]], requires_grad=True)
    allowed = torch.tensor([[True, True, False], [True, True, True]])
    labels = torch.tensor([0, 2])
    losses = choice_cross_entropy(logits, labels, allowed)
    assert losses[0].item() == pytest.approx(F.cross_entropy(logits[0, :2], labels[0]).item())
    losses.sum().backward()
    assert logits.grad is not None and logits.grad[0, 2] == 0


@pytest.mark.parametrize("t", [0.5, 1.0, 3.0])
def test_the_teachers_choice(t):
    logits = torch.tensor([[1.0, 2.0, 5.0]], requires_grad=True)
    teacher = torch.tensor([[3.0, 0.0, 0.0]])
    allowed = torch.tensor([[True, True, False]])
    loss = choice_kl(logits, teacher, allowed, t)
    p, q = (F.softmax(one[0, :2] / t, -1) for one in (teacher, logits))
    assert loss.item() == pytest.approx(t * t * (p * (p / q).log()).sum().item(), rel=1e-5)
    loss.sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all() and logits.grad[0, 2] == 0
    same = choice_kl(logits, logits.detach(), allowed, t)
    assert same.item() == pytest.approx(0)


@pytest.mark.parametrize("t", [0.0, -0.5, float("nan")])
def test_a_temperature_must_be_above_0(logits, t):
    taught = torch.ones(2, 5, dtype=torch.bool)
    with pytest.raises(InputError, match="temperature must be above 0"):
        token_kl(logits, logits, taught, t)
    with pytest.raises(InputError, match="temperature must be above 0"):
        choice_kl(logits[:, 0], logits[:, 0], taught[:, :3], t)
