"""benchmarks/peak.py: products that are right, and a share of the floor for a real model."""

import numpy as np
import onnxruntime
import peak
import pytest

import tiny

SHAPE = (3, 8, 5)


@pytest.mark.parametrize("kind", ["fp32", "int8"])
def test_a_product(kind):
    session = onnxruntime.InferenceSession(
        peak.product(kind, SHAPE), providers=["CPUExecutionProvider"]
    )
    x = peak.left(kind, SHAPE)
    (found,) = session.run(None, {"x": x})
    assert found.shape == (3, 5)
    assert found.dtype == (np.int32 if kind == "int8" else np.float32)


def test_a_model(tmp_path):
    folder = tiny.write_model(tmp_path)
    found = peak.of_model(str(folder), {"fp32": 1.0, "int8": 4.0}, 1, "onnxruntime", 0.0)
    assert [one["tokens"] for one in found] == [128, 128, 128, 128, 96, 40]
    for one in found:
        assert one["precision"] == "fp32"
        assert one["share"] == pytest.approx(one["floor_ms"] / one["ms"])
    assert found[0]["floor_ms"] > found[-1]["floor_ms"]
