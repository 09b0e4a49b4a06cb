from __future__ import annotations

import builtins
import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tiny
from potstill.bundle.config import read_config
from potstill.bundle.onnx_graph import build_graph
from potstill.bundle.weights import read_weights, weights_file, write_weights
from potstill.errors import MissingExtraError, OutputError, WeightsError


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta", "electra", "mpnet"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_is_written_is_read_back(tmp_path, model_type, dtype) -> None:
    config = tiny.config(model_type)
    weights = {name: w.astype(dtype) for name, w in tiny.weights(config).items()}
    write_weights(tmp_path / "model.safetensors", weights, config)
    found = read_weights(tmp_path, config)
    assert same(found, weights)
    assert {w.dtype for w in found.values()} == {np.dtype(dtype)}
    names = load_file(tmp_path / "model.safetensors").keys()
    assert "qa_outputs.weight" in names
    assert f"{model_type}.embeddings.word_embeddings.weight" in names


def test_matrices_that_lie_below_each_other_come_back_apart(tmp_path) -> None:
    config = tiny.config("modernbert")
    weights = tiny.weights(config)
    write_weights(tmp_path / "model.safetensors", weights, config)
    assert same(read_weights(tmp_path, config), weights)
    names = ("query", "key", "value")
    below = np.concatenate([weights[f"layers.0.attention.{name}.weight"] for name in names])
    stored = load_file(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(stored["model.layers.0.attn.Wqkv.weight"], below)


def test_a_transposed_view_is_written_as_it_looks(tmp_path) -> None:
    config = tiny.config()
    weights = tiny.weights(config)
    name = "layers.0.ffn.up.weight"
    view = {**weights, name: np.asfortranarray(weights[name])}
    write_weights(tmp_path / "model.safetensors", view, config)
    assert same(read_weights(tmp_path, config), weights)


def test_a_bare_encoder_with_other_tensors_beside(tmp_path) -> None:
    """As sentence-transformers publishes MiniLM: no prefix, position_ids, a pooler, gamma/beta."""
    folder = tiny.write_model(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    bare = {k.removeprefix("bert."): v for k, v in tensors.items() if "qa_outputs" not in k}
    bare = {
        k.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): v
        for k, v in bare.items()
    }
    bare["embeddings.position_ids"] = np.arange(128, dtype=np.int64)[None]
    bare["pooler.dense.weight"] = np.ones((3, 3), np.float32)
    save_file(bare, folder / "model.safetensors")
    config = read_config(folder)
    found = read_weights(folder, config, require_head=False)
    assert same(found, tiny.weights(config, head=False) | found) and "qa_head.weight" not in found
    with pytest.raises(WeightsError, match="no question-answering head"):
        read_weights(folder, config)


def test_shards(tmp_path) -> None:
    folder = tiny.write_model(tmp_path / "model")
    config, tensors = read_config(folder), load_file(folder / "model.safetensors")
    whole = read_weights(folder, config)
    (folder / "model.safetensors").unlink()
    where = {}
    for i in range(2):
        file = f"model-0000{i + 1}-of-00002.safetensors"
        part = {k: v for j, (k, v) in enumerate(tensors.items()) if j % 2 == i}
        save_file(part, folder / file)
        where |= dict.fromkeys(part, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": where}))
    assert same(read_weights(folder, config), whole)
    (folder / file).unlink()
    with pytest.raises(WeightsError, match="lacks model-00002-of-00002"):
        read_weights(folder, config)
    save_file(tensors, tmp_path / "x.safetensors")
    index.write_text(json.dumps({"weight_map": dict.fromkeys(tensors, "../x.safetensors")}))
    with pytest.raises(WeightsError, match="is not a file of its folder"):
        read_weights(folder, config)
    for wrong in ("{", "[]", '{"weight_map": {"a": 5}}', '{"weight_map": 3}'):
        index.write_text(wrong)
        with pytest.raises(WeightsError, match="index"):
            read_weights(folder, config)


def test_bfloat16_is_widened(tmp_path) -> None:
    import torch
    from safetensors.torch import save_file as save_torch

    folder = tiny.write_model(tmp_path / "model")
    config = read_config(folder)
    tensors = load_file(folder / "model.safetensors")
    half = {k: torch.from_numpy(v).bfloat16() for k, v in tensors.items()}
    exact = {k: v.float().numpy() for k, v in half.items()}
    save_torch(half, folder / "model.safetensors")
    found = read_weights(folder, config)
    assert found["qa_head.weight"].dtype == np.float32
    assert np.array_equal(found["qa_head.weight"], exact["qa_outputs.weight"])
    (folder / "model.safetensors").unlink()
    torch.save(half, folder / "pytorch_model.bin")
    assert same(read_weights(folder, config), found)


def test_torch_weights(tmp_path, monkeypatch) -> None:
    import torch

    folder = tiny.write_model(tmp_path / "model")
    config = read_config(folder)
    whole, tensors = read_weights(folder, config), load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    file = folder / "pytorch_model.bin"
    torch.save({k: torch.from_numpy(v) for k, v in tensors.items()}, file)
    assert same(read_weights(folder, config), whole)

    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match="truncated"):
        read_weights(folder, config)
    torch.save([1, 2], file)
    with pytest.raises(WeightsError, match="holds a list"):
        read_weights(folder, config)

    real = builtins.__import__

    def no_torch(name: str, *args: object, **kwargs: object) -> object:
        if name == "torch":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_torch)
    with pytest.raises(MissingExtraError, match=r"export .* --format hf.*potstill\[train\]"):
        read_weights(folder, config)


