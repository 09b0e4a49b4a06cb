"""``export --check`` covers the manifest itself, records that are gone and weights that came."""

import json

import pytest

import tiny
from potstill.errors import ExportError
from potstill.export.bundle import export_bundle
from potstill.export.verify import check_bundle


@pytest.fixture
def bundle(tmp_path):
    export_bundle(tiny.write_model(tmp_path / "m"), tmp_path / "out", ["int8"])
    return tmp_path / "out"


def change(folder, edit):
    values = json.loads((folder / "potstill.json").read_text())
    edit(values)
    (folder / "potstill.json").write_text(json.dumps(values))


EDITS = {
    "a threshold": lambda v: v.update(null_threshold=3.0),
    "a score": lambda v: v.update(scores={"f1": 99.0}),
    "a record that is gone": lambda v: v["files"].popitem(),
    "a hash": lambda v: v["files"]["config.json"].update(sha256="0" * 64),
    "no digest": lambda v: v.pop("digest"),
}


@pytest.mark.parametrize("kind", EDITS)
def test_an_edited_manifest(bundle, kind):
    change(bundle, EDITS[kind])
    with pytest.raises(ExportError, match=r"potstill\.json was changed"):
        check_bundle(bundle)


def test_its_layout_is_no_edit(bundle):
    change(bundle, lambda values: None)
    assert check_bundle(bundle)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "onnx/model_fp16.onnx", "model.safetensors"])
def test_weights_that_it_does_not_name(bundle, name):
    (bundle / name).unlink(missing_ok=True)
    change(bundle, lambda values: values["files"].pop(name, None))
    from potstill.bundle.manifest import read_manifest, write_manifest

    write_manifest(bundle, read_manifest(bundle))
    check_bundle(bundle)
    (bundle / name).write_bytes(b"other weights")
    with pytest.raises(ExportError, match=r"is not in potstill\.json: remove it"):
        check_bundle(bundle)


@pytest.mark.parametrize("name", ["default", "small", "tiny"])
def test_the_embedded_models_are_as_they_were_written(name):
    from potstill.bundle.find import find_model

    assert len(check_bundle(find_model(name))) > 5
