"""The ONNX graph against the plain numpy forward pass."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import tiny
from logits import batch, expected, largest, save
from potstill.bundle.onnx_graph import build_graph
from potstill.bundle.onnx_nodes import Storage
from potstill.bundle.onnx_weights import read_onnx_weights
from potstill.errors import WeightsError
from potstill.runtime.session import OnnxSession
from potstill.text.windows import Batch


@pytest.mark.parametrize(
    "model_type", ["bert", "distilbert", "roberta", "camembert", "electra", "mpnet"]
)
@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_float32(tmp_path, model_type, activation) -> None:
    config = tiny.config(model_type, activation=activation, norm_eps=1e-3)
    weights = tiny.weights(config)
    session = OnnxSession(save(tmp_path / "m.onnx", build_graph(config, weights)))
    for lengths in ((9, 1, 30), (1,), (128,)):
        rows = batch(config, lengths)
        found = session.run(rows)
        assert found[0].dtype == np.float32 and found[0].shape == rows.input_ids.shape
        assert largest(found, expected(config, weights, rows), rows) < 1e-5


def test_inputs_outputs_and_opset() -> None:
    """What transformers.js and other readers rely on."""
    types = ["token_type_ids"]
    for model_type, extra in (
        ("bert", types),
        ("distilbert", []),
        ("roberta", []),
        ("electra", types),
        ("mpnet", []),
    ):
        config = tiny.config(model_type)
        for storage in (Storage(), Storage(dtype=np.float16)):
            model = build_graph(config, tiny.weights(config), storage)
            inputs = {i.name: i.type.tensor_type for i in model.graph.input}
            assert list(inputs) == ["input_ids", "attention_mask", *extra]
            assert {t.elem_type for t in inputs.values()} == {onnx.TensorProto.INT64}
            outputs = {o.name: o.type.tensor_type for o in model.graph.output}
            assert list(outputs) == ["start_logits", "end_logits"]
            assert {t.elem_type for t in outputs.values()} == {onnx.TensorProto.FLOAT}
            for value in (*inputs.values(), *outputs.values()):
                assert [d.dim_param for d in value.shape.dim] == ["batch", "seq"]
            assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]


def test_what_is_masked_changes_nothing(tmp_path) -> None:
    config = tiny.config()
    session = OnnxSession(save(tmp_path / "m.onnx", build_graph(config, tiny.weights(config))))
    rows = batch(config)
    other = Batch(np.where(rows.attention_mask, rows.input_ids, 7), rows.attention_mask,
                  np.where(rows.attention_mask, rows.token_type_ids, 0))  # fmt: skip
    assert largest(session.run(rows), session.run(other), rows) == 0
    for i, length in enumerate((9, 1, 30)):
        part = slice(i, i + 1), slice(0, length)
        alone = Batch(rows.input_ids[part], rows.attention_mask[part], rows.token_type_ids[part])
        for whole, single in zip(session.run(rows), session.run(alone), strict=True):
            np.testing.assert_allclose(whole[part], single, atol=1e-5)


def test_float16_with_large_activations(tmp_path) -> None:
    """Squares of these would overflow float16: norms are computed in float32."""
    config = tiny.config(norm_eps=1e-12)
    weights = tiny.weights(config)
    weights["layers.0.ffn.down.bias"] = np.full(16, 900, np.float32) * np.resize([1, -1], 16)
    model = build_graph(config, weights, Storage(dtype=np.float16))
    rows = batch(config)
    found = OnnxSession(save(tmp_path / "m.onnx", model)).run(rows)
    assert largest(found, expected(config, weights, rows), rows) < 0.1


@pytest.mark.parametrize("model_type", ["bert", "roberta", "camembert", "electra", "mpnet"])
def test_weights_are_read_back(tmp_path, model_type) -> None:
    config = tiny.config(model_type)
    weights = tiny.weights(config)
    exact = read_onnx_weights(save(tmp_path / "a.onnx", build_graph(config, weights)))
    assert exact.keys() == weights.keys()
    assert all(np.array_equal(exact[name], weights[name]) for name in weights)
    half = build_graph(config, weights, Storage(dtype=np.float16))
    for name, value in read_onnx_weights(save(tmp_path / "b.onnx", half)).items():
        np.testing.assert_allclose(value, weights[name], rtol=1e-3, atol=1e-4)


def test_an_onnx_file_of_another_program(tmp_path) -> None:
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    x, y = (onnx.helper.make_tensor_value_info(n, 1, [1]) for n in "xy")
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y]))
    with pytest.raises(WeightsError, match="not written by potstill"):
        read_onnx_weights(save(tmp_path / "m.onnx", model))
