"""Whole folders: what is in them, that they can be checked, and that nothing is half-written."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer as Backend

import tiny
from logits import batch, largest
from potstill.bundle import onnx_graph
from potstill.bundle.config import read_config
from potstill.bundle.manifest import Manifest, read_manifest, write_manifest
from potstill.bundle.weights import read_weights
from potstill.errors import (
    DataError,
    ExportError,
    GateError,
    InputError,
    ModelError,
    OutputError,
    TokenizerError,
    WeightsError,
)
from potstill.export.bundle import export_bundle
from potstill.export.gate import Gate
from potstill.export.verify import check_bundle
from potstill.runtime.qa import QAClient
from potstill.runtime.session import OnnxSession
from potstill.text.tokenizer import Tokenizer


@pytest.fixture
def model(tmp_path):
    return tiny.write_model(tmp_path / "model")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "exports" / "out"


def test_all_formats(model, out) -> None:
    said = []
    manifest = export_bundle(model, out, tiny.PLAIN, say=said.append)
    assert read_manifest(out) == manifest
    files = {f.relative_to(out).as_posix() for f in out.rglob("*") if f.is_file()}
    assert files == {*manifest.files, "potstill.json"}
    assert files == {
        "README.md", "config.json", "model.safetensors", "onnx/model.onnx",
        "onnx/model_fp16.onnx", "onnx/model_quantized.onnx", "potstill.json",
        "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
    }  # fmt: skip
    assert manifest.files["onnx/model.onnx"].max_abs_diff < 1e-5
    assert 0 < manifest.files["onnx/model_quantized.onnx"].max_abs_diff
    assert manifest.files["onnx/model_quantized.onnx"].kind == "onnx-int8"
    assert manifest.tools["onnx"]
    assert len(said) == 4
    assert len(check_bundle(out)) == len(manifest.files)
    assert sum("replayed" in line for line in check_bundle(out)) == 3
    assert os.listdir(out.parent) == ["out"]
    config = json.loads((out / "config.json").read_text())
    assert config["architectures"] == ["BertForQuestionAnswering"]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_file_answers(model, out, precision) -> None:
    export_bundle(model, out, tiny.PLAIN)
    answer = QAClient.from_options(out, precision=precision).predict("who won?", "denver won.")
    assert answer is not None


def test_only_what_was_asked_for(model, out) -> None:
    export_bundle(model, out, ["int8"])
    assert os.listdir(out / "onnx") == ["model_quantized.onnx"]
    assert not (out / "model.safetensors").exists()
    with pytest.raises(InputError, match="'pickle'"):
        export_bundle(model, out, ["pickle"])


def test_a_bundle_of_one_int8_file_becomes_a_float_folder(model, out, tmp_path) -> None:
    """What `potstill export default OUT --format hf` does, and then exports that again."""
    export_bundle(model, tmp_path / "int8", ["int8"])
    export_bundle(tmp_path / "int8", out, ["hf", "int8"])
    copy = out / "onnx" / "model_quantized.onnx"  # as it was: rounding twice would lose more
    assert copy.read_bytes() == (tmp_path / "int8/onnx/model_quantized.onnx").read_bytes()
    export_bundle(out, tmp_path / "again", ["onnx"])
    config = read_config(model)
    rows = batch(config)
    one = OnnxSession(tmp_path / "int8" / "onnx" / "model_quantized.onnx").run(rows)
    other = OnnxSession(tmp_path / "again" / "onnx" / "model.onnx").run(rows)
    assert largest(one, other, rows) < 0.1 * float(np.ptp(one[0]))
    assert {w.dtype for w in read_weights(out, config).values()} == {np.dtype(np.float32)}


def test_what_the_source_knows_is_kept(model, out) -> None:
    before = Manifest(
        licence="CC-BY-SA-4.0",
        no_answer=True,
        null_threshold=-1.5,
        seq_len=64,
        scores={"f1": 80.5},
        data={"train": "x"},
        calibration={"temperature": 1.5, "ece_after": 0.01},
    )
    write_manifest(model, before)
    (model / "README.md").write_text("# My own card\n")
    manifest = export_bundle(model, out, ["hf"])
    assert read_manifest(out) == manifest
    assert replace(manifest, name="", files={}, tools={}) == before
    options = QAClient.from_options(out).options
    assert (options.threshold, options.temperature) == (-1.5, 1.5)
    assert (out / "README.md").read_text() == "# My own card\n"


def test_a_generated_card_has_the_scores(model, out) -> None:
    write_manifest(model, Manifest(scores={"exact": 70.0, "f1": 80.5}, licence="CC-BY-SA-4.0"))
    export_bundle(model, out, ["hf"])
    card = (out / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "license: cc-by-sa-4.0" in card and "- type: f1\n      value: 80.5" in card


def test_truncation_and_padding_are_left_out_of_the_tokenizer(model, out) -> None:
    """MiniLM's own tokenizer.json cuts at 128 tokens and pads to 128."""
    export_bundle(model, out, ["hf"])
    backend = Backend.from_file(str(out / "tokenizer.json"))
    backend.enable_truncation(128)
    backend.enable_padding(length=128)
    backend.save(str(model / "tokenizer.json"))
    export_bundle(model, out, ["hf"])
    values = json.loads((out / "tokenizer.json").read_text(encoding="utf-8"))
    assert values["truncation"] is None and values["padding"] is None
    one, other = Tokenizer.from_folder(model), Tokenizer.from_folder(out)
    assert list(one.encode("the game " * 100).ids) == list(other.encode("the game " * 100).ids)


