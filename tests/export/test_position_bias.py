"""What an encoder with position biases (MPNet) cannot be yet, said in a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tiny
from potstill.bundle.config import position_bucket
from potstill.compression.prune import KeptParts, prune
from potstill.errors import ConfigError
from potstill.export import coreml, tf_graph
from potstill.export.reference import forward
from potstill.export.source import Source


@pytest.fixture
def source() -> Source:
    config = tiny.config("mpnet")
    return Source(config, "qa", tiny.weights(config), seq_len=32)


def test_formats_that_do_not_know_position_biases(source, tmp_path) -> None:
    with pytest.raises(ConfigError, match="mpnet models cannot be written as a TensorFlow format"):
        tf_graph.build_module(source, scaled=False)
    with pytest.raises(ConfigError, match="as Core ML yet: use onnx, fp16, int8 or openvino"):
        coreml.write(source, Path(tmp_path / "a" / "b"), "fp16")


def test_heads_stay_and_neurons_go(source) -> None:
    neurons = [[0, 5, 9], [1, 2, 31]]
    small, weights = prune(source.config, source.weights, KeptParts([[0, 1], [0, 1]], neurons))
    assert small.ffn_of(0) == 3
    ids = np.arange(5, 15)[None]
    logits = forward(small, weights, ids, np.ones_like(ids), np.zeros_like(ids))
    assert all(np.isfinite(one).all() for one in logits)
    with pytest.raises(ConfigError, match="every layer of an mpnet model keeps its 2 heads"):
        prune(source.config, source.weights, KeptParts([[0], [0, 1]], neurons))


def test_buckets_are_those_of_transformers() -> None:
    torch = pytest.importorskip("torch")
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    distances = torch.arange(-3000, 3001)
    wanted = MPNetEncoder.relative_position_bucket(distances).tolist()
    assert [position_bucket(distance) for distance in distances.tolist()] == wanted
