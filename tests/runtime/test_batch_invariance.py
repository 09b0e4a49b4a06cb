"""What a model says of a question does not depend on what is asked beside it, or in which order."""

import importlib.util

import numpy as np
import pytest

import tiny
from potstill import Classifier, QAClient
from potstill.export.bundle import export_bundle

QUESTIONS = [
    (question, f"{'It was a new year. ' * copies}{text}")
    for copies in (0, 1, 4, 9)
    for text, question, _ in tiny.SENTENCES
]
RUNTIMES = [
    "onnxruntime",
    pytest.param(
        "openvino",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("openvino") is None,
            reason="needs pip install 'potstill[openvino]'",
        ),
    ),
    "torch",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    export_bundle(tiny.write_model(folder / "source"), folder / "out", ["hf", "onnx", "int8"])
    return folder / "out"


def logits(client, pairs, **options):
    return [
        np.concatenate([np.stack([w.start, w.end]) for w in said.windows], axis=1)
        for said in client.logits_many(pairs, **options)
    ]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_batch_invariance_of_fp32_logits(folder, runtime):
    client = QAClient.from_options(folder, precision="fp32", runtime=runtime)
    alone = [logits(client, [pair])[0] for pair in QUESTIONS]
    order = np.random.default_rng(0).permutation(len(QUESTIONS))
    for options in ({}, {"token_budget": 1}, {"token_budget": 4096}, {"workers": 3}):
        together = logits(client, [QUESTIONS[i] for i in order], **options)
        for i, found in zip(order, together, strict=True):
            assert np.abs(found - alone[i]).max() <= 1e-5


@pytest.mark.parametrize("runtime", RUNTIMES[:2])
def test_batch_invariance_of_int8_answers(folder, runtime):
    client = QAClient.from_options(folder, precision="int8", runtime=runtime)
    alone = [client.predict(*pair) for pair in QUESTIONS]
    order = np.random.default_rng(1).permutation(len(QUESTIONS))
    for workers in (1, 3):
        together = client.predict_many([QUESTIONS[i] for i in order], workers=workers)
        for i, found in zip(order, together, strict=True):
            assert (found.text, found.start) == (alone[i].text, alone[i].start)
            assert found.score == pytest.approx(alone[i].score, abs=1e-5)


def test_batch_invariance_of_labels(tmp_path):
    folder = tiny.write_model(tmp_path, head="classification", labels=("a", "b", "c"))
    classifier = Classifier.from_options(folder)
    texts = [context for _, context in QUESTIONS]
    together = classifier.logits_many(texts, workers=2)
    for text, found in zip(texts, together, strict=True):
        assert np.abs(classifier.logits_many([text])[0] - found).max() <= 1e-5
