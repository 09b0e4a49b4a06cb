"""The JavaScript package's remote runtime, on this server: the answers of Python."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from worker import Worker

from potstill import QAClient

NODE = shutil.which("node")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "node_worker.mjs"
CONTEXT = "🏈 Denver Broncos won the game in Denver. The old king built a tower by the Thames. "


@pytest.mark.skipif(NODE is None, reason="needs Node 20")
def test_a_page_or_node_can_ask_this_server(server, folders):
    client = QAClient.from_options(folders["reader"], threads=1)
    options = json.dumps({"path": f"{server.url}/v1/models/reader"})
    with Worker(NODE, str(SCRIPT), folders["reader"], "remote", "1", options, flag=None) as node:
        for question in ("Who won the game?", "What was built?"):
            for context in (CONTEXT, CONTEXT * 12):
                said = node.ask({"question": question, "context": context})["answer"]
                wanted = client.predict(question, context)
                assert said["text"] == wanted.text
                units = [
                    len(context[:n].encode("utf-16-le")) // 2 for n in (wanted.start, wanted.end)
                ]
                assert [said["start"], said["end"]] == units
                assert said["score"] == pytest.approx(wanted.score, abs=1e-5)