def test_nothing_is_unpickled(tmp_path) -> None:
    import torch

    class Evil:
        def __reduce__(self) -> object:
            return (open, (str(tmp_path / "evil"), "w"))

    torch.save({"a": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError):
        read_weights(tmp_path, tiny.config())
    assert not (tmp_path / "evil").exists()


def test_a_truncated_file(tmp_path) -> None:
    folder = tiny.write_model(tmp_path / "model")
    file = folder / "model.safetensors"
    data = file.read_bytes()
    for size in (len(data) - 1, len(data) // 2, 100, 5, 0):
        file.write_bytes(data[:size])
        with pytest.raises(WeightsError, match="truncated") as caught:
            read_weights(folder, read_config(folder))
        assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_the_config(tmp_path) -> None:
    folder = tiny.write_model(tmp_path / "model")
    config = read_config(folder)
    with pytest.raises(WeightsError, match=r"ffn.up.weight has shape 32×16.*asks for 64×16"):
        read_weights(folder, replace(config, ffn_width=64))
    lacks = "lacks the weight layers.2.attention.query.weight and 15 more that"
    with pytest.raises(WeightsError, match=lacks):
        read_weights(folder, replace(config, n_layers=3))
    tensors = load_file(folder / "model.safetensors")
    turned = {**tensors, "qa_outputs.weight": tensors["qa_outputs.weight"].T.copy()}
    save_file(turned, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"qa_head.weight has shape 16×2"):
        read_weights(folder, config)
    tensors["qa_outputs.bias"] = np.zeros(2, np.int64)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="qa_head.bias holds int64"):
        read_weights(folder, config)


def test_a_head_for_other_labels_is_left_out_where_it_may_lack(tmp_path) -> None:
    three = tiny.write_model(tmp_path / "3", head="classification", labels=("a", "b", "c"))
    two = read_config(tiny.write_model(tmp_path / "2", head="classification", labels=("a", "b")))
    with pytest.raises(WeightsError, match="has shape 3×"):
        read_weights(three, two, head="classification")
    found = read_weights(three, two, head="classification", require_head=False)
    whole = read_weights(three, read_config(three), head="classification")
    assert {name for name in whole if name not in found} == {
        name for name, array in whole.items() if array.shape[0] == 3
    }
    few = tmp_path / "2"
    found = read_weights(few, read_config(three), head="classification", require_head=False)
    assert {name for name in whole if name not in found} == {
        name for name, array in whole.items() if array.shape[0] == 3
    }


def test_one_weight_that_lacks_is_named_alone(tmp_path) -> None:
    folder = tiny.write_model(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    del tensors["bert.embeddings.LayerNorm.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(WeightsError, match=r"lacks the weight embeddings.norm.bias that its"):
        read_weights(folder, read_config(folder))


def test_the_exactest_file_is_read(tmp_path) -> None:
    every = ["onnx/model_quantized.onnx", "onnx/model_fp16.onnx", "onnx/model.onnx"]
    every += ["pytorch_model.bin.index.json", "pytorch_model.bin"]
    every += ["model.safetensors.index.json", "model.safetensors"]
    (tmp_path / "onnx").mkdir()
    for name in every:  # each new one is preferred to those before it
        (tmp_path / name).write_bytes(b"")
        assert weights_file(tmp_path) == tmp_path / name


def test_a_decoder_of_its_own_is_refused(tmp_path) -> None:
    folder = tiny.write_model(tmp_path / "model", head="mlm")
    config, tensors = read_config(folder), load_file(folder / "model.safetensors")
    tied = tensors["bert.embeddings.word_embeddings.weight"]
    save_file({**tensors, "cls.predictions.decoder.weight": tied}, folder / "model.safetensors")
    assert read_weights(folder, config, head="mlm")
    own = {**tensors, "cls.predictions.decoder.weight": tied + 1}
    save_file(own, folder / "model.safetensors")
    with pytest.raises(WeightsError, match="a masked-LM decoder of its own"):
        read_weights(folder, config, head="mlm")


def test_no_weights_at_all(tmp_path) -> None:
    with pytest.raises(WeightsError, match="has no weights"):
        read_weights(tmp_path, tiny.config())


def test_weights_of_an_onnx_file_alone(tmp_path) -> None:
    config = tiny.config("distilbert")
    weights = tiny.weights(config)
    (tmp_path / "onnx").mkdir()
    file = tmp_path / "onnx" / "model.onnx"
    file.write_bytes(build_graph(config, weights).SerializeToString())
    assert same(read_weights(tmp_path, config), weights)
    data = file.read_bytes()
    for wrong in (data[: len(data) // 2], b"not onnx", b""):
        file.write_bytes(wrong)
        with pytest.raises(WeightsError):
            read_weights(tmp_path, config)


def test_names_and_folders_that_cannot_be_written(tmp_path) -> None:
    config = tiny.config("distilbert")
    with pytest.raises(WeightsError, match="embeddings.token_type.weight is not a parameter"):
        wrong = {"embeddings.token_type.weight": np.zeros((2, 16), np.float32)}
        write_weights(tmp_path / "w", wrong, config)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_weights(tmp_path / "file" / "w", tiny.weights(config), config)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["file"]
