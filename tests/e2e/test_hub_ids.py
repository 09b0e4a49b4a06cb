"""A hub id wherever a model is named: the torch classes, the client, the pipeline, the shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hub_server
import tiny

pytestmark = pytest.mark.slow

CODE = """
import json
import torch
import potstill

model = potstill.BertForQuestionAnswering.from_pretrained("team/reader")
tokenizer = potstill.Tokenizer.from_folder(FOLDER)
client = potstill.QAClient.from_options("team/reader")
pipe = potstill.pipeline("question-answering", model="team/reader", align_to_words=False)
question, context = "who won the game", "the queen of the old city won the last game"
by_torch = potstill.QuestionAnsweringPipeline(model, tokenizer, align_to_words=False)
answers = [client.predict(question, context, max_answer_tokens=15).to_dict()]
answers += [p(question=question, context=context) for p in (pipe, by_torch)]
print(json.dumps(answers))
"""


def test_every_door_takes_a_hub_id(tmp_path: Path) -> None:
    folder = tiny.write_model(tmp_path / "reader")
    with hub_server.running() as hub:
        hub.models["team/reader"] = folder
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        home = str(tmp_path / "home")
        online = {**clean, "HF_HOME": home, "HF_ENDPOINT": hub.url, "POTSTILL_CACHE": home}

        def run(*command: str, **more: str) -> str:
            done = subprocess.run(
                [sys.executable, *command],
                env={**online, **more},
                capture_output=True,
                text=True,
                timeout=240,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        code = CODE.replace("FOLDER", repr(str(folder)))
        first, *others = json.loads(run("-c", code))
        for other in others:
            assert other["answer"] == first["answer"]
            assert other["score"] == pytest.approx(first["score"], abs=1e-4)
    # The hub is gone: what was downloaded answers without it.
    ask = ("-m", "potstill", "ask", "who won the game", "--context", "the queen won", "--json")
    (answer,) = json.loads(run(*ask, "--model", "team/reader", HF_HUB_OFFLINE="1"))
    assert answer["source"] == "context"
