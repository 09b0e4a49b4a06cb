"""What the generated pages share: marks in hand-written text, sections, and rows of tables."""

from __future__ import annotations

import re
from collections.abc import Iterable

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
