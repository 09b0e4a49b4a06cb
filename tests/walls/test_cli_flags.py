"""The flags are frozen: changing one shows up as a change of docs/help.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_RENDER = """
import runpy, sys
sys.stdout.write(runpy.run_path(sys.argv[1])["render"]())
"""


def test_the_help_page_is_what_the_program_prints() -> None:
    # In a process of its own: click keeps the help option that a verb was first invoked with.
    done = subprocess.run(
        [sys.executable, "-c", _RENDER, str(ROOT / "scripts" / "write_help.py")],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    page = (ROOT / "docs" / "help.md").read_text(encoding="utf-8")
    assert page.split("\n") == done.stdout.decode().splitlines() + [""], (
        "run `make docs` and look at the difference"
    )
