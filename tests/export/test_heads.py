"""Every head: its graph against the plain forward pass, its folder, its card."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

import tiny
from logits import batch, expected, largest, save
from potstill.bundle.config import read_config
from potstill.bundle.heads import HEADS, LOGITS, architecture
from potstill.bundle.manifest import Manifest, read_manifest, write_manifest
from potstill.bundle.onnx_graph import build_graph
from potstill.bundle.onnx_nodes import Storage
from potstill.bundle.onnx_weights import read_onnx_weights
from potstill.bundle.weights import read_weights
from potstill.errors import ExportError
from potstill.export.bundle import export_bundle
from potstill.export.card import model_card
from potstill.export.int8 import int8_storage
from potstill.export.reference import forward
from potstill.export.verify import check_bundle
from potstill.runtime.classification import Classifier
from potstill.runtime.session import OnnxSession
from potstill.text.windows import Batch

LABELS = ("one", "two", "three")
NEW = ("mlm", "classification", "tagging", "choice")
BY_TOKEN = {"mlm": True, "tagging": True, "classification": False, "choice": False}
PAIRS = [
    (head, model_type)
    for head in NEW
    for model_type in ("bert", "distilbert", "roberta", "electra", "mpnet")
    if model_type in HEADS[head].architectures
]
FOLDERS = [
    *((head, "bert") for head in NEW),
    ("classification", "roberta"),
    ("choice", "electra"),
    ("mlm", "distilbert"),
]


def make(head: str, model_type: str = "bert", **options):
    labels = LABELS if head in ("classification", "tagging") else ()
    config = tiny.config(model_type, labels=labels, **options)
    return config, tiny.weights(config, head=head)


def folder_of(path, head: str, model_type: str = "bert", **options):
    labels = LABELS if head in ("classification", "tagging") else ()
    folder = tiny.write_model(path, model_type, head=head, labels=labels, **options)
    if head == "mlm":
        write_manifest(folder, Manifest(task="masked-lm", scores={"mlm_loss": 3.21}))
    return folder


@pytest.mark.parametrize(("head", "model_type"), PAIRS)
def test_float32_graphs(tmp_path, head, model_type) -> None:
    config, weights = make(head, model_type, norm_eps=1e-3)
    model = build_graph(config, weights, head=head)
    session = OnnxSession(save(tmp_path / "m.onnx", model), outputs=LOGITS)
    for lengths in ((9, 1, 30), (1,), (64,)):
        rows = batch(config, lengths)
        found = session.run(rows)
        assert found[0].dtype == np.float32
        wanted = expected(config, weights, rows, head)
        assert found[0].shape == wanted[0].shape
        assert largest(found, wanted, rows, by_token=BY_TOKEN[head]) < 1e-5
    assert read_onnx_weights(tmp_path / "m.onnx").keys() == weights.keys()


@pytest.mark.parametrize("head", NEW)
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_smaller_graphs(tmp_path, head, precision) -> None:
    config, weights = make(head, hidden_width=64, ffn_width=128)
    weights = {n: w * (0.3 if w.ndim == 2 else 1) for n, w in weights.items()}
    int8 = precision == "int8"
    storage = int8_storage(config) if int8 else Storage(dtype=np.float16)
    model = build_graph(config, weights, storage, head=head)
    assert not any(t.name == "embeddings.word.weight" for t in model.graph.initializer) or not int8
    (output,) = model.graph.output
    assert output.name == "logits" and output.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    session = OnnxSession(save(tmp_path / "m.onnx", model), outputs=LOGITS)
    rows = batch(config)
    found, wanted = session.run(rows), expected(config, weights, rows, head)
    spread = max(float(np.ptp(wanted[0])), 0.5)
    by_token = BY_TOKEN[head]
    assert largest(found, wanted, rows, by_token=by_token) < 0.06 * spread
    for i, length in enumerate((9, 1, 30)):  # whatever stands beside a row changes nothing
        part = slice(i, i + 1), slice(0, length)
        alone = Batch(rows.input_ids[part], rows.attention_mask[part], rows.token_type_ids[part])
        whole = found[0][part] if by_token else found[0][i : i + 1]
        tolerance = (1e-4 if int8 else 2e-2) * spread
        np.testing.assert_allclose(whole, session.run(alone)[0], atol=tolerance)


def test_labels_are_counted_from_the_weights(tmp_path) -> None:
    """A config without labels has two; a regression has one."""
    for n in (1, 2, 7):
        config = tiny.config(labels=tuple(f"l{i}" for i in range(n)))
        weights = tiny.weights(config, head="classification")
        model = build_graph(config, weights, head="classification")
        assert model.graph.output[0].type.tensor_type.shape.dim[1].dim_value == n
    assert tiny.weights(tiny.config(), head="classification")["classifier.bias"].shape == (2,)


@pytest.mark.parametrize(("head", "model_type"), FOLDERS)
def test_whole_folders(tmp_path, head, model_type) -> None:
    folder = folder_of(tmp_path / "model", head, model_type)
    out = tmp_path / "out"
    manifest = export_bundle(folder, out, tiny.PLAIN)
    assert manifest.task == HEADS[head].task
    config = read_config(out)
    written = json.loads((out / "config.json").read_text())
    assert written["architectures"] == [architecture(config, head)]
    if config.labels:
        assert written["id2label"] == {"0": "one", "1": "two", "2": "three"}
    again = read_weights(out, config, head=head)
    source = read_weights(folder, read_config(folder), head=head)
    assert again.keys() == source.keys()
    assert all(np.array_equal(again[name], source[name]) for name in source)
    lines = check_bundle(out)
    assert sum("replayed" in line for line in lines) == 3
    kept = manifest.files["onnx/model.onnx"].info["replay"]["logits"]
    assert np.shape(kept)[-1] <= 16
    (out / "model.safetensors").unlink()  # what the int8 file alone still knows
    for name in ("model.onnx", "model_fp16.onnx"):
        (out / "onnx" / name).unlink()
    export_bundle(out, tmp_path / "again", ["hf", "onnx"])
    rows = batch(config)
    one = OnnxSession(out / "onnx/model_quantized.onnx", outputs=LOGITS).run(rows)
    other = OnnxSession(tmp_path / "again/onnx/model.onnx", outputs=LOGITS).run(rows)
    assert largest(one, other, rows, by_token=BY_TOKEN[head]) < 0.2 * float(np.ptp(one[0]))


def test_a_wrong_graph_is_found(tmp_path, monkeypatch) -> None:
    from potstill.bundle import onnx_graph

    monkeypatch.setattr(onnx_graph, "MASKED", 0.0)  # padding is looked at
    for head in NEW:
        folder = folder_of(tmp_path / head, head)
        with pytest.raises(ExportError, match="differs from the reference"):
            export_bundle(folder, tmp_path / "out", ["onnx"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("head", ["classification", "choice"])
def test_a_head_that_says_the_same_of_everything(tmp_path, head) -> None:
    """Random ids may all look alike to a trained head: a difference of rounding is no fault."""
    folder = folder_of(tmp_path / "model", head, hidden_width=64, ffn_width=128)
    config = read_config(folder)
    weights = read_weights(folder, config, head=head)
    weights["pooler.weight"] = weights["pooler.weight"] * 1e-3
    weights["classifier.bias"][:] = 0
    rows = batch(config)
    (logits,) = forward(config, weights, rows.input_ids, rows.attention_mask,
                        rows.token_type_ids, head)  # fmt: skip
    assert np.ptp(logits[:, 0]) < 0.05
    from potstill.bundle.weights import write_weights

    write_weights(folder / "model.safetensors", weights, config, head)
    export_bundle(folder, tmp_path / "out", ["int8"])


def test_a_changed_replay_is_found(tmp_path) -> None:
    for head in ("classification", "mlm"):
        out = tmp_path / head / "out"
        export_bundle(folder_of(tmp_path / head / "model", head), out, ["onnx"])
        manifest = read_manifest(out)
        kept = manifest.files["onnx/model.onnx"].info["replay"]["logits"]
        (kept[0] if head == "classification" else kept[0][1])[0] += 1
        write_manifest(out, manifest)
        with pytest.raises(ExportError, match="answers differently here"):
            check_bundle(out)


def test_a_card_shows_plain_baselines_beside_the_scores() -> None:
    baselines = {"base rate": {"macro_f1": 10.0}, "TF-IDF": {"macro_f1": 60.123456}}
    data = {"train": "train.csv", "base_rates": {"toxic": 0.09584}, "baselines": baselines}
    manifest = Manifest(task="text-classification", data=data, scores={"macro_f1": 70.0, "n": 9})
    card = model_card("mine", tiny.config(labels=LABELS), manifest, "classification")
    assert "| measure | this model | base rate | TF-IDF |" in card
    assert "| macro_f1 | 70.0 | 10.0 | 60.1235 |" in card and "| n | 9 |  |  |" in card
    assert "- base_rates: toxic 0.0958\n" in card and "name: train.csv" in card


@pytest.mark.parametrize("head", [*NEW, "qa"])
def test_cards(head) -> None:
    config = tiny.config(labels=LABELS, problem="multi-label")
    scores = {"accuracy": 91.5, "f1": 80.25, "data": "dev.tsv"}
    manifest = Manifest(task=HEADS[head].task, scores=scores, licence="Apache-2.0")
    card = model_card("mine", config, manifest, head)
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert f"`{HEADS[head].architectures['bert'].replace('Bert', 'AutoModel')[:12]}" in card
    assert ("Any number of these at once: `one`, `two`" in card) == (
        head in ("classification", "tagging")
    )
    assert "| accuracy | 91.5 |" in card
    if head not in ("mlm",):
        assert "model-index:\n- name: mine" in card and "name: dev.tsv" in card
    pipeline = {"mlm": "fill-mask"}.get(head, HEADS[head].task)
    assert f"pipeline_tag: {pipeline}\n" in card
    assert HEADS[head].outputs == (("start_logits", "end_logits") if head == "qa" else ("logits",))


def test_long_texts_are_read_from_the_bundle_as_from_the_folder(tmp_path) -> None:
    folder = folder_of(tmp_path / "a", "classification", max_positions=600)
    export_bundle(str(folder), tmp_path / "b", formats=("onnx",))
    options = [Classifier.from_options(one).options for one in (folder, tmp_path / "b")]
    assert options[0] == options[1]
    manifest = Manifest(task="text-classification", seq_len=500, max_windows=2)
    write_manifest(folder, manifest)
    export_bundle(str(folder), tmp_path / "c", formats=("onnx",))
    found = Classifier.from_options(tmp_path / "c").options
    assert (found.seq_len, found.max_windows) == (500, 2)
