from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from potstill.models.dropout import Dropout, dropout

DTYPES = [torch.float32, torch.bfloat16, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_share_is_dropped_and_the_mean_stays(dtype) -> None:
    torch.manual_seed(0)
    found = dropout(torch.ones(400, 1001, dtype=dtype), 0.25)
    assert found.dtype == dtype
    assert (found == 0).float().mean() == pytest.approx(0.25, abs=0.005)
    assert found.float().mean() == pytest.approx(1, abs=0.01)
    assert torch.unique(found).numel() == 2


def test_every_place_is_dropped_as_often() -> None:
    """A byte that had fewer values than the others would show in every eighth place."""
    torch.manual_seed(1)
    dropped = dropout(torch.ones(40_000, 8), 0.1) == 0
    assert dropped.float().mean(0).tolist() == pytest.approx([26 / 256] * 8, abs=0.008)


def test_the_gradient_goes_where_the_values_went() -> None:
    x = torch.randn(50, 70, requires_grad=True)
    found = dropout(x, 0.5)
    found.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.where(found == 0, 0.0, 2.0))


@given(
    st.lists(st.integers(1, 9), max_size=3),
    st.floats(0, 0.99),
    st.integers(0, 2**31),
)
def test_a_seed_gives_one_mask_for_any_shape(shape, rate, seed) -> None:
    x = torch.ones(shape)
    torch.manual_seed(seed)
    one = dropout(x, rate)
    torch.manual_seed(seed)
    assert torch.equal(dropout(x, rate), one)
    assert one.shape == x.shape


def test_it_is_the_identity_outside_training_and_at_rate_0() -> None:
    x = torch.randn(3, 4)
    assert Dropout(0.5).eval()(x) is x
    state = torch.get_rng_state()
    assert torch.equal(Dropout(0.0).train()(x), x)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(Dropout(0.5).train()(x), x)
