"""A PDF → its text, page by page; headings are told by the size of their letters."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.documents.document import Document, Writer
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


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
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
    at = 0
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        first = at + len(bare) - len(bare.lstrip())
        # Offsets are those of pdfium only where no letter takes two of its units; a size or a
        # place that is a letter off does no harm.
        at += len(line)
        tidied = _tidy(bare)
        if tidied and first < n:
            try:
                _, bottom, _, top = letters.get_charbox(first)
            except Exception:  # PdfiumError: a letter without a place
                bottom = top = 0.0
            yield _Line(tidied, raw.FPDFText_GetFontSize(letters.raw, first), top, bottom)


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

    for line in lines:
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


def _joined(lines: Sequence[str]) -> str:
    """Lines as one text; a word that was broken at a hyphen is whole again."""
    text = ""
    for line in lines:
        if text.endswith("-") and text[-2:-1].isalpha() and line[:1].islower():
            text = text[:-1] + line
        else:
            text = f"{text}\n{line}" if text else line
    return text
