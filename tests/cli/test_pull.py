"""The verb; what a download does is tested in tests/bundle/test_hub.py."""

from __future__ import annotations

import os
import subprocess
import sys

from click.testing import CliRunner

import hub_server
import tiny
from potstill.cli import main


def test_pull_prints_the_folder(tmp_path) -> None:
    with hub_server.running() as hub:
        hub.models["team/reader"] = tiny.write_model(tmp_path / "reader")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        done = subprocess.run(
            [sys.executable, "-m", "potstill", "pull", "team/reader", "--out", tmp_path / "out"],
            env={**clean, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_offline_is_one_line_and_exit_1() -> None:
    done = CliRunner().invoke(main, ["pull", "team/reader"])  # the tests are offline
    assert done.exit_code == 1
    assert done.stderr.startswith("potstill: error: 'team/reader'")
    assert done.stderr.count("\n") == 1