def test_vocab_txt_is_written_from_tokenizer_json(model, out, tmp_path) -> None:
    export_bundle(model, out, ["hf"])
    for name in ("vocab.txt", "tokenizer_config.json", "special_tokens_map.json"):
        (out / name).unlink()
    export_bundle(out, tmp_path / "second", ["hf"])
    (tmp_path / "second" / "tokenizer.json").unlink()
    text = "the denver broncos won a zebra, 24-10."
    one, other = Tokenizer.from_folder(out), Tokenizer.from_folder(tmp_path / "second")
    assert list(one.encode(text).ids) == list(other.encode(text).ids)


def test_bad_sources_leave_nothing(model, out) -> None:
    def refused(error: type[Exception], match: str) -> None:
        with pytest.raises(error, match=match) as caught:
            export_bundle(model, out, tiny.PLAIN)
        assert "\n" not in str(caught.value)
        assert not out.exists() and not list(out.parent.glob(".*"))

    (model / "vocab.txt").rename(model / "vocab")
    refused(TokenizerError, "neither tokenizer.json nor vocab.txt")
    (model / "tokenizer.json").write_text("{")
    refused(TokenizerError, "is not a usable tokenizer")
    (model / "tokenizer.json").unlink()
    (model / "vocab").rename(model / "vocab.txt")
    data = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(data[:-10])
    refused(WeightsError, "truncated")


