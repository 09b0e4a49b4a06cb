"""The README's commands do what it says.

A fenced block whose first line says ``bash run`` or ``python run`` is executed with the installed
package, in a folder that holds only ``examples``. What it has to print stands in the block behind
``# →``, and in a ``text`` block right below it: each line must occur in the output.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```\n\n?(?:```text\n(.*?)^```)?", re.M | re.S)

pytestmark = pytest.mark.slow


class Block(NamedTuple):
    """A runnable block and the lines it has to print."""

    language: str
    code: str
    expected: list[str]


def blocks() -> list[Block]:
    """Every runnable block of the README, in order."""
    found: list[Block] = []
    for match in FENCE.finditer(README):
        info, code, printed = match.group(1).split(), match.group(2), match.group(3) or ""
        if info[1:] == ["run"]:
            expected = [line.strip() for line in printed.splitlines() if line.strip()]
            expected += [text.strip() for text in re.findall(r"# → (.*)", code)]
            found.append(Block(info[0], code, expected))
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


@pytest.mark.parametrize("number", range(len(blocks())))
def test_block(installed, folder: Path, number: int) -> None:
    language, code, expected = blocks()[number]
    if language == "bash":
        out = installed.check("bash", "-euo", "pipefail", "-c", code, cwd=folder)
    else:
        out = installed.check("python", "-W", "error", "-c", code, cwd=folder)
    for line in expected:
        assert line in out


def test_every_linked_file_is_there() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []
