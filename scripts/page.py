"""What the generated pages share: marks in hand-written text, sections, and rows of tables."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from potstill.bundle.atomic import write_text
from potstill.errors import PotstillError
from potstill.reports import plot

MARK = re.compile(r"^<!-- ([\w-]+): (.+?) -->$", re.M)
"""``<!-- KIND: WORDS -->``, a line that is replaced by what the records say."""
SECTION = re.compile(r"^<!-- with: (\S+) -->\n+(.*?)^<!-- end: \1 -->\n+", re.M | re.S)
"""What stands between these two lines is left out as long as there is no record of that name."""
UNKNOWN = "–"


def row(cells: Iterable[str]) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def table(heads: list[str], lines: Iterable[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join([row(heads), row(["---"] * len(heads)), *map(row, lines)])


def command(
    name: str,
    says: str,
    docs: Path,
    rendered: Callable[[Path], Mapping[str, Any]],
    stale: Callable[[Path], list[str]],
) -> int:
    """The command line of a script that writes a page and its plots, or checks them.

    Args:
        name: of the script, without its ending.
        says: its docstring.
        docs: the folder by default.
        rendered: path below the folder → text, or a picture to draw.
        stale: files that are not what the records say.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description=says.splitlines()[0])
    parser.add_argument("--docs", type=Path, default=docs, help="folder with the records in it")
    parser.add_argument("--check", action="store_true", help="only say what is out of date")
    arguments = parser.parse_args()
    try:
        if arguments.check:
            late = stale(arguments.docs)
            for file in late:
                print(f"{file} is not what the records say: run scripts/{name}.py")
            return 1 if late else 0
        files = rendered(arguments.docs)
        # All is drawn before anything is written, so that a page never lacks its plots.
        texts = {file: f if isinstance(f, str) else plot.draw(f) for file, f in files.items()}
        for file, text in texts.items():
            write_text(arguments.docs / file, text)
    except PotstillError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 1
    return 0
