"""Flags and keys are frozen: changing one shows up as a change of a generated page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_RENDER = """
import runpy, sys
sys.stdout.write(runpy.run_path(sys.argv[1])["render"]())
"""


@pytest.mark.parametrize(
    ("script", "page"), [("write_help.py", "help.md"), ("write_recipes.py", "recipes.md")]
)
def test_the_page_is_what_the_program_says(script: str, page: str) -> None:
    # In a process of its own: click keeps the help option that a verb was first invoked with.
    done = subprocess.run(
        [sys.executable, "-c", _RENDER, str(ROOT / "scripts" / script)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    written = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert written.split("\n") == done.stdout.decode().splitlines() + [""], (
        "run `make docs` and look at the difference"
    )
