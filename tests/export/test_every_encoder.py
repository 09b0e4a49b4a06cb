"""Encoders of every kind as people meet them: a folder, exported, asked, described."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

import tiny
from potstill import Chooser, Classifier, QAClient, Tagger
from potstill.bundle.config import read_config
from potstill.cli import main
from potstill.export.bundle import export_bundle
from potstill.export.gate import Gate
from potstill.runtime.torch_session import TorchSession

KINDS = ["xlm-roberta", "albert", "modernbert", "deberta-v2"]
JS = Path(__file__).parents[2] / "clients" / "js" / "src" / "index.js"
ASKED = [(question, text) for text, question, _ in tiny.SENTENCES]
ASKED.append(("Who won?", "  Café 🏈 Denver\u00a0won the\n\ngame, ½ of it. " * 9))


@pytest.fixture(scope="module", params=KINDS)
def exported(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    folder = tiny.write_model(path / "model", request.param)
    gate = Gate.from_file(tiny.write_squad(path / "dev.json"), 100, model=folder)
    export_bundle(folder, path / "out", ["hf", "onnx", "fp16", "int8"], gate=gate)
    return path / "out"


def test_it_answers_alike_in_every_runtime(exported):
    options = {"seq_len": 64, "stride": 16, "threads": 1}
    exact = QAClient.from_options(exported, runtime="torch", **options)
    assert isinstance(exact.session, TorchSession)
    files = [QAClient.from_options(exported, precision=p, **options) for p in ("fp32", "fp16")]
    rounded = QAClient.from_options(exported, precision="int8", **options)
    for question, context in ASKED:
        wanted = exact.predict(question, context)
        assert context[wanted.start : wanted.end] == wanted.text
        for client, near in zip(files, (1e-5, 5e-3), strict=True):
            said = client.predict(question, context)
            assert said.score == pytest.approx(wanted.score, abs=near)
        assert 0 < rounded.predict(question, context).score <= 1


def test_info_names_what_runs_it(exported):
    said = " ".join(CliRunner().invoke(main, ["info", str(exported)]).output.split())
    kind = read_config(exported).model_type
    assert f"shape {kind}, " in said
    if kind != "xlm-roberta":
        assert f"runtime onnxruntime: the engine runs no {kind} models" in said


@pytest.mark.engine
@pytest.mark.parametrize("exported", ["xlm-roberta"], indirect=True)
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node 20")
def test_node_answers_from_the_same_folder(exported):
    """Where the engine runs it: Node has no other runtime without a package."""
    script = f"""
        import {{ QAClient }} from {json.dumps(JS.as_uri())};
        const model = {json.dumps(str(exported))};
        const options = {{ model, seqLen: 64, stride: 16, precision: "int8" }};
        const client = await QAClient.fromOptions(options);
        const found = [];
        for (const [question, context] of {json.dumps(ASKED)}) {{
          found.push(await client.predict(question, context, {{ noAnswer: false }}));
        }}
        console.log(JSON.stringify(found));
        process.exit(0);
    """
    command = ["node", "--input-type=module", "-e", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    options = {"runtime": "native", "precision": "int8", "threads": 1}
    client = QAClient.from_options(exported, seq_len=64, stride=16, **options)
    for (question, context), found in zip(ASKED, json.loads(done.stdout), strict=True):
        wanted = client.predict(question, context, no_answer=False)
        assert found["text"] == wanted.text
        assert found["score"] == pytest.approx(wanted.score, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_clients(tmp_path, kind):
    labels = {"labels": ("bad", "good", "none")}
    text = "The old king built a tower."
    for head, client in (("classification", Classifier), ("tagging", Tagger), ("choice", None)):
        folder = tiny.write_model(tmp_path / head, kind, head=head, **(labels if client else {}))
        export_bundle(folder, tmp_path / f"{head}-out", ["int8"])
        opened = (client or Chooser).from_options(tmp_path / f"{head}-out", threads=1)
        if head == "classification":
            assert {one.label for one in opened.classify(text).labels} == set(labels["labels"])
        elif head == "tagging":
            assert all(text[e.start : e.end] == e.text for e in opened.tag(text))
        else:
            found = opened.choose("Who won?", ["the king", "the queen"])
            assert sum(one.score for one in found) == pytest.approx(1, abs=1e-6)
