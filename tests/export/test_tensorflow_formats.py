"""SavedModel, TF.js and LiteRT: every head, every precision, and what others read in them."""

from __future__ import annotations

import importlib.util
import json
import sys

import numpy as np
import pytest

import tiny
from logits import batch, expected, largest
from potstill.bundle.config import read_config
from potstill.bundle.manifest import Manifest, read_manifest, write_manifest
from potstill.bundle.weights import read_weights
from potstill.errors import ExportError, ModelError
from potstill.export import tfjs
from potstill.export.bundle import export_bundle
from potstill.export.gate import Gate
from potstill.export.litert import LiteRtSession
from potstill.export.savedmodel import FIXED, SavedModelSession
from potstill.export.tfjs import GraphModelSession
from potstill.export.verify import check_bundle
from potstill.text.windows import Batch

pytestmark = [
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("tensorflow", "ai_edge_litert"))),
        reason="needs pip install 'potstill[tf]'",
    ),
    # TensorFlow's own, on being loaded and on loading what it saved.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]

TF_FORMATS = (
    "savedmodel", "tfjs", "tfjs-fp16", "tfjs-uint8", "litert", "litert-fp16", "litert-int8",
)  # fmt: skip
OPERATORS = {
    "AddV2", "BatchMatMulV2", "BiasAdd", "Cast", "Const", "Cumsum", "Erf", "GatherV2", "Identity",
    "MatMul", "Mean", "Mul", "NoOp", "NotEqual", "Pack", "Placeholder", "Relu", "Reshape", "Rsqrt",
    "Shape", "Slice", "Softmax", "StridedSlice", "Sub", "Tanh", "Transpose", "Unpack",
}  # fmt: skip
"""Operators that TF.js 4 runs on its wasm backend."""


def folder_of(path, head, model_type, **options):
    labels = ("one", "two", "three") if head in ("classification", "tagging") else ()
    folder = tiny.write_model(path, model_type, head=head, labels=labels, **options)
    if head == "mlm":
        write_manifest(folder, Manifest(task="masked-lm"))
    return folder


@pytest.fixture(scope="module")
def article(tmp_path_factory):
    """A DistilBERT that answers questions, in every format, with several shards."""
    path = tmp_path_factory.mktemp("article")
    folder = folder_of(path / "model", "qa", "distilbert", max_positions=512)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfjs, "SHARD", 10_000)
        export_bundle(folder, path / "out", TF_FORMATS)
    return path / "out"


def test_the_manifest_knows_every_file(article) -> None:
    manifest = read_manifest(article)
    on_disk = {f.relative_to(article).as_posix() for f in article.rglob("*") if f.is_file()}
    assert on_disk == {*manifest.files, "potstill.json"}
    compared = {r.kind: r.max_abs_diff for r in manifest.files.values() if "-" in r.kind}
    assert set(compared) == {
        "savedmodel-fp32", "tfjs-fp32", "tfjs-fp16", "tfjs-uint8",
        "litert-fp32", "litert-fp16", "litert-int8",
    }  # fmt: skip
    assert all(off < 1e-4 for kind, off in compared.items() if kind.endswith("fp32"))
    assert all(off < 2e-2 for kind, off in compared.items() if kind.endswith("fp16"))
    assert manifest.tools["tensorflow-cpu"] and manifest.tools["ai-edge-litert"]
    lines = check_bundle(article)
    assert sum("replayed within" in line for line in lines) == 7


def test_the_signature_is_the_articles(article, capsys, monkeypatch) -> None:
    from tensorflow.python.tools import saved_model_cli

    def shown(signature: str) -> str:
        words = ["show", "--dir", str(article / "savedmodel"), "--tag_set", "serve"]
        monkeypatch.setattr(sys, "argv", ["cli", *words, "--signature_def", signature])
        with pytest.raises(SystemExit) as done:  # as absl ends every program
            saved_model_cli.main()
        assert not done.value.code
        return " ".join(capsys.readouterr().out.split())

    said = shown("serving_default")
    for name in ("input_ids", "attention_mask"):
        assert f"inputs['{name}'] tensor_info: dtype: DT_INT32 shape: (-1, 384)" in said
    for name in ("output_0", "output_1"):
        assert f"outputs['{name}'] tensor_info: dtype: DT_FLOAT shape: (-1, 384)" in said
    assert said.count("inputs[") == 2 and said.count("outputs[") == 2
    assert "Method name is: tensorflow/serving/predict" in said
    assert "inputs['input_ids'] tensor_info: dtype: DT_INT32 shape: (-1, -1)" in shown("dynamic")


def test_both_signatures_answer_alike(article) -> None:
    file = article / "savedmodel" / "saved_model.pb"
    rows = batch(read_config(article))
    free, padded = (SavedModelSession(file, "qa", name=n) for n in ("dynamic", FIXED))
    assert padded.seq_len == 384 and free.seq_len is None
    assert largest(free.run(rows), padded.run(rows), rows) < 1e-4


