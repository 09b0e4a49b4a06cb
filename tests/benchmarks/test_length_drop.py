"""benchmarks/length_drop.py: rows get shorter from layer to layer and are whole in the end."""

import length_drop
import numpy as np
import onnxruntime
import pytest

import tiny
from potstill.bundle.onnx_graph import build_graph

IDS = np.arange(5, 25)[None]
TYPES = (np.arange(20) >= 6).astype(np.int64)[None]
FEED = {"input_ids": IDS, "attention_mask": np.ones_like(IDS), "token_type_ids": TYPES}


def logits(graph):
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["start_logits"], FEED)[0][0]


@pytest.mark.parametrize("by_question", [False, True])
def test_tokens_leave_and_come_back(by_question):
    shape = tiny.config(n_layers=4, vocab_size=40)
    weights = tiny.weights(shape)
    whole = logits(build_graph(shape, weights))

    def cut(*keep):
        graph = build_graph(shape, weights)
        return logits(length_drop.shortened(graph, keep, by_question=by_question))

    # Nobody leaves: 14 tokens of context, of which all but a hundredth are 14 again.
    np.testing.assert_allclose(cut(1, 1, 0.99, 0.98), whole, atol=1e-6)
    # Those that leave keep what the layer they leave behind gave them, all others go on.
    halved = cut(1, 1, 1, 0.5)
    early = logits(build_graph(tiny.config(n_layers=3, vocab_size=40), weights))
    left = np.isclose(halved, early, atol=1e-6)
    assert left.sum() == 7
    assert not left[TYPES[0] == 0].any()
    # A second cut takes from what the first one left: 14, 7, 4.
    twice = cut(1, 0.5, 0.5, 0.25)
    once = cut(1, 0.5, 0.5, 0.5)
    assert twice.shape == whole.shape
    first = logits(build_graph(tiny.config(n_layers=1, vocab_size=40), weights))
    for row in (once, twice):
        assert np.isclose(row, first, atol=1e-6).sum() == 7
