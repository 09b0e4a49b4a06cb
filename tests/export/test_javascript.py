"""Exported TF.js graph models and SavedModels, run by the JavaScript package."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from worker import Worker

import tiny
from potstill import QAClient
from potstill.export.bundle import export_bundle
from potstill.export.targets import TARGETS

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "clients" / "js" / "node_modules" / "@tensorflow"
SHORT = {"seqLen": 64, "stride": 16}
ASKED = [
    ("Who won the game?", "Denver Broncos won the game in Denver."),
    ("What is the capital?", "日本の首都は東京です。 🏈 The capital of Japan is 東京 (Tokyo)."),
    ("Who wrote it?", "The book was written by Zoe\u0308 Cafe\u0301 in 1999."),
    ("What was built?", "The old king built a tower 🏈 by the river Thames. " * 12),
]

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None, reason="needs pip install 'potstill[tf]'"
    ),
    pytest.mark.skipif(
        not (shutil.which("node") and (MODULES / "tfjs-core").is_dir()),
        reason="needs Node 20 and make clients/js/node_modules/.ready",
    ),
    # TensorFlow's own, on being loaded and on loading what it saved.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]


@pytest.fixture(scope="module", params=["bert", "distilbert"])
def exported(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    folder = tiny.write_model(path / "model", request.param, max_positions=128)
    names = ["onnx", "savedmodel", "tfjs", "tfjs-fp16", "tfjs-uint8"]
    export_bundle(folder, path / "out", names)
    return path / "out"


def in_python(folder: Path, session=None):
    """Answers with places in UTF-16 units, from the ONNX file or another session."""
    client = QAClient.from_options(folder, precision="fp32", threads=1, seq_len=64, stride=16)
    client.session = session or client.session
    found = []
    for question, context in ASKED:
        answer = client.predict(question, context)
        place = [len(context[:at].encode("utf-16-le")) // 2 for at in (answer.start, answer.end)]
        found.append((answer.text, *place, answer.score))
    return found


def in_node(folder: Path, runtime: str, **options):
    script = str(ROOT / "benchmarks" / "node_worker.mjs")
    words = (str(folder), runtime, "1", json.dumps({**SHORT, **options}))
    with Worker(shutil.which("node"), script, *words, flag=None) as worker:
        said = [worker.ask({"question": q, "context": c})["answer"] for q, c in ASKED]
    return [(a["text"], a["start"], a["end"], a["score"]) for a in said]


def assert_alike(found, wanted, within=1e-5) -> None:
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert abs(one[3] - other[3]) <= within


def test_a_graph_model_in_tfjs_answers_as_python_does(exported) -> None:
    assert_alike(in_node(exported, "tfjs"), in_python(exported))


@pytest.mark.parametrize("name", ["tfjs-fp16", "tfjs-uint8"])
def test_tfjs_widens_rounded_weights_as_the_check_here_does(exported, name) -> None:
    target = TARGETS[name]
    session = target.runtime.sessions[0](exported / target.file, "qa")
    assert_alike(in_node(exported, "tfjs", file=target.file), in_python(exported, session))


@pytest.mark.skipif(
    not any(MODULES.glob("tfjs-node/lib/napi-v*/tfjs_binding.node")),
    reason="needs tfjs-node, built as docs/javascript.md says",
)
@pytest.mark.parametrize("signature", ["serving_default", "dynamic"])
def test_a_saved_model_in_tfjs_node_answers_as_python_does(exported, signature) -> None:
    found = in_node(exported, "saved_model", signatureName=signature)
    assert_alike(found, in_python(exported))
