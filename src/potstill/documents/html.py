"""HTML → the text that a reader of the page sees."""

from __future__ import annotations

import re
from typing import Any

from potstill.documents.decoding import decode
from potstill.documents.document import APART, Document, Writer, spaced
from potstill.errors import DataError

_LEFT_OUT = frozenset(
    "script style template noscript nav head svg math iframe object canvas audio video button "
    "select datalist dialog".split()
)
_BLOCKS = frozenset(
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure "
    "footer form header hr html li main menu ol p pre section summary table caption ul".split()
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_HEADING = re.compile("h([1-6])")
_DEEPEST = 200
_WIDEST = 50
"""Most columns or rows that a cell spans; what says more is no table."""
_BREAK = "\u2028"
"""What stands for a <br> until its block ends."""


def read(data: bytes, name: str) -> Document:
    """Reads a page.

    Raises:
        DataError: it is no text.
    """
    text = decode(data, declared=True)
    if text is None:
        raise DataError("it is not text")
    writer = Writer()
    return writer.document(name, write(writer, text))


def write(writer: Writer, text: str) -> str:
    """Writes the text of a page, and gives its title."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    if not text.strip():
        return ""
    # As bytes: a declaration of the encoding in the text itself would be an error.
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    root: Any = etree.fromstring(text.encode("utf-8", "replace"), parser)
    if root is None:
        return ""
    _Page(writer).walk(root)
    return spaced(root.findtext(".//title") or "")


class _Page:
    """Collects the words of a block until it ends."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._words: list[str] = []
        self._pre = 0

    def walk(self, element: Any, depth: int = 0) -> None:
        tag = element.tag if isinstance(element.tag, str) else ""
        if depth < _DEEPEST and tag not in _LEFT_OUT and not _is_hidden(element):
            self._open(element, tag, depth)
        if element.tail:
            self._words.append(element.tail)

    def _open(self, element: Any, tag: str, depth: int) -> None:
        heading = _HEADING.fullmatch(tag)
        if heading:
            self._end()
            self._writer.heading(spaced(_text(element)), int(heading[1]))
        elif tag == "br":
            self._words.append(_BREAK)
        elif tag == "table" and not element.findall(".//table"):
            self._end()
            self._table(element, depth)
        elif tag == "img":
            self._words.append(element.get("alt") or "")
        else:
            block = tag in _BLOCKS or tag in ("td", "th", "tr")
            if block:
                self._end()
            if tag == "li":
                self._words.append("- ")
            self._pre += tag in ("pre", "textarea")
            self._words.append(element.text or "")
            for child in element:
                self.walk(child, depth + 1)
            if block:
                self._end()
            self._pre -= tag in ("pre", "textarea")

    def _table(self, table: Any, depth: int) -> None:
        rows: list[list[str]] = []
        first_is_head = False
        below: dict[int, tuple[str, int]] = {}
        for row in table.iter("tr"):
            cells = [cell for cell in row if cell.tag in ("td", "th")]
            if not rows:
                is_head = row.getparent().tag == "thead" or all(cell.tag == "th" for cell in cells)
                first_is_head = len(cells) > 1 and is_head
            rows.append(_row(cells, below))
        caption = table.find("caption")
        if caption is not None:
            self._writer.paragraph(spaced(_text(caption)))
        write_table(self._writer, rows, rows[0] if first_is_head and len(rows) > 1 else None)

    def _end(self) -> None:
        text = "".join(self._words)
        self._words = []
        if self._pre:
            self._writer.paragraph(text.replace(_BREAK, "\n").rstrip())
            return
        lines = [spaced(line) for line in text.split(_BREAK)]
        self._writer.paragraph("\n".join(line for line in lines if line not in ("", "-")))


def _row(cells: list[Any], below: dict[int, tuple[str, int]]) -> list[str]:
    """The texts of a row's cells; one that spans columns or rows stands in each of them.

    Args:
        cells: elements.
        below: column → text of a cell that reaches down from above, and how many rows still.
    """
    row: list[str] = []

    def take_from_above() -> None:
        while len(row) in below:
            text, left = below.pop(len(row))
            if left > 1:
                down[len(row)] = text, left - 1
            row.append(text)

    down: dict[int, tuple[str, int]] = {}
    for cell in cells:
        text = spaced(_text(cell))
        for _ in range(_span(cell, "colspan")):
            take_from_above()
            if (rows := _span(cell, "rowspan")) > 1:
                down[len(row)] = text, rows - 1
            row.append(text)
    take_from_above()
    below.clear()
    below.update(down)
    return row


def _span(cell: Any, name: str) -> int:
    value = (cell.get(name) or "").strip()
    return min(max(int(value), 1), _WIDEST) if value.isdecimal() else 1


def write_table(writer: Writer, rows: list[list[str]], head: list[str] | None) -> None:
    """Writes the rows of a table, each cell with the name of its column where there are names."""
    writer.paragraph("")
    first = True
    for row in rows[1:] if head else rows:
        if head and len(row) == len(head):
            cells = [
                f"{name}: {cell}" if name and name != cell else cell
                for name, cell in zip(head, row, strict=True)
                if cell
            ]
        else:
            cells = [cell for cell in row if cell]
        text = APART.join(cells)
        (writer.paragraph if first else writer.row)(text)
        first = first and not text


def _text(element: Any) -> str:
    """The words inside an element."""
    parts = [element.text or ""]
    for child in element:
        tag = child.tag if isinstance(child.tag, str) else ""
        apart = " " if tag in _BLOCKS or tag == "br" else ""
        inside = "" if tag in _LEFT_OUT else child.get("alt") or _text(child)
        parts += [apart, inside, apart, child.tail or ""]
    return "".join(parts)


def _is_hidden(element: Any) -> bool:
    style = element.get("style") or ""
    return (
        element.get("hidden") is not None
        or element.get("role") == "navigation"
        or bool(style and _HIDDEN.search(style))
    )