def test_a_graph_model_is_what_tfjs_reads(article) -> None:
    for name in ("tfjs", "tfjs_fp16", "tfjs_uint8"):
        values = json.loads((article / name / "model.json").read_text())
        nodes = values["modelTopology"]["node"]
        assert values["format"] == "graph-model" and {n["op"] for n in nodes} <= OPERATORS
        (group,) = values["weightsManifest"]
        consts = {n["name"]: n for n in nodes if n["op"] == "Const"}
        assert {w["name"] for w in group["weights"]} == set(consts)
        assert all(set(n["attr"]["value"]["tensor"]) <= {"dtype", "tensorShape"}
                   for n in consts.values())  # fmt: skip
        sizes = [(article / name / shard).stat().st_size for shard in group["paths"]]
        assert len(sizes) > 1 and max(sizes) <= 10_000
        width = {"float32": 4, "int32": 4, "float16": 2, "uint8": 1}
        total = sum(
            int(np.prod(w["shape"])) * width[w.get("quantization", w)["dtype"]]
            for w in group["weights"]
        )
        assert sum(sizes) == total
        tensors = [v for part in values["signature"].values() for v in part.values()]
        assert {t["name"].removesuffix(":0") for t in tensors} <= {n["name"] for n in nodes}


def test_a_rounded_matrix_keeps_its_small_columns() -> None:
    value = np.array([[1.0, -1.0, 0.0, 0.5]] * 2, np.float32)
    entry, stored = tfjs._stored(value, "uint8")
    rounded = entry["quantization"]
    back = stored.astype(np.float32) * rounded["scale"] + rounded["min"]
    assert np.abs(back - value).max() < 0.005 and back[0, 2] == 0


def test_damaged_files(article, tmp_path) -> None:
    import shutil

    for name, opened, error in (
        ("tfjs/group1-shard2of*.bin", GraphModelSession, "graph model"),
        ("savedmodel/saved_model.pb", SavedModelSession, "SavedModel"),
        ("litert/model.tflite", LiteRtSession, "LiteRT"),
    ):
        folder = name.partition("/")[0]
        shutil.copytree(article / folder, tmp_path / folder)
        (file,) = tmp_path.glob(name)
        file.write_bytes(file.read_bytes()[:60])
        main = {"tfjs": "model.json"}.get(folder, file.name)
        with pytest.raises(ModelError, match=error) as caught:
            opened(tmp_path / folder / main, "qa")
        assert "\n" not in str(caught.value)
    # A part of a format is checked like any file.
    part = next(article.glob("savedmodel/variables/*data*"))
    kept = part.read_bytes()
    part.write_bytes(kept[:-1] + b"\0\0")
    with pytest.raises(ExportError, match="was changed"):
        check_bundle(article)
    part.write_bytes(kept)


@pytest.mark.parametrize(
    ("head", "model_type"),
    [
        ("qa", "bert"),
        ("classification", "bert"),
        ("tagging", "roberta"),
        ("choice", "electra"),
        ("mlm", "distilbert"),
    ],
)
def test_every_head(tmp_path, head, model_type) -> None:
    folder = folder_of(tmp_path / "model", head, model_type)
    out, config = tmp_path / "out", read_config(folder)
    export_bundle(folder, out, ["savedmodel", "tfjs-uint8", "litert-int8"])
    assert sum("replayed within" in line for line in check_bundle(out)) == 3
    rows = batch(config)
    wanted = expected(config, read_weights(folder, config, head=head), rows, head)
    saved = SavedModelSession(out / "savedmodel" / "saved_model.pb", head)
    by_token = head in ("qa", "tagging", "mlm")
    found = saved.run(rows)
    assert [v.shape for v in found] == [v.shape for v in wanted]
    assert largest(found, wanted, rows, by_token=by_token) < 1e-4
    int8 = LiteRtSession(out / "litert" / "model_int8.tflite", head)
    spread = max(float(np.ptp(wanted[0])), 0.5)
    whole = int8.run(rows)
    for i, length in enumerate((9, 1, 30)):  # whatever stands beside a row changes nothing
        part = slice(i, i + 1), slice(0, length)
        alone = Batch(rows.input_ids[part], rows.attention_mask[part], rows.token_type_ids[part])
        same = whole[0][part] if by_token else whole[0][i : i + 1]
        np.testing.assert_allclose(same, int8.run(alone)[0], atol=0.02 * spread)


def test_the_gate_measures_rounded_files(tmp_path) -> None:
    folder = folder_of(tmp_path / "model", "qa", "bert")
    gate = Gate.from_file(tiny.write_squad(tmp_path / "dev.json"), 100, model=folder)
    out = tmp_path / "out"
    manifest = export_bundle(folder, out, ["litert-int8", "tfjs"], gate=gate)
    for name in ("litert/model_int8.tflite", "tfjs/model.json"):
        scores = manifest.files[name].info["scores"]
        assert scores["total"] == 4 and 0 <= scores["f1"] <= 100
    assert not (out / "fp32.onnx").exists() and "fp32.onnx" not in manifest.files


def test_a_pruned_model(tmp_path) -> None:
    folder = folder_of(tmp_path / "model", "qa", "bert", layer_heads=(1, 2), layer_ffn=(8, 32))
    manifest = export_bundle(folder, tmp_path / "out", ["savedmodel", "tfjs", "litert"])
    compared = {r.kind: r.max_abs_diff for r in manifest.files.values() if "-fp32" in r.kind}
    assert set(compared) == {"savedmodel-fp32", "tfjs-fp32", "litert-fp32"}
    assert max(compared.values()) < 1e-4
