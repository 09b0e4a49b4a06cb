"""Int8 with fixed scales: near the float model, whatever shares the batch, gated like any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import tiny
from logits import batch, expected, largest
from potstill.bundle.config import read_config
from potstill.bundle.onnx_graph import build_graph
from potstill.bundle.onnx_weights import read_onnx_weights
from potstill.bundle.weights import read_weights
from potstill.cli import main
from potstill.errors import DataError, GateError, InputError
from potstill.export.bundle import export_bundle
from potstill.export.gate import Gate
from potstill.export.static_int8 import calibrate, calibration_windows, static_storage
from potstill.export.verify import check_bundle
from potstill.runtime.qa import QAClient
from potstill.runtime.session import OnnxSession
from potstill.text.windows import Batch


def outlying(model_type="bert", **options):
    """A model one channel of which is far larger than the rest, as MiniLM's are."""
    config = tiny.config(model_type, hidden_width=64, ffn_width=128, **options)
    weights = {n: w * (0.3 if w.ndim == 2 else 1) for n, w in tiny.weights(config).items()}
    weights["layers.0.ffn_norm.weight"][5] *= 40
    return config, weights


def written(tmp_path, config, weights, batches):
    calibration = calibrate(config, weights, "qa", batches)
    file = tmp_path / "static.onnx"
    storage = static_storage(config, weights, calibration)
    file.write_bytes(build_graph(config, weights, storage).SerializeToString())
    return file


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta", "electra", "mpnet"])
def test_batch_invariance_of_fixed_scales(tmp_path, model_type):
    config, weights = outlying(model_type)
    rows = batch(config)
    session = OnnxSession(written(tmp_path, config, weights, [rows]))
    found, wanted = session.run(rows), expected(config, weights, rows)
    spread = max(float(np.ptp(part)) for part in wanted)
    assert largest(found, wanted, rows) < 0.05 * spread
    for i, length in enumerate((9, 1, 30)):
        part = slice(i, i + 1), slice(0, length)
        alone = Batch(rows.input_ids[part], rows.attention_mask[part], rows.token_type_ids[part])
        for whole, single in zip(found, session.run(alone), strict=True):
            np.testing.assert_allclose(whole[part], single, atol=1e-4 * spread)


def test_the_products_are_integers(tmp_path):
    """Every linear layer multiplies what was rounded, by weights that no pair of can overflow."""
    config, weights = outlying()
    file = written(tmp_path, config, weights, [batch(config)])
    graph = onnx.load(file).graph
    made = {out: node for node in graph.node for out in node.output}
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for part in ("attention.query", "attention.value", "attention.output", "ffn.up"):
        q = stored[f"layers.1.{part}.weight.int8"].astype(int)
        assert q.dtype == int and np.abs(q).max() <= 127
        assert (np.abs(q[0::2]) + np.abs(q[1::2])).max() <= 128
    products = [
        node for node in graph.node
        if node.op_type == "MatMul"
        and all(made.get(x) and made[x].op_type == "DequantizeLinear" for x in node.input)
    ]  # fmt: skip
    assert len(products) == 5 * config.n_layers
    assert sum(node.op_type == "MatMulInteger" for node in graph.node) == config.n_layers


def test_smoothing_is_undone_when_weights_are_read_back(tmp_path):
    config, weights = outlying()
    found = read_onnx_weights(written(tmp_path, config, weights, [batch(config)]))
    assert found.keys() == weights.keys()
    rows = batch(config)
    file = tmp_path / "float.onnx"
    file.write_bytes(build_graph(config, found).SerializeToString())
    wanted = expected(config, weights, rows)
    assert largest(OnnxSession(file).run(rows), wanted, rows) < 0.05 * float(np.ptp(wanted[0]))


def test_smoothing_beats_one_scale_alone(tmp_path, monkeypatch):
    config, weights = outlying()
    rows = batch(config)
    wanted = expected(config, weights, rows)
    with_it = OnnxSession(written(tmp_path, config, weights, [rows])).run(rows)
    monkeypatch.setattr(
        "potstill.export.static_int8._smoothing",
        lambda name, weights, _: np.ones(weights[f"{name}.weight"].shape[1], np.float32),
    )
    without = OnnxSession(written(tmp_path, config, weights, [rows])).run(rows)

    def error(found):
        return float(np.mean([np.abs(a - b).mean() for a, b in zip(found, wanted, strict=True)]))

    assert error(with_it) < 0.7 * error(without)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.write_model(tmp_path_factory.mktemp("m") / "model", hidden_width=64, ffn_width=128)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_squad(tmp_path_factory.mktemp("d") / "train.json", copies=3)


def test_a_folder_with_fixed_scales(model, data, tmp_path):
    out = tmp_path / "out"
    manifest = export_bundle(model, out, ["int8-static"], calibrate=data)
    record = manifest.files["onnx/model_quantized.onnx"]
    assert record.kind == "onnx-int8" and "fixed scales" in record.info["scheme"]
    assert record.info["calibration"] == {"data": "train.json", "windows": 12}
    assert any("replayed within" in line for line in check_bundle(out))
    text, question, _ = tiny.SENTENCES[0]
    assert QAClient.from_options(out).predict(question, text) is not None
    again = read_weights(out, read_config(out))  # one int8 file is a float model too
    assert again.keys() == read_weights(model, read_config(model)).keys()
    copied = tmp_path / "copied"
    export_bundle(out, copied, ["int8"])  # as it is: it is not rounded twice
    name = "onnx/model_quantized.onnx"
    assert (copied / name).read_bytes() == (out / name).read_bytes()


def test_the_gate_refuses_fixed_scales_that_lose_too_much(model, data, tmp_path):
    gate = Gate.from_file(data, model=model)
    scores = iter([{"f1": 80.0, "exact": 70.0}, {"f1": 79.0, "exact": 70.0}])
    gate = replace(gate, measure=lambda *_: next(scores))
    with pytest.raises(GateError, match="would lose 1.00 F1"):
        export_bundle(model, tmp_path / "out", ["int8-static"], calibrate=data, gate=gate)
    assert not (tmp_path / "out").exists()


def test_calibration_is_a_fixed_draw(model, data):
    one, other = (calibration_windows(data, model, "qa", 64) for _ in range(2))
    assert len(one) == 12
    assert all(np.array_equal(a.input_ids, b.input_ids) for a, b in zip(one, other, strict=True))


def test_bad_calls(model, data, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="go together"):
        export_bundle(model, out, ["int8-static"])
    with pytest.raises(InputError, match="go together"):
        export_bundle(model, out, ["int8"], calibrate=data)
    with pytest.raises(InputError, match="are one file"):
        export_bundle(model, out, ["int8", "int8-static"], calibrate=data)
    with pytest.raises(DataError):
        export_bundle(model, out, ["int8-static"], calibrate=tmp_path / "nothing.json")
    tagger = tiny.write_model(tmp_path / "t", head="tagging", labels=("a", "b", "c"))
    with pytest.raises(InputError, match="for question answering alone: use int8"):
        export_bundle(tagger, out, ["int8-static"], calibrate=data)
    assert not out.exists()


def test_the_command(model, data, tmp_path):
    arguments = ["export", str(model), str(tmp_path / "out"), "--format", "int8-static"]
    result = CliRunner().invoke(main, [*arguments, "--calibrate", str(data)])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "onnx" / "model_quantized.onnx").is_file()
    assert CliRunner().invoke(main, arguments).exit_code == 1
