import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny
from potstill.bundle.config import ModelConfig
from potstill.bundle.size import flops_per_token, parameters

SHAPES = st.builds(
    lambda heads, head_width, **rest: ModelConfig(
        n_heads=heads, hidden_width=heads * head_width, **rest
    ),
    heads=st.integers(1, 12),
    head_width=st.integers(1, 64),
    n_layers=st.integers(1, 12),
    ffn_width=st.integers(1, 3072),
    vocab_size=st.integers(1, 50_000),
    n_token_types=st.integers(0, 2),
)


@pytest.mark.parametrize(
    "model_type", ["bert", "distilbert", "roberta", "camembert", "electra", "mpnet"]
)
@pytest.mark.parametrize("head", ["qa", "classification", "tagging", "choice", None])
def test_parameters_are_those_of_the_weights(model_type, head):
    config = tiny.config(model_type, labels=("a", "b", "c"))
    weights = tiny.weights(config, head=head)
    assert parameters(config, head=head) == sum(array.size for array in weights.values())
    tables = ("word", "position", "token_type")
    in_tables = sum(weights[n].size for t in tables if (n := f"embeddings.{t}.weight") in weights)
    layers = parameters(config, head=head, embeddings=False)
    assert parameters(config, head=head) - layers == in_tables


@pytest.mark.parametrize(
    ("shape", "million"),
    [
        # BERT-base is published as 110M: its pooler, which no reader uses, is the rest.
        ({"n_layers": 12, "hidden_width": 768, "ffn_width": 3072}, 108.9),
        ({"n_layers": 6, "hidden_width": 768, "ffn_width": 3072, "n_token_types": 0}, 66.4),
    ],
)
def test_known_models(shape, million):
    assert parameters(ModelConfig(**shape), head="qa") / 1e6 == pytest.approx(million, abs=0.05)


@given(config=SHAPES, seq_len=st.integers(1, 512))
def test_flops_are_two_a_weight_and_two_products_with_every_position(config, seq_len):
    width, ffn = config.hidden_width, config.ffn_width
    products = [(width, width)] * 4 + [(width, ffn), (ffn, width), (width, seq_len)]
    products.append((seq_len, width))
    layer = sum(2 * math.prod(shape) for shape in products)
    assert flops_per_token(config, seq_len, "qa") == config.n_layers * layer + 2 * 2 * width


def test_heads_cost_what_their_weights_do():
    config = tiny.config(labels=("a", "b", "c"))
    width, n = config.hidden_width, 32
    encoder = flops_per_token(config, n, "qa") - 2 * 2 * width
    assert flops_per_token(config, n, "tagging") == encoder + 2 * 3 * width
    assert flops_per_token(config, n, "classification") == encoder + 2 * round(
        (width * width + 3 * width) / n
    )
    vocabulary = config.vocab_size * width
    assert flops_per_token(config, n, "mlm") == encoder + 2 * (width * width + vocabulary)


def test_the_vocabulary_costs_no_arithmetic():
    small, large = tiny.config(vocab_size=10), tiny.config(vocab_size=10_000)
    assert flops_per_token(small, 384, "qa") == flops_per_token(large, 384, "qa")
    assert parameters(small, head="qa", embeddings=False) == parameters(
        large, head="qa", embeddings=False
    )
