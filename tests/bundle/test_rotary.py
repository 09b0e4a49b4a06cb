"""Options of rotary encoders: either spelling, what cannot be, what students take over."""

import numpy as np
import pytest

import tiny
from potstill.bundle.config import ModelConfig
from potstill.bundle.weights import check_weights, expected_shapes, to_hf
from potstill.compression.student import fresh_config, take_layers
from potstill.errors import ConfigError, RecipeError, WeightsError

OLD = {"model_type": "modernbert", "num_hidden_layers": 4}
FULL, NEAR = "full_attention", "sliding_attention"


@pytest.mark.parametrize(
    ("values", "reaches", "thetas"),
    [
        ({}, [0, 64, 64, 0], [160_000, 10_000, 10_000, 160_000]),
        (
            {"global_attn_every_n_layers": 2, "local_attention": 32, "local_rope_theta": 5.0},
            [0, 16, 0, 16],
            [160_000, 5, 160_000, 5],
        ),
        (
            {
                "layer_types": [NEAR, FULL, FULL, NEAR],
                "rope_parameters": {FULL: {"rope_theta": 7.0, "rope_type": "default"}},
                "global_rope_theta": 9.0,
            },
            [64, 0, 0, 64],
            [10_000, 7, 7, 10_000],
        ),
    ],
)
def test_either_spelling(values, reaches, thetas):
    config = ModelConfig.from_hf({**OLD, **values})
    assert [config.reach_of(i) for i in range(4)] == reaches
    assert [config.theta_of(i) for i in range(4)] == thetas
    assert config.to_hf().items() >= values.items()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"layer_types": [FULL]}, "for each of 4 layers"),
        ({"layer_types": [FULL, NEAR, "chunked", FULL]}, "full_attention or sliding_attention"),
        ({"global_attn_every_n_layers": 0}, "global_attn_every_n_layers must be an integer"),
        ({"local_attention": 1}, "local_attention must be an integer of at least 2, not 1"),
        ({"local_attention": "wide"}, "local_attention must be"),
        ({"rope_scaling": {"type": "yarn"}}, "rope_scaling .* is not supported; only None is"),
        ({"rope_parameters": {FULL: {"rope_type": "yarn"}}}, "rope_type 'yarn' is not supported"),
        ({"rope_parameters": [1]}, "rope_parameters must map"),
        ({"global_rope_theta": -1}, "rope_theta of full_attention must be a number above 1"),
        ({"classifier_pooling": "max"}, "classifier_pooling must be cls or mean, not 'max'"),
        ({"attention_bias": True}, "attention_bias True is not supported; only False is"),
        ({"hidden_activation": "mish"}, "'mish' is not supported"),
    ],
)
def test_what_cannot_be_is_refused_by_name(values, says):
    with pytest.raises(ConfigError, match=says):
        ModelConfig.from_hf({**OLD, **values})


def test_layers_that_are_taken_see_what_they_saw():
    config = tiny.config("modernbert")
    weights = tiny.weights(config)
    smaller, kept = take_layers(config, weights, [1, 3])
    assert [smaller.reach_of(i) for i in range(2)] == [4, 0]
    check_weights(kept, expected_shapes(smaller), where="kept")
    assert kept.keys() == expected_shapes(smaller).keys()
    assert np.array_equal(kept["layers.1.ffn.gate.weight"], weights["layers.3.ffn.gate.weight"])
    with pytest.raises(RecipeError, match="layer 0 of an? modernbert model .* only be first"):
        take_layers(config, weights, [1, 0])
    assert fresh_config(smaller, n_layers=3).reach_of(2) == 4


def test_a_matrix_that_is_held_in_parts_needs_all_of_them():
    config = tiny.config("modernbert")
    weights = tiny.weights(config)
    whole = to_hf(weights, config)["model.layers.1.attn.Wqkv.weight"]
    parts = [weights[f"layers.1.attention.{part}.weight"] for part in ("query", "key", "value")]
    assert np.array_equal(whole, np.concatenate(parts))
    del weights["layers.1.attention.key.weight"]
    with pytest.raises(WeightsError, match="Wqkv.weight is held in 3 parts, and some are missing"):
        to_hf(weights, config)
