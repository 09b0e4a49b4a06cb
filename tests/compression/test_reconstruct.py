"""Pruning by least squares keeps what the rest cannot stand in for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.compression.reconstruct import Moments, fit


def moments(inputs, outputs, parts=1):
    found = Moments(inputs.shape[1], outputs.shape[1])
    for a, b in zip(np.array_split(inputs, parts), np.array_split(outputs, parts), strict=True):
        found.add(a, b)
    return found


def squared_error(found, inputs, outputs, group):
    columns = [g * group + c for g in found.kept for c in range(group)]
    given = inputs[:, columns] @ found.weight.T + found.bias
    return float(np.square(given - outputs).mean())


@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 5))
def test_the_pruned_matrix_is_never_worse_than_cutting_out_the_same_columns(seed, group, keep):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(200, 5 * group)) @ rng.normal(size=(5 * group, 5 * group)) + 1
    old = rng.normal(size=(4, 5 * group))
    outputs = inputs @ old.T + 0.5
    found = fit(moments(inputs, outputs, parts=3), old, keep, group)
    assert len(found.kept) == keep
    assert found.kept == sorted(set(found.kept))
    columns = [g * group + c for g in found.kept for c in range(group)]
    cut = inputs[:, columns] @ old[:, columns].T + 0.5
    assert squared_error(found, inputs, outputs, group) <= np.square(cut - outputs).mean() + 1e-6


@pytest.mark.parametrize("group", [1, 2])
def test_groups_that_others_can_stand_in_for_are_pruned_first(group):
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(500, 6 * group))
    inputs[:, 4 * group :] = inputs[:, : 2 * group] @ rng.normal(size=(2 * group, 2 * group))
    old = rng.normal(size=(3, 6 * group))
    outputs = inputs @ old.T
    found = fit(moments(inputs, outputs), old, 4, group)
    assert squared_error(found, inputs, outputs, group) < 1e-3 * outputs.var()
    assert {2, 3} <= set(found.kept)


def test_what_the_tokens_do_not_say_stays_as_it_was():
    old = np.random.default_rng(2).normal(size=(3, 4))
    silent = moments(np.zeros((10, 4)), np.zeros((10, 3)))
    np.testing.assert_allclose(fit(silent, old, 4).weight, old, rtol=1e-5)
