"""Text, logs, source code, Markdown and notebooks → documents."""

from __future__ import annotations

import json
import re

from potstill.documents.decoding import decode
from potstill.documents.document import Document, Place, Writer, named_row, spaced
from potstill.errors import DataError

_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.+?)(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_MATTER = "---"
_TITLE = re.compile(r"title:\s*")
_RULE = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
"""The line below the names of a table's columns."""
_BAR = re.compile(r"(?<!\\)\|")
_STYLE = re.compile(r"[*_`]{1,3}")


def read_text(data: bytes, name: str) -> Document:
    """Reads a file of lines as it is.

    Raises:
        DataError: it is no text.
    """
    text = decode(data)
    if text is None:
        raise DataError("it is not text")
    return Document(name=name, text=text, lines=True)


def read_markdown(data: bytes, name: str) -> Document:
    """Reads Markdown: its text line by line, its headings as places.

    A row of a table stays on its line, with the names of the columns.

    Raises:
        DataError: it is no text.
    """
    document = read_text(data, name)
    text = _with_names(document.text)
    marks, title = _headings(text)
    return Document(name=name, text=text, title=title, marks=marks, lines=True)


def read_notebook(data: bytes, name: str) -> Document:
    """Reads a Jupyter notebook: the cells, and what they printed.

    Raises:
        DataError: it is no notebook.
    """
    try:
        cells = json.loads(decode(data) or "")["cells"]
        writer = Writer()
        for number, cell in enumerate(cells, 1):
            writer.move(row=number)
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                for part in re.split(r"(?m)^(?=#{1,6} )", source):
                    found = _ATX.match(part.split("\n", 1)[0])
                    if found:
                        writer.heading(_STYLE.sub("", found[2]), len(found[1]))
                        part = part.partition("\n")[2]
                    writer.paragraph(part)
            else:
                writer.paragraph(source)
                for output in cell.get("outputs", []):
                    said = output.get("text") or output.get("data", {}).get("text/plain", "")
                    writer.paragraph("".join(said)[:10_000])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError("it is not a notebook of Jupyter") from None
    return writer.document(name)


def _with_names(text: str) -> str:
    """Markdown whose tables are as `tables.write_rows` writes them, in as many lines."""
    if "|" not in text:
        return text
    lines = text.splitlines(keepends=True)
    fence, head = "", list[str]()
    for number, line in enumerate(lines):
        bare = line.rstrip("\r\n")
        if opened := _FENCE.match(bare):
            fence = "" if fence and opened[1].startswith(fence) else fence or opened[1][:3]
        below = lines[number + 1].rstrip("\r\n") if number + 1 < len(lines) else ""
        if fence or "|" not in bare:
            head = []
        elif head and not _RULE.match(bare):
            lines[number] = named_row(head, _cells(bare)) + line[len(bare) :]
        elif head or ("|" in below and _RULE.match(below)):
            head = head or _cells(bare)
            lines[number] = line[len(bare) :]
    return "".join(lines)


def _cells(line: str) -> list[str]:
    cells = _BAR.split(line.strip().removeprefix("|").removesuffix("|"))
    return [spaced(cell.replace("\\|", "|")) for cell in cells]


def _headings(text: str) -> tuple[list[tuple[int, Place]], str]:
    """Where each heading begins, and the first one of the highest level."""
    marks: list[tuple[int, Place]] = [(0, Place())]
    above: list[tuple[int, str]] = []
    title = ""
    fence = ""
    before = (0, "")
    at = 0
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        opened = _FENCE.match(bare)
        found: tuple[int, int, str] | None = None
        if at == 0 and bare.rstrip() == _MATTER:
            fence = _MATTER
        elif fence == _MATTER:  # names and values of the page, in front of its text
            fence = "" if bare.rstrip() in (_MATTER, "...") else fence
            title = title or (_TITLE.sub("", bare).strip("\"' ") if _TITLE.match(bare) else "")
        elif opened and not fence:
            fence = opened[1][:3]
        elif opened and opened[1].startswith(fence):
            fence = ""
        elif not fence and (atx := _ATX.match(bare)):
            found = at, len(atx[1]), atx[2]
        elif not fence and before[1].strip() and _SETEXT.match(bare) and "|" not in before[1]:
            found = before[0], 1 if "=" in bare else 2, before[1]
        if found:
            start, level, words = found
            words = _STYLE.sub("", words).strip()
            above = [*(one for one in above if one[0] < level), (level, words)]
            marks.append((start, Place(heading=" > ".join(one[1][:120] for one in above))))
            title = title or (words if level == 1 else "")
        plain = not found and not opened and not fence
        before = (at, bare if plain and not bare.startswith(("-", ">", "*", "    ")) else "")
        at += len(line)
    return marks, title