def test_targets_that_are_refused(model, out, tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(OutputError, match=r"holds thesis.txt, which no earlier export wrote"):
        export_bundle(model, tmp_path / "mine")
    for target in (model, model.parent):
        with pytest.raises(OutputError, match="name another folder"):
            export_bundle(model, target)
    assert (model / "model.safetensors").is_file()
    export_bundle(model, out, ["onnx"])
    export_bundle(model, out, ["hf"])  # an earlier export is replaced as a whole
    assert not (out / "onnx").exists()


def test_a_full_disk(model, out, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        export_bundle(model, out, tiny.PLAIN)
    assert os.listdir(out.parent) == []


def test_a_wrong_graph_is_found(model, out, monkeypatch) -> None:
    monkeypatch.setattr(onnx_graph, "MASKED", 0.0)  # padding is looked at
    with pytest.raises(ExportError, match="differs from the reference"):
        export_bundle(model, out, ["onnx"])
    assert not out.exists()


def test_weights_beyond_float16(model, tmp_path) -> None:
    config = read_config(model)
    weights = read_weights(model, config)
    weights["layers.0.ffn.up.bias"] = np.full(32, 1e6, np.float32)
    from potstill.bundle.weights import write_weights

    write_weights(model / "model.safetensors", weights, config)
    with pytest.raises(ExportError, match="layers.0.ffn.up.bias holds values beyond float16"):
        export_bundle(model, tmp_path / "out", ["fp16"])


def test_a_changed_bundle_is_found(model, out) -> None:
    export_bundle(model, out, ["onnx"])
    manifest = read_manifest(out)
    file = out / "vocab.txt"
    file.write_text(file.read_text() + "x")
    with pytest.raises(ExportError, match=r"vocab.txt was changed"):
        check_bundle(out)
    file.unlink()
    with pytest.raises(ExportError, match=r"vocab.txt is missing"):
        check_bundle(out)
    with pytest.raises(ExportError, match=r"has no potstill.json"):
        check_bundle(model)
    shutil.copy(model / "vocab.txt", out / "vocab.txt")
    manifest.files["onnx/model.onnx"].info["replay"]["end_logits"][0][1] += 1
    write_manifest(out, manifest)
    with pytest.raises(ExportError, match="answers differently here"):
        check_bundle(out)


def qa_gate(path, model, max_drop):
    return Gate.from_file(tiny.write_squad(path / "dev.json"), max_drop, model=model)


def given(gate, *f1: float) -> Gate:
    """The gate with its F1 given: fp32 first."""
    left = list(f1)
    return replace(gate, measure=lambda *_: {"exact": 1.0, "f1": left.pop(0), "total": 4})


def test_the_gate_measures_and_writes(model, out, tmp_path) -> None:
    gate = qa_gate(tmp_path, model, 100)
    manifest = export_bundle(model, out, ["onnx", "int8"], gate=gate)
    scores = manifest.files["onnx/model_quantized.onnx"].info["scores"]
    assert scores["total"] == 4 and 0 <= scores["f1"] <= 100 and scores["data"] == "dev.json"
    assert sorted(os.listdir(out / "onnx")) == ["model.onnx", "model_quantized.onnx"]
    assert not (out / "fp32.onnx").exists()


def test_the_gate_refuses(model, out, tmp_path) -> None:
    gate = qa_gate(tmp_path, model, 0.5)
    export_bundle(model, out, ["int8"], gate=given(gate, 80.0, 79.6))
    shutil.rmtree(out)
    with pytest.raises(GateError, match=r"0.60 F1 on dev.json: 80.00 in fp32, 79.40 after"):
        export_bundle(model, out, ["int8"], gate=given(gate, 80.0, 79.4))
    assert not out.exists()


def test_a_gate_without_questions(model, tmp_path) -> None:
    path = tmp_path / "dev.json"
    path.write_text('{"version": "1.1", "data": []}')
    with pytest.raises(DataError):
        Gate.from_file(path, 0.5, model=model)


def test_the_gate_reads_with_the_models_own_settings(model, out, tmp_path) -> None:
    write_manifest(model, Manifest(seq_len=3))  # no question fits into such a window
    with pytest.raises((InputError, ModelError)):
        export_bundle(model, out, ["int8"], gate=qa_gate(tmp_path, model, 100))


def test_a_training_run_is_not_replaced(model, out) -> None:
    export_bundle(model, out, ["hf"])
    (out / "checkpoints").mkdir()
    (out / "checkpoints" / "state.json").write_text("{}")
    with pytest.raises(OutputError, match=r"holds checkpoints/state.json"):
        export_bundle(model, out, ["hf"])
    assert (out / "checkpoints" / "state.json").is_file()
