"""A PDF → its text, page by page; headings are told by the size of their letters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from ctypes import byref, c_double
from dataclasses import dataclass
from math import hypot
from typing import Any

from potstill.documents.document import Document, Writer, named_row
from potstill.errors import DataError

_LARGER = 1.15
"""Letters of a heading are so much larger than those of the text."""
_GAP = 1.45
"""A paragraph ends where the next line is so many usual distances below."""
_PASSWORD = 4
"""``FPDF_ERR_PASSWORD`` of pdfium's public/fpdfview.h."""
_HYPHENS = ("\x02", "\ufffe")
"""What pdfium gives for a hyphen at the end of a line."""
_NUMBERS = re.compile(r"\d+")
_COLUMN = re.compile(r"[^\W\d_a-z][^\d,;]{0,39}")
"""What names a column."""


_APART = 1.0
"""Two cells of a table stand so many sizes of a letter apart, and two words of a line less."""
_CELL = 40
"""Most code points of a cell, on average: in what is longer, text stands beside text."""


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    cells: tuple[_Cell, ...]
    """Its parts, where there is more room than between words; of a line of text, one."""
    size: float
    """Of its letters, in points."""
    top: float
    bottom: float


def read(data: bytes, name: str) -> Document:
    """Reads a PDF.

    Raises:
        DataError: it is encrypted or damaged, or its pages are pictures.
    """
    import pypdfium2 as pdfium

    try:
        file = pdfium.PdfDocument(data)
        pages = [list(_lines(file[number])) for number in range(len(file))]
        title = file.get_metadata_value("Title")
        file.close()
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD or "password" in str(error).lower():
            raise DataError("the PDF is encrypted: save it without a password") from None
        raise DataError(f"the PDF is damaged ({error})") from None
    if not any(pages):
        raise DataError("the PDF holds no text: pictures of pages are not read")
    writer = Writer()
    body = _usual_size(pages)
    for number, lines in enumerate(_without_running_heads(pages), 1):
        writer.move(page=number)
        _write(writer, lines, body)
    pictures = sum(not lines for lines in pages)
    note = f"{pictures} of {len(pages)} pages hold no text" if pictures else ""
    return writer.document(name, title or "", note)


def _lines(page: Any) -> Iterator[_Line]:
    import pypdfium2.raw as raw

    letters = page.get_textpage()
    n = letters.count_chars()
    text = letters.get_text_range(0, n, errors="replace") if n > 0 else ""
    boxes = _Boxes(raw, letters.raw)
    at = 0
    for line in text.splitlines(keepends=True):
        # Offsets are those of pdfium only where no letter takes two of its units; a size or a
        # place that is a letter off does no harm.
        for words in _apart(boxes, line.rstrip("\r\n"), at):
            cells = tuple(
                _Cell(tidied, boxes.of(a)[0], boxes.of(b - 1)[2])
                for a, b in words
                if (tidied := _tidy(text[a:b]))
            )
            first = words[0][0]
            if cells and first < n:
                _, bottom, _, top = boxes.of(first)
                said = " ".join(cell.text for cell in cells)
                yield _Line(said, cells, boxes.size(first), top, bottom)
        at += len(line)


class _Boxes:
    """Where letters of a page stand, and how large they are."""

    def __init__(self, raw: Any, letters: Any) -> None:
        self._raw, self._letters = raw, letters
        self._box = [c_double() for _ in range(4)]

    def of(self, letter: int) -> tuple[float, float, float, float]:
        """Left, bottom, right and top, in points from below; zeros for a letter without a place."""
        left, right, bottom, top = self._box
        pointers = byref(left), byref(right), byref(bottom), byref(top)
        if not self._raw.FPDFText_GetCharBox(self._letters, letter, *pointers):
            return 0.0, 0.0, 0.0, 0.0
        return left.value, bottom.value, right.value, top.value

    def size(self, letter: int) -> float:
        """Of the letter's font, before it is scaled to the page."""
        return self._raw.FPDFText_GetFontSize(self._letters, letter)

    def height(self, letter: int) -> float:
        """Of the letter's font as it stands on the page, in points."""
        matrix = self._raw.FS_MATRIX()
        known = self._raw.FPDFText_GetMatrix(self._letters, letter, matrix)
        return self.size(letter) * (hypot(matrix.c, matrix.d) if known else 1.0)


def _apart(boxes: _Boxes, line: str, at: int) -> Iterator[list[tuple[int, int]]]:
    """What pdfium takes for a line → the lines that it is, each as the borders of its cells.

    ``at`` is the number of its first letter.
    """
    words = [(at + word.start(), at + word.end()) for word in re.finditer(r"\S+", line)]
    if not words:
        return
    cells = [words[0]]
    size = boxes.height(words[0][0])
    for before, word in zip(words, words[1:], strict=False):
        _, low, right, high = boxes.of(before[1] - 1)
        left, bottom, _, top = boxes.of(word[0])
        if high and top and left < right and (bottom > high or top < low):
            yield cells
            cells = [word]
            size = boxes.height(word[0])
        elif right and left - right > _APART * size > 0:
            cells.append(word)
        else:
            cells[-1] = cells[-1][0], word[1]
    yield cells


