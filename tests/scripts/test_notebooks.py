"""The notebooks of docs/articles run, and print what is stored in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("nbclient", reason="nbclient is not installed: the extra docs")
pytest.importorskip("ipykernel", reason="ipykernel is not installed: the extra docs")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "articles").glob("*.ipynb"))


def test_there_is_one_for_each_article() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "articles").glob("*.md")} - {"index"}
    assert {notebook.stem for notebook in NOTEBOOKS} == pages and len(pages) == 4


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_prints_what_it_did_and_leaves_nothing_behind(notebook, tmp_path) -> None:
    script = str(ROOT / "scripts" / "run_notebooks.py")
    done = subprocess.run(
        [sys.executable, script, "--check", str(notebook)],
        capture_output=True,
        text=True,
        timeout=1800,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not list(tmp_path.iterdir())
