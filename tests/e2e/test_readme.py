"""The README's commands do what it says, and so do those of the pages that it leads to first.

A fenced block whose first line says ``bash run`` or ``python run`` is executed with the installed
package, in a folder that holds only ``examples``. What it has to print stands in the block behind
``# →``, and in a ``text`` block right below it: each line must occur in the output.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("start-*.md"))]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```\n\n?(?:```text\n(.*?)^```)?", re.M | re.S)


class Block(NamedTuple):
    """A runnable block and the lines it has to print."""

    page: str
    language: str
    code: str
    expected: list[str]

    def __str__(self) -> str:
        return f"{self.page}: {self.code.strip().splitlines()[0]:.40}"


def blocks() -> list[Block]:
    """Every runnable block of the pages, in order."""
    found: list[Block] = []
    for page in PAGES:
        for match in FENCE.finditer(page.read_text(encoding="utf-8")):
            info, code, printed = match.group(1).split(), match.group(2), match.group(3) or ""
            if info[1:] == ["run"]:
                expected = [line.strip() for line in printed.splitlines() if line.strip()]
                expected += [text.strip() for text in re.findall(r"# → (.*)", code)]
                found.append(Block(page.stem, info[0], code, expected))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples", place / "examples")
    return place


def test_the_first_screen_runs() -> None:
    first = blocks()[0]
    assert first.language == "bash"
    assert first.expected
    assert README[: README.index(first.code)].count("\n") < 25


def test_every_page_has_something_to_try() -> None:
    tried = {block.page for block in blocks()}
    # What a page of the web tries takes Node and a browser: tests/bundlers.
    assert tried == {page.stem for page in PAGES} - {"start-web"}


def test_the_readme_is_short() -> None:
    assert README.count("\n") <= 150


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks(), ids=str)
def test_block(installed, folder: Path, block: Block) -> None:
    if block.language == "bash":
        out = installed.check("bash", "-euo", "pipefail", "-c", block.code, cwd=folder)
    else:
        out = installed.check("python", "-W", "error", "-c", block.code, cwd=folder)
    for line in block.expected:
        assert line in out


@pytest.mark.slow
def test_what_people_copy_is_typed(tmp_path: Path) -> None:
    """Strictly, as an editor checks it: nothing public leaks an unknown type."""
    pytest.importorskip("pyright", reason="pyright is not installed: the extra lint")
    snippets = [block for block in blocks() if block.language == "python"]
    for number, block in enumerate(snippets):
        (tmp_path / f"{block.page.replace('-', '_')}_{number}.py").write_text(
            block.code, encoding="utf-8"
        )
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.10"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    report = json.loads(done.stdout)
    said = [f"{one['file']}: {one['message']}" for one in report["generalDiagnostics"]]
    assert not said, said
    assert report["summary"]["filesAnalyzed"] == len(snippets)


def test_every_linked_file_is_there() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []
