"""Pruned models compute what the full ones do with the removed heads and neurons silenced."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tiny
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.onnx_graph import build_graph
from potstill.bundle.size import flops_per_token, parameters
from potstill.bundle.weights import check_weights, expected_shapes, read_weights
from potstill.compression.prune import Importance, KeptParts, choose, magnitude, prune
from potstill.compression.student import fresh_config, take_layers
from potstill.errors import ConfigError, RecipeError
from potstill.export.bundle import export_bundle
from potstill.export.reference import forward
from potstill.export.verify import inputs
from potstill.models.qa import QuestionAnsweringModel
from potstill.runtime.session import OnnxSession

TYPES = ("bert", "distilbert", "roberta", "electra")
UNIFORM = KeptParts([[0, 2], [1, 3]], [[0, 5, 9, 30], [1, 2, 3, 31]])
RAGGED = KeptParts([[3], [0, 1, 2]], [list(range(0, 32, 3)), [7]])


def full(model_type="bert"):
    config = tiny.config(model_type, n_heads=4)
    return config, tiny.weights(config)


def silenced(config: ModelConfig, weights, kept: KeptParts):
    """The full model with what is not kept multiplied by 0."""
    weights = dict(weights)
    for i, (heads, neurons) in enumerate(zip(kept.heads, kept.neurons, strict=True)):
        gone = np.repeat(~np.isin(np.arange(config.n_heads), heads), config.head_width)
        for name, mask in (
            (f"layers.{i}.attention.output.weight", gone),
            (f"layers.{i}.ffn.down.weight", ~np.isin(np.arange(config.ffn_width), neurons)),
        ):
            weights[name] = np.where(mask, 0, weights[name])
    return weights


@pytest.mark.parametrize("kept", [UNIFORM, RAGGED], ids=["uniform", "ragged"])
@pytest.mark.parametrize("model_type", TYPES)
def test_a_pruned_model_is_the_full_one_with_parts_silenced(model_type, kept):
    config, weights = full(model_type)
    small, pruned = prune(config, weights, kept)
    check_weights(pruned, expected_shapes(small), where="pruned")
    models = []
    for shape, values in ((config, silenced(config, weights, kept)), (small, pruned)):
        model = QuestionAnsweringModel(shape)
        model.load_weights(values)
        models.append(model.eval())
    for batch in inputs(config):
        arrays = batch.input_ids, batch.attention_mask, batch.token_type_ids
        with torch.no_grad():
            wanted, found = (model(*map(torch.from_numpy, arrays)) for model in models)
        seen = torch.from_numpy(batch.attention_mask).bool()
        for name in ("start_logits", "end_logits"):
            torch.testing.assert_close(
                getattr(found, name)[seen], getattr(wanted, name)[seen], atol=1e-5, rtol=0
            )
        plain = forward(small, pruned, *arrays)
        torch.testing.assert_close(
            torch.from_numpy(plain[0]).float()[seen], wanted.start_logits[seen], atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("kept", [UNIFORM, RAGGED], ids=["uniform", "ragged"])
@pytest.mark.parametrize("model_type", TYPES)
def test_the_onnx_graph_of_a_pruned_model(model_type, kept, tmp_path):
    config, pruned = prune(*full(model_type), kept)
    file = tmp_path / "model.onnx"
    file.write_bytes(build_graph(config, pruned).SerializeToString())
    session = OnnxSession(file)
    for batch in inputs(config):
        wanted = forward(
            config, pruned, batch.input_ids, batch.attention_mask, batch.token_type_ids
        )
        seen = batch.attention_mask == 1
        for found, logits in zip(session.run(batch), wanted, strict=True):
            np.testing.assert_allclose(found[seen], logits[seen], atol=1e-5)


@pytest.mark.parametrize("kept", [UNIFORM, RAGGED], ids=["uniform", "ragged"])
def test_a_pruned_folder_round_trips_and_exports(kept, tmp_path):
    config, pruned = prune(*full(), kept)
    model = QuestionAnsweringModel(config)
    model.load_weights(pruned)
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    tiny.write_tokenizer(folder)
    again = read_config(folder)
    assert (again.layer_heads, again.layer_ffn) == (config.layer_heads, config.layer_ffn)
    assert again.ffn_width == config.ffn_width
    read = read_weights(folder, again)
    assert all(np.array_equal(read[name], pruned[name]) for name in pruned)
    manifest = export_bundle(folder, tmp_path / "out", ["hf", "onnx", "int8"])  # each is verified
    assert manifest.files["onnx/model.onnx"].max_abs_diff < 1e-5
    assert read_config(tmp_path / "out") == again
    only = tmp_path / "only"
    export_bundle(folder, only, ["int8"])
    back = read_weights(only, read_config(only))  # int8 weights alone are weights too
    assert {n: w.shape for n, w in back.items()} == {n: w.shape for n, w in pruned.items()}


def test_pruned_sizes_are_those_of_the_weights():
    config, weights = full()
    for kept in (UNIFORM, RAGGED):
        small, pruned = prune(config, weights, kept)
        assert parameters(small, head="qa") == sum(w.size for w in pruned.values())
        assert flops_per_token(small, 64, "qa") < flops_per_token(config, 64, "qa")
    even = ModelConfig(hidden_width=16, n_layers=2, n_heads=4, ffn_width=32)
    half = even.with_layer_shapes([2, 2], [16, 16])
    head = 2 * 2 * 16
    assert flops_per_token(half, 64, "qa") - head == (flops_per_token(even, 64, "qa") - head) / 2


def test_narrow_everywhere_is_hugging_faces_own_field():
    config, weights = full()
    small, _ = prune(config, weights, KeptParts([[0, 1, 2, 3]] * 2, [[0, 1]] * 2))
    values = small.to_hf()
    assert values["intermediate_size"] == 2
    assert "pruned_heads" not in values and "intermediate_sizes" not in values


def test_pruned_layers_of_a_pruned_model():
    config, weights = prune(*full(), RAGGED)
    last, own = take_layers(config, weights, [1])
    assert (last.heads_of(0), last.ffn_of(0)) == (3, 1)
    check_weights(own, expected_shapes(last), where="the last layer")
    twice, own = prune(config, weights, KeptParts([[0], [2]], [[0], [0]]))
    assert twice.layer_heads == (1, 1)
    check_weights(own, expected_shapes(twice), where="pruned twice")
    assert fresh_config(config).layer_heads == config.layer_heads
    assert fresh_config(config, n_layers=1).layer_heads == ()


def test_what_is_worth_most_is_kept_by_pruning():
    worth = Importance(
        [np.array([1.0, 4, 3, 2]), np.array([9.0, 1, 1, 1])],
        [np.arange(8.0), np.arange(8.0)[::-1] * 10],
    )
    kept = choose(worth, 2, 0.25)
    assert kept == KeptParts([[1, 2], [0, 1]], [[6, 7], [0, 1]])
    assert choose(worth, [1, 3], [2, 1]) == KeptParts([[1], [0, 1, 2]], [[6, 7], [0]])
    assert choose(worth, 0, 0).heads == [[0, 1, 2, 3]] * 2
    ragged = choose(worth, 0, 2, ragged=True)
    assert ragged.neurons == [[7], [0, 1, 2]]  # as many in all, one in each at least


@given(st.integers(1, 5), st.integers(1, 12), st.data())
def test_pruned_counts_are_kept(n_layers, width, data):
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    worth = Importance(*([random.random(width) for _ in range(n_layers)] for _ in range(2)))
    n, ragged = data.draw(st.integers(1, width)), data.draw(st.booleans())
    kept = choose(worth, n, n, ragged=ragged)
    for parts in (kept.heads, kept.neurons):
        assert sum(map(len, parts)) == n * n_layers
        assert all(own and own == sorted(set(own)) and own[-1] < width for own in parts)


def test_magnitude_prunes_what_weighs_nothing():
    config, weights = full()
    for name in ("layers.0.attention.value.weight", "layers.1.ffn.up.weight"):
        weights[name] = weights[name].copy()
    weights["layers.0.attention.value.weight"][4:8] = 0  # head 1
    weights["layers.1.ffn.up.weight"][5] = 0
    kept = choose(magnitude(config, weights), 3, 31)
    assert 1 not in kept.heads[0]
    assert 5 not in kept.neurons[1]


@pytest.mark.parametrize(
    ("heads", "ffn", "message"),
    [
        (5, 0, "prune_heads keeps 5 heads of layer 0, which has 4: name a number from 1 to 4"),
        (2.5, 0, "prune_heads=2.5 is neither a whole number nor a share"),
        ([1], 0, "prune_heads has 1 numbers for 2 layers"),
        (0, [1, 0], "prune_ffn keeps 0 neurons of layer 1"),
    ],
)
def test_numbers_that_cannot_be_pruned_to(heads, ffn, message):
    with pytest.raises(RecipeError, match=message):
        choose(magnitude(*full()), heads, ffn)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pruned_heads": {"2": [0]}}, r"heads \[0\] of layer 2, but there are 2 layers of 4"),
        ({"pruned_heads": {"0": [4]}}, "but there are 2 layers of 4 heads"),
        ({"pruned_heads": {"1": [0, 1, 2, 3]}}, "leaves layer 1 without a head"),
        ({"pruned_heads": {"x": []}}, "must map the number of each layer"),
        ({"pruned_heads": [1]}, "must map the number of each layer"),
        ({"intermediate_sizes": [4]}, "a width of at least 1 for each of the 2 layers"),
        ({"intermediate_sizes": [4, 0]}, "a width of at least 1"),
        ({"intermediate_sizes": 7}, "a width of at least 1"),
    ],
)
def test_pruned_configs_that_cannot_be(values, message, tmp_path):
    config, _ = full()
    (tmp_path / "config.json").write_text(json.dumps({**config.to_hf(), **values}))
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path)


def test_pruned_heads_that_name_nothing_change_nothing():
    config, _ = full()
    assert ModelConfig.from_hf({**config.to_hf(), "pruned_heads": {}}) == config
