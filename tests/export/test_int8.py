from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper

import tiny
from logits import batch, expected, largest, save
from potstill.bundle.onnx_graph import build_graph
from potstill.bundle.onnx_weights import read_onnx_weights
from potstill.export import int8 as export_int8
from potstill.export.int8 import PAIR_LIMIT, int8_storage, round_linear
from potstill.runtime.session import OnnxSession
from potstill.text.windows import Batch


def int8_model(config, weights):
    return build_graph(config, weights, int8_storage(config))


@given(
    arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(-1e4, 1e4, width=32),
    )
)
def test_rounded_weights_stay_in_bounds(weight) -> None:
    q, scale = round_linear(weight)
    size = np.abs(q.astype(np.int32))
    n = len(q) // 2 * 2
    assert (size[0:n:2] + size[1:n:2] <= PAIR_LIMIT).all()
    assert size.max() <= 127
    assert (scale > 0).all()
    top = np.abs(weight).max(axis=0)
    assert (np.abs(q * scale - weight).max(axis=0) <= top / 2 + 1e-6).all()


def test_rounding_is_finer_than_seven_bits() -> None:
    weight = np.random.default_rng(0).normal(size=(384, 64)).astype(np.float32)
    q, scale = round_linear(weight)
    seven = np.abs(weight).max(axis=0) / 64
    error = np.square(q * scale - weight).mean()
    assert error < 0.7 * np.square(np.round(weight / seven) * seven - weight).mean()


def test_the_products_are_exact_on_this_processor(tmp_path) -> None:
    """The largest activations against the largest neighbours: an int16 sum must not saturate."""
    weight = np.array([127, 1, -127, -1, 64, 64, -64, -64] * 8, np.int8)[:, None].repeat(16, 1)
    tokens = np.full((16, 64), 255, np.uint8)
    tokens[::2, ::3] = 0
    x, y = (
        helper.make_tensor_value_info("x", TensorProto.UINT8, tokens.shape),
        helper.make_tensor_value_info("y", TensorProto.INT32, [16, 16]),
    )
    held = helper.make_tensor("w", TensorProto.INT8, weight.shape, weight.tobytes(), raw=True)
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", [x], [y], [held])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    file = save(tmp_path / "m.onnx", model)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": tokens})
    assert np.array_equal(found, tokens.astype(np.int32) @ weight.astype(np.int32))


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta", "electra", "mpnet"])
@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_int8_is_near_and_does_not_depend_on_neighbours(tmp_path, model_type, activation) -> None:
    config = tiny.config(model_type, activation=activation, hidden_width=64, ffn_width=128)
    weights = tiny.weights(config)
    weights = {n: w * (0.3 if w.ndim == 2 else 1) for n, w in weights.items()}
    session = OnnxSession(save(tmp_path / "m.onnx", int8_model(config, weights)))
    rows = batch(config)
    found = session.run(rows)
    wanted = expected(config, weights, rows)
    spread = max(float(np.ptp(part)) for part in wanted)
    assert largest(found, wanted, rows) < 0.05 * spread
    for i, length in enumerate((9, 1, 30)):
        part = slice(i, i + 1), slice(0, length)
        alone = Batch(rows.input_ids[part], rows.attention_mask[part], rows.token_type_ids[part])
        for whole, single in zip(found, session.run(alone), strict=True):
            np.testing.assert_allclose(whole[part], single, atol=1e-4 * spread)


def test_the_float_weights_behind_it(tmp_path) -> None:
    """A float model of the weights read back computes nearly what the int8 file does."""
    config = tiny.config(hidden_width=64, ffn_width=128)
    weights = tiny.weights(config)
    file = save(tmp_path / "m.onnx", int8_model(config, weights))
    found = read_onnx_weights(file)
    assert found.keys() == weights.keys()
    for name, value in found.items():
        assert value.dtype == np.float32 and value.shape == weights[name].shape
        limit = np.abs(weights[name]).max() / 40 if value.ndim == 2 else 0
        assert np.abs(value - weights[name]).max() <= limit, name
    rows = batch(config)
    float_model = OnnxSession(save(tmp_path / "f.onnx", build_graph(config, found)))
    one, other = OnnxSession(file).run(rows), float_model.run(rows)
    assert largest(one, other, rows) < 0.05 * float(np.ptp(other[0]))


def test_it_is_a_quarter_of_the_size() -> None:
    config = tiny.config(hidden_width=128, ffn_width=512)
    weights = tiny.weights(config)
    sizes = [m.ByteSize() for m in (int8_model(config, weights), build_graph(config, weights))]
    assert sizes[0] < 0.4 * sizes[1]  # positions and names weigh more in so small a model


def test_a_column_and_a_token_of_zeros(tmp_path) -> None:
    config = tiny.config()
    weights = tiny.weights(config)
    weights["layers.0.ffn.up.weight"][3] = 0
    weights["embeddings.norm.weight"][:] = 0
    weights["embeddings.norm.bias"][:] = 0
    found = OnnxSession(save(tmp_path / "m.onnx", int8_model(config, weights))).run(batch(config))
    assert np.isfinite(found[0]).all()


@pytest.mark.parametrize("activation", list(export_int8._LEAST))
def test_no_activation_is_below_where_its_range_begins(activation) -> None:
    """Below it values would be cut; far above it levels would be lost."""
    from potstill.models.layers import ACTIVATIONS

    least = float(ACTIVATIONS[activation](torch.linspace(-8, 8, 400_001)).min())
    assert least - 1e-3 < export_int8._LEAST[activation] <= least


def test_every_word_has_its_own_scale(tmp_path) -> None:
    config = tiny.config()
    weights = tiny.weights(config)
    words = weights["embeddings.word.weight"]
    words[5] *= 1000.0
    found = read_onnx_weights(save(tmp_path / "m.onnx", int8_model(config, weights)))
    errors = np.abs(found["embeddings.word.weight"] - words).max(axis=1)
    assert (errors <= np.abs(words).max(axis=1) / 127).all()
