"""What shares a batch with a question changes nothing: float32 to 1e-5, int8 to the answer."""

from __future__ import annotations

import numpy as np
import pytest

import tiny
from potstill.bundle.config import read_config
from potstill.bundle.find import embedded_folder
from potstill.bundle.onnx_graph import build_graph
from potstill.bundle.weights import read_weights
from potstill.runtime.qa import QAClient
from potstill.runtime.session import OnnxSession
from potstill.text.windows import Batch

PASSAGES = (
    "The Amazon rainforest covers much of the Amazon basin of South America. This basin "
    "encompasses 7,000,000 square kilometres, of which 5,500,000 are covered by the rainforest.",
    "Nikola Tesla was born in Smiljan in 1856 and died in New York City in January 1943.",
    "The Norman dynasty had a major political impact on medieval Europe. They adopted Catholic "
    "orthodoxy and gave their name to Normandy, a region in northern France. " * 3,
)
QUESTIONS = (
    ("How large is the basin?", 0),
    ("How much of it is covered by the rainforest?", 0),
    ("Where was Tesla born?", 1),
    ("When did Nikola Tesla die?", 1),
    ("What region did they give their name to?", 2),
    ("What did the Normans adopt?", 2),
)
PAIRS = [(question, PASSAGES[number]) for question, number in QUESTIONS]


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """The embedded reader as it ships, and its weights in float32."""
    folder = embedded_folder()
    config = read_config(folder)
    weights = {n: w.astype(np.float32) for n, w in read_weights(folder, config).items()}
    file = tmp_path_factory.mktemp("fp32") / "model.onnx"
    file.write_bytes(build_graph(config, weights).SerializeToString())
    return {"int8": None, "fp32": file}


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_batch_invariance_of_answers(sessions, precision):
    def answers(budget, pairs):
        client = QAClient.from_options(
            "default", onnx_file=sessions[precision], threads=1, token_budget=budget
        )
        return client.predict_many(pairs)

    alone = answers(1, PAIRS)
    assert all(answer is not None for answer in alone)
    for budget, order in ((4096, range(6)), (200, (5, 0, 4, 1, 3, 2))):
        together = answers(budget, [PAIRS[i] for i in order])
        for i, found in zip(order, together, strict=True):
            same = (found.text, found.start, found.end)
            assert same == (alone[i].text, alone[i].start, alone[i].end)
            assert found.score == pytest.approx(alone[i].score, abs=1e-3)


def test_batch_invariance_of_float32_logits(sessions):
    session = OnnxSession(sessions["fp32"], threads=1)
    random = np.random.default_rng(0)
    lengths = (120, 7, 64, 1)
    ids = random.integers(1000, 20_000, (4, 120))
    mask = (np.arange(120) < np.array(lengths)[:, None]).astype(np.int64)
    types = np.zeros_like(ids)
    together = session.run(Batch(ids, mask, types))
    for i, length in enumerate(lengths):
        part = slice(i, i + 1), slice(0, length)
        alone = session.run(Batch(ids[part], mask[part], types[part]))
        for whole, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[part], single, atol=1e-5)


def test_batch_invariance_of_tiny_float32_logits_of_a_pruned_model(tmp_path):
    config = tiny.config(layer_heads=(1, 2), layer_ffn=(8, 32))
    file = tmp_path / "m.onnx"
    file.write_bytes(build_graph(config, tiny.weights(config)).SerializeToString())
    session = OnnxSession(file)
    ids = np.random.default_rng(0).integers(5, 90, (3, 20))
    mask = (np.arange(20) < np.array([[20], [3], [11]])).astype(np.int64)
    together = session.run(Batch(ids, mask, np.zeros_like(ids)))
    for i, length in enumerate((20, 3, 11)):
        part = slice(i, i + 1), slice(0, length)
        alone = session.run(Batch(ids[part], mask[part], np.zeros_like(ids[part])))
        for whole, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[part], single, atol=1e-5)
