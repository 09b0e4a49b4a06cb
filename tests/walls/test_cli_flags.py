"""The flags are frozen: changing one shows up as a change of docs/help.md."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_help_page_is_what_the_program_prints() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "write_help.py"))
    page = (ROOT / "docs" / "help.md").read_text(encoding="utf-8")
    assert page == script["render"](), "run `make docs` and look at the difference"
