"""The guide's code by hub id, against a stand-in hub: nothing is in the current folder."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import hub_server
import tiny

pytestmark = pytest.mark.slow
GUIDE = Path(__file__).with_name("test_guide.py")


def test_the_guide_runs_by_hub_id(tmp_path: Path) -> None:
    for name in ("uncased", "cased"):
        tiny.write_model(tmp_path / name, "distilbert", head="mlm", max_positions=320)
    snippets = [
        code.replace("transformers", "potstill")
        for name, code in runpy.run_path(str(GUIDE))["SNIPPETS"].items()
        if name != "CONFIG"
    ]
    with hub_server.running() as hub:
        hub.models = {f"distilbert-base-{n}": tmp_path / n for n in ("uncased", "cased")}
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        online = {**clean, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url}

        def run(code: str) -> None:
            done = subprocess.run(
                [sys.executable, "-c", code],
                env=online,
                cwd=tmp_path / "uncased",
                capture_output=True,
                text=True,
                timeout=240,
            )
            assert done.returncode == 0, done.stderr

        run(snippets[0])  # the tokenizer alone
        assert "model.safetensors" not in [file for file, _ in hub.downloads]
        run("\n".join(snippets[1:]))
    sent = [file for file, _ in hub.downloads]
    assert sent.count("model.safetensors") == 2
