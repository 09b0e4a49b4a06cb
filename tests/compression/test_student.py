"""A student's first weights: which layers it takes, and what it then computes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tiny
from potstill.compression.student import (
    MAPS,
    RULES,
    drop_token_types,
    fresh_config,
    map_layers,
    select_layers,
    take_layers,
)
from potstill.errors import RecipeError
from potstill.models.qa import QuestionAnsweringModel


def test_distilberts_own_layers():
    assert select_layers("uniform", 12, 6) == [0, 2, 4, 7, 9, 11]
    assert select_layers("skip", 12, 6) == [0, 2, 4, 6, 8, 10]
    assert select_layers("skip", 6, 3) == [0, 2, 4]
    assert select_layers("first", 6, 2) == [0, 1]
    assert select_layers("last", 6, 2) == [4, 5]
    assert select_layers([5, 0], 6, 0) == [5, 0]


@given(st.sampled_from(RULES), st.integers(1, 48), st.data())
def test_chosen_layers_exist_and_are_in_order(rule, n_from, data):
    n = data.draw(st.integers(1, n_from))
    chosen = select_layers(rule, n_from, n)
    assert len(chosen) == n
    assert sorted(set(chosen)) == chosen
    assert 0 <= chosen[0] and chosen[-1] < n_from


def test_maps_by_name():
    assert map_layers("uniform", 12, 5) == [1, 4, 6, 9, 11]
    assert map_layers("skip", 12, 5) == [1, 3, 5, 7, 9]
    assert map_layers("last", 12, 5) == [7, 8, 9, 10, 11]
    assert map_layers([-1, 3], 4, 2) == [-1, 3]


@given(st.sampled_from(MAPS), st.integers(1, 48), st.data())
def test_mapped_layers_exist_and_rise(rule, n_teacher, data):
    n = data.draw(st.integers(1, n_teacher))
    mapped = map_layers(rule, n_teacher, n)
    assert len(mapped) == n
    assert sorted(set(mapped)) == mapped
    assert 0 <= mapped[0] and mapped[-1] < n_teacher
    if rule != "skip":
        assert mapped[-1] == n_teacher - 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: select_layers("odd", 6, 3), "layers must be one of uniform, first"),
        (lambda: select_layers("uniform", 6, 7), "n_layers 7 is more than the 6 layers"),
        (lambda: select_layers([0, 6], 6, 0), "layers names layer 6, but there are only 0 to 5"),
        (lambda: select_layers([-1], 6, 0), "layers names layer -1"),
        (lambda: select_layers([0, 1], 6, 3), "layers names 2 layers, but n_layers is 3"),
        (lambda: select_layers([], 6, 0), "layers is an empty list"),
        (lambda: map_layers("odd", 6, 3), "layer_map must be one of uniform, last, skip"),
        (lambda: map_layers("last", 2, 3), "needs a teacher of at least 3 layers, not of 2"),
        (lambda: map_layers([0], 6, 2), "layer_map has 1 numbers for a student of 2 layers"),
        (lambda: map_layers([0, 6], 6, 2), "layer_map names layer 6"),
        (lambda: fresh_config(tiny.config(), hidden_width=15), "is not a multiple of n_heads"),
    ],
)
def test_layers_that_are_not_there_are_refused(call, message):
    with pytest.raises(RecipeError, match=message):
        call()


def test_a_student_of_some_layers_computes_those_layers():
    config = tiny.config(n_layers=3)
    weights = tiny.weights(config)
    small, taken = take_layers(config, weights, [2, 0])
    teacher, student = QuestionAnsweringModel(config), QuestionAnsweringModel(small)
    teacher.load_weights(weights)
    student.load_weights(taken)
    teacher.eval(), student.eval()
    ids = torch.arange(5)[None]
    hidden = teacher.encoder.embeddings(ids, None)
    for number in (2, 0):
        hidden = teacher.encoder.layers[number](hidden, None)
    torch.testing.assert_close(student.encoder(ids)[-1], hidden)


def test_dropping_token_types_changes_nothing_on_rows_of_one_type():
    config = tiny.config(n_layers=1)
    weights = tiny.weights(config)
    smaller, kept = drop_token_types(config, weights)
    assert smaller.model_type == "distilbert"
    assert "embeddings.token_type.weight" not in kept
    models = QuestionAnsweringModel(config), QuestionAnsweringModel(smaller)
    models[0].load_weights(weights)
    models[1].load_weights(kept)
    ids = torch.arange(7)[None]
    before, after = (model.eval()(ids).start_logits for model in models)
    torch.testing.assert_close(before, after, atol=1e-5, rtol=1e-5)
    assert np.array_equal(weights["embeddings.word.weight"], kept["embeddings.word.weight"])
