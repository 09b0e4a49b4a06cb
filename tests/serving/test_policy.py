"""Rows that wait → those that run together."""

from hypothesis import given
from hypothesis import strategies as st

from potstill.serving.policy import FULL, LOOK, fill

lengths = st.lists(st.one_of(st.none(), st.integers(1, 512)), max_size=90)


@given(st.integers(1, 512), lengths, st.integers(0, 2048))
def test_a_batch_keeps_to_its_budget_and_holds_little_padding(first, others, budget):
    rows = [first, *others]
    taken = fill(rows, budget)
    assert taken == sorted(set(taken))
    assert taken[0] == 0
    assert taken[-1] <= LOOK
    sizes = [rows[i] for i in taken]
    assert None not in sizes
    if len(taken) > 1:
        padded = len(sizes) * max(sizes)
        assert padded <= budget
        assert sum(sizes) >= FULL * padded


def test_rows_that_do_not_fit_are_passed_over():
    assert fill([100, 300, 100, None, 90, 100], 450) == [0, 2, 4, 5]
    assert fill([100, 100], 0) == [0]


def test_where_a_batch_ends():
    assert fill([10, 10], 20) == [0, 1]  # to the last token of its budget
    assert fill([10, 10], 19) == [0]
    assert fill([10, 6], 100) == [0, 1]  # 16 of 20 are no padding: just enough
    assert fill([10, 5], 100) == [0]
    assert fill([5, 10], 100) == [0]  # a longer one pads those before it
    assert fill([1] * 100, 10**6) == list(range(65))  # 64 behind the first
    assert fill([1] * 3, 10**6) == [0, 1, 2]
