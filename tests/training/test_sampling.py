"""The order of training: complete, within budget, and a pure function of seed and epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.training.run.sampling import Schedule, epoch_batches, rate_factor

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=200).map(np.array)


@given(LENGTHS, st.integers(1, 200), st.integers(0, 5), st.integers(0, 3))
def test_every_row_once_within_the_budget(lengths, budget, seed, epoch):
    batches = epoch_batches(lengths, budget, seed=seed, epoch=epoch)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * int(lengths[batch].max())
        assert padded <= budget or len(batch) == 1


def test_the_order_is_a_function_of_seed_and_epoch():
    lengths = np.random.default_rng(0).integers(20, 200, 500)
    same = [epoch_batches(lengths, 1000, seed=1, epoch=0) for _ in range(2)]
    assert same[0] == same[1]
    assert same[0] != epoch_batches(lengths, 1000, seed=1, epoch=1)
    assert same[0] != epoch_batches(lengths, 1000, seed=2, epoch=0)


def test_similar_lengths_share_a_batch():
    lengths = np.random.default_rng(0).integers(20, 384, 20_000)
    batches = epoch_batches(lengths, 4000, seed=0, epoch=0)
    padded = sum(len(b) * int(lengths[b].max()) for b in batches)
    assert padded < 1.03 * lengths.sum()
    means = [lengths[b].mean() for b in batches]
    # Long and short batches are mixed: no run from long to short is left of the sorting.
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.2


@given(LENGTHS, st.integers(1, 4), st.sampled_from([1.0, 2.0, 3.0]))
def test_steps_cover_every_epoch(lengths, accumulate, epochs):
    schedule = Schedule(lengths, budget=80, accumulate=accumulate, seed=0, epochs=epochs)
    seen = {epoch: [] for epoch in range(int(epochs))}
    for number in range(schedule.n_steps):
        batches = schedule.step(number)
        assert 1 <= len(batches) <= accumulate
        seen[schedule.epoch(number)] += [row for batch in batches for row in batch]
    for rows in seen.values():
        assert sorted(rows) == list(range(len(lengths)))


def test_a_step_can_be_asked_for_in_any_order():
    lengths = np.random.default_rng(0).integers(5, 50, 100)
    options = {"budget": 100, "accumulate": 2, "seed": 3, "epochs": 2}
    forward = Schedule(lengths, **options)
    steps = [forward.step(i) for i in range(forward.n_steps)]
    backward = Schedule(lengths, **options)
    assert [backward.step(i) for i in reversed(range(forward.n_steps))] == steps[::-1]


def test_fractions_of_an_epoch_and_a_limit_of_steps():
    lengths = np.full(100, 10)
    options = {"budget": 10, "accumulate": 1, "seed": 0}
    assert Schedule(lengths, **options, epochs=0.25).n_steps == 25
    assert Schedule(lengths, **options, epochs=1.5).n_steps == 150
    assert Schedule(lengths, **options, epochs=1.5, max_steps=7).n_steps == 7


def test_rate_rises_stays_and_falls():
    rates = [rate_factor(i, 100, warmup=0.1, decay=0.5) for i in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:51] == [1.0] * 42
    assert rates[75] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.02)


def test_full_decay_falls_from_the_end_of_the_warmup():
    rates = [rate_factor(i, 100, warmup=0.1, decay=1.0) for i in range(100)]
    assert max(rates) == rates[9] == 1.0
    assert np.allclose(np.diff(rates[10:]), -1 / 90)


@given(st.integers(1, 300), st.floats(0, 1), st.floats(0, 1))
def test_rate_is_always_a_share(n_steps, warmup, decay):
    for step in range(n_steps):
        assert 0 < rate_factor(step, n_steps, warmup=warmup, decay=decay) <= 1
