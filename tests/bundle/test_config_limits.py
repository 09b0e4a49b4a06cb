"""Configs of strangers: read where that is one line, else a typed line before anything is made."""

import json
import time

import pytest

import tiny
from potstill.bundle.config import ModelConfig, read_config
from potstill.errors import ConfigError, PotstillError
from potstill.evaluation.describe import describe_model

SMALL = {
    "model_type": "bert", "vocab_size": 132, "hidden_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64,
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("num_hidden_layers", 10**7, "n_layers must be at most 1,000"),
        ("num_hidden_layers", 10**30, "n_layers must be at most 1,000"),
        ("hidden_size", 10**9, "hidden_width must be at most"),
        ("num_attention_heads", 10**9, "n_heads must be at most"),
        ("intermediate_size", 10**12, "ffn_width must be at most"),
        ("vocab_size", 10**12, "vocab_size must be at most"),
        ("max_position_embeddings", 10**12, "max_positions must be at most"),
        ("type_vocab_size", 10**12, "n_token_types must be at most"),
        ("type_vocab_size", 0, "n_token_types must be an integer of at least 1"),
        ("is_decoder", True, "is_decoder True is not supported"),
        ("num_labels", 10**9, "num_labels must be a number of labels"),
        ("layer_norm_eps", "1e-12", "norm_eps must be a number"),
        ("layer_norm_eps", -1.0, "norm_eps must be between"),
        ("layer_norm_eps", float("nan"), "norm_eps must be between"),
        ("initializer_range", [], "initializer_range must be a number"),
        ("architectures", 5, "architectures must be a list of names"),
        ("architectures", [5], "architectures must be a list of names"),
        ("model_type", ["bert"], "is not supported"),
        ("problem_type", ["x"], "is not supported"),
        ("hidden_act", ["gelu"], "is not supported"),
        ("hidden_act", "mish", "'mish' is not supported"),
        ("position_embedding_type", "relative_key", "'relative_key' is not supported"),
    ],
)
def test_what_cannot_be_is_refused_at_once(tmp_path, key, value, says):
    (tmp_path / "config.json").write_text(json.dumps({**SMALL, key: value}))
    began = time.monotonic()
    for read in (read_config, describe_model):
        with pytest.raises(ConfigError, match="config") as caught:
            read(tmp_path)
        assert says in str(caught.value) and len(str(caught.value)) < 300 + len(str(tmp_path))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[]", "7", "\ud800", ""])
@pytest.mark.parametrize("name", ["config.json", "potstill.json", "tokenizer_config.json"])
def test_files_that_are_no_objects(tmp_path, name, text):
    tiny.write_model(tmp_path)
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    from potstill.runtime.qa import QAClient

    with pytest.raises(PotstillError, match=name):
        QAClient.from_options(tmp_path)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("gelu_python", "gelu"), ("gelu_pytorch_tanh", "gelu_new"), ("gelu_fast", "gelu_new")],
)
def test_activations_under_other_names(theirs, ours):
    import torch
    from transformers.activations import ACT2FN

    assert ModelConfig.from_hf({**SMALL, "hidden_act": theirs}).activation == ours
    x = torch.linspace(-5, 5, 201)
    torch.testing.assert_close(ACT2FN[theirs](x), ACT2FN[ours](x), atol=1e-6, rtol=0)


def test_gaps_among_labels_that_no_head_has():
    gaps = {**SMALL, "id2label": {"0": "a", "5": "b"}}
    assert ModelConfig.from_hf({**gaps, "architectures": ["BertForQuestionAnswering"]}).labels == ()
    with pytest.raises(ConfigError, match="number its labels from 0 on"):
        ModelConfig.from_hf({**gaps, "architectures": ["BertForTokenClassification"]})


def test_weights_of_torch_in_several_files(tmp_path):
    import numpy as np
    import torch

    from potstill.bundle.names import to_hf
    from potstill.bundle.weights import read_weights

    folder = tiny.write_model(tmp_path / "m")
    config = read_config(folder)
    whole = read_weights(folder, config)
    (folder / "model.safetensors").unlink()
    named = {to_hf("bert", name): torch.from_numpy(array) for name, array in whole.items()}
    files = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")
    where = {name: files[i % 2] for i, name in enumerate(named)}
    for file in files:
        torch.save({n: t for n, t in named.items() if where[n] == file}, folder / file)
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    found = read_weights(folder, config)
    assert found.keys() == whole.keys()
    assert all(np.array_equal(found[name], whole[name]) for name in whole)
    (folder / files[0]).unlink()
    with pytest.raises(PotstillError, match="lacks pytorch_model-00001-of-00002.bin"):
        read_weights(folder, config)


def test_names_in_a_graph_that_are_no_text(tmp_path):
    from onnx import TensorProto, helper

    from potstill.errors import ModelError
    from potstill.runtime.session import OnnxSession

    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [None, None])
    out = helper.make_tensor_value_info("logits", TensorProto.INT64, [None, None])
    node = helper.make_node("Identity", ["qqqqqq"], ["logits"], name="node")
    model = helper.make_model(helper.make_graph([node], "g", [ids], [out]))
    data = model.SerializeToString().replace(b"qqqqqq", b"\xfa\xfb\xfc\xfd\xfe\xff")
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="damaged or not an ONNX model"):
        OnnxSession(tmp_path / "model.onnx")
