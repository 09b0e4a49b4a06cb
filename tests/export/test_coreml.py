"""Core ML programs: their value as coremltools works it out in numpy, and that they convert.

No test runs a converted file: that takes a Mac.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import tiny
from logits import batch, expected
from potstill.export import coreml
from potstill.export.bundle import export_bundle
from potstill.export.source import Source
from potstill.export.verify import check_bundle

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("coremltools") is None,
        reason="needs pip install 'potstill[coreml]'",
    ),
    # coremltools' own, beside newer libraries than it was tested with.
    *map(
        pytest.mark.filterwarnings,
        (
            f"ignore::{kind}Warning"
            for kind in ("User", "Deprecation", "Runtime", "Syntax", "Future")
        ),
    ),
]

CASES = [
    ("qa", "bert"),
    ("classification", "distilbert"),
    ("tagging", "roberta"),
    ("choice", "electra"),
    ("mlm", "bert"),
]


def made(head, model_type):
    labels = ("one", "two", "three") if head in ("classification", "tagging") else ()
    # coremltools adds at least 1e-5 to a variance in float16
    config = tiny.config(model_type, labels=labels, norm_eps=1e-5)
    return config, tiny.weights(config, head=head)


@pytest.mark.parametrize(("head", "model_type"), CASES)
def test_the_programs_value(head, model_type) -> None:
    config, weights = made(head, model_type)
    rows = batch(config, lengths=(11,))
    found = coreml.evaluate(Source(config, head, weights, 64), rows)
    wanted = expected(config, weights, rows, head)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(("head", "model_type"), [("qa", "bert"), ("classification", "roberta")])
def test_it_converts(tmp_path, head, model_type) -> None:
    labels = ("one", "two") if head == "classification" else ()
    folder = tiny.write_model(tmp_path / "model", model_type, head=head, labels=labels)
    out = tmp_path / "out"
    manifest = export_bundle(folder, out, ["coreml"])
    name = "coreml/model.mlpackage/Manifest.json"
    assert manifest.files[name].max_abs_diff < 0.02 and manifest.tools["coremltools"]
    assert manifest.files[name].info == {"unrun": True}
    assert any("not run" in line for line in check_bundle(out))
    import coremltools

    model = coremltools.models.MLModel(str((out / name).parent), skip_model_load=True)
    described = model.get_spec().description
    assert [i.name for i in described.input][:2] == ["input_ids", "attention_mask"]
    wanted = ["output_0", "output_1"] if head == "qa" else ["output_0"]
    assert [o.name for o in described.output] == wanted
    sizes = described.input[0].type.multiArrayType.shapeRange.sizeRanges
    assert (sizes[1].lowerBound, sizes[1].upperBound) == (1, 128)


def test_a_pruned_models_value() -> None:
    config = tiny.config(norm_eps=1e-5, layer_heads=(1, 2), layer_ffn=(8, 32))
    weights = tiny.weights(config)
    rows = batch(config, lengths=(11,))
    found = coreml.evaluate(Source(config, "qa", weights, 64), rows)
    for one, other in zip(found, expected(config, weights, rows, "qa"), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