def _tidy(text: str) -> str:
    """Without what cannot be seen: controls and lone surrogates; a hyphen at the end stays."""
    for hyphen in _HYPHENS:
        text = text.replace(hyphen, "-" if text.rstrip().endswith(hyphen) else "")
    kept = (c for c in text if unicodedata.category(c) not in ("Cc", "Cs", "Cn"))
    return " ".join("".join(kept).split())


def _usual_size(pages: Sequence[Sequence[_Line]]) -> float:
    sizes: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            sizes[round(line.size, 1)] += len(line.text)
    return sizes.most_common(1)[0][0]


def _without_running_heads(pages: Sequence[Sequence[_Line]]) -> Iterator[Sequence[_Line]]:
    """Pages without the first and last lines that are the same, but for numbers, on most."""
    counts: Counter[tuple[bool, str]] = Counter()
    for lines in pages:
        if lines:
            counts[True, _NUMBERS.sub("#", lines[0].text)] += 1
            counts[False, _NUMBERS.sub("#", lines[-1].text)] += 1
    least = max(3, len(pages) * 0.5)
    for lines in pages:
        first = bool(lines) and counts[True, _NUMBERS.sub("#", lines[0].text)] >= least
        last = bool(lines) and counts[False, _NUMBERS.sub("#", lines[-1].text)] >= least
        yield lines[int(first) : len(lines) - int(last)]


def _write(writer: Writer, lines: Sequence[_Line], body: float) -> None:
    distances = [a.bottom - b.bottom for a, b in zip(lines, lines[1:], strict=False)]
    usual = sorted(d for d in distances if 0 < d < 60) or [0.0]
    usual_distance = usual[len(usual) // 2]
    paragraph: list[str] = []
    heading = False
    before: _Line | None = None

    def end() -> None:
        text = _joined(paragraph)
        if heading and len(text) < 200:
            writer.heading(text, 1 if before is not None and before.size > 1.5 * body else 2)
        else:
            writer.paragraph(text)
        paragraph.clear()

    for line, row in _with_rows(lines):
        if row is not None:
            end()
            (writer.row if row.startswith("\n") else writer.paragraph)(row)
            before = None
            heading = False
            continue
        large = body > 0 and line.size > _LARGER * body
        if before is not None and (
            large != heading
            or abs(line.size - before.size) > 0.25 * max(body, 1)
            or not 0 <= before.bottom - line.bottom <= max(_GAP * usual_distance, 1.0)
        ):
            end()
        heading = large
        paragraph.append(line.text)
        before = line
    end()


def _with_rows(lines: Sequence[_Line]) -> Iterator[tuple[_Line, str | None]]:
    """Lines, and of those that are rows of a table what is written for them.

    A table is several lines of several short cells one below the other, the first of which names
    the columns: it has as many cells as any other, each of words that begin with a capital letter.
    """
    at = 0
    while at < len(lines):
        head, end = lines[at].cells, at + 1
        if len(head) > 1 and all(_COLUMN.fullmatch(cell.text) for cell in head):
            while end < len(lines) and _is_row(lines[end], head):
                end += 1
        rows = lines[at + 1 : end]
        lengths = [len(cell.text) for row in rows for cell in row.cells]
        if len(rows) < 2 or sum(lengths) > _CELL * len(lengths):
            yield lines[at], None
            at += 1
            continue
        names = [cell.text for cell in head]
        for number, own in enumerate(_whole_rows(rows, head)):
            yield lines[at], ("\n" if number else "") + named_row(names, own)
        at = end


def _is_row(line: _Line, head: Sequence[_Cell]) -> bool:
    """Whether a line has several cells, or is what goes on of one that is not a row's first."""
    cells = line.cells
    return 1 < len(cells) <= len(head) or (len(cells) == 1 and cells[0].left > head[0].right)


def _whole_rows(lines: Sequence[_Line], head: Sequence[_Cell]) -> list[list[str]]:
    """Rows whose cells have several lines as one: a further line is close and begins no row."""
    distances = [a.bottom - b.bottom for a, b in zip(lines, lines[1:], strict=False)]
    texts = [_in_columns(line.cells, head) for line in lines]
    found = texts[:1]
    rows = sorted(d for d, own in zip(distances, texts[1:], strict=True) if own[0])
    usual = rows[len(rows) // 2] if rows else 0.0
    for distance, own in zip(distances, texts[1:], strict=True):
        if not own[0] and distance < 0.85 * usual:
            found[-1] = [f"{a} {b}".strip() for a, b in zip(found[-1], own, strict=True)]
        else:
            found.append(own)
    return found


def _in_columns(cells: Sequence[_Cell], columns: Sequence[_Cell]) -> list[str]:
    """The text of a row below each name of a column: where it overlaps it most, or is nearest."""
    found = [""] * len(columns)
    for cell in cells:
        shared = [min(cell.right, column.right) - max(cell.left, column.left) for column in columns]
        at = shared.index(max(shared))
        found[at] = f"{found[at]} {cell.text}".strip()
    return found


def _joined(lines: Sequence[str]) -> str:
    """Lines as one text; a word that was broken at a hyphen is whole again."""
    text = ""
    for line in lines:
        if text.endswith("-") and text[-2:-1].isalpha() and line[:1].islower():
            text = text[:-1] + line
        else:
            text = f"{text}\n{line}" if text else line
    return text
