"""OpenVINO IR of every head."""

from __future__ import annotations

import importlib.util

import pytest

import tiny
from potstill.bundle.manifest import Manifest, read_manifest, write_manifest
from potstill.errors import ModelError
from potstill.export.bundle import export_bundle
from potstill.export.openvino import IrSession
from potstill.export.verify import check_bundle

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="needs pip install 'potstill[openvino]'"
)


@pytest.mark.parametrize(
    ("head", "model_type"),
    [("qa", "bert"), ("classification", "distilbert"), ("tagging", "bert"), ("choice", "electra"),
     ("mlm", "roberta")],
)  # fmt: skip
def test_every_head(tmp_path, head, model_type) -> None:
    labels = ("one", "two", "three") if head in ("classification", "tagging") else ()
    folder = tiny.write_model(tmp_path / "model", model_type, head=head, labels=labels)
    if head == "mlm":
        write_manifest(folder, Manifest(task="masked-lm"))
    out = tmp_path / "out"
    formats = ["openvino", "openvino-fp16"]
    manifest = export_bundle(folder, out, formats)
    assert manifest.files["openvino/model.xml"].max_abs_diff < 1e-4
    assert manifest.files["openvino/model_fp16.xml"].max_abs_diff < 2e-2
    assert {"openvino/model.bin", "openvino/model_fp16.bin"} <= set(read_manifest(out).files)
    assert manifest.tools["openvino"]
    assert sum("replayed within" in line for line in check_bundle(out)) == 2
    file = out / "openvino" / "model.xml"
    file.write_text("<net>")
    with pytest.raises(ModelError, match="no OpenVINO IR"):
        IrSession(file, head)


def test_a_pruned_model(tmp_path) -> None:
    folder = tiny.write_model(tmp_path / "model", layer_heads=(1, 2), layer_ffn=(8, 32))
    manifest = export_bundle(folder, tmp_path / "out", ["openvino"])
    assert manifest.files["openvino/model.xml"].max_abs_diff < 1e-4
