"""Word, OpenDocument, PowerPoint and EPUB: archives of XML → documents."""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from potstill.documents import html
from potstill.documents.archives import has, member, open_content, opened, parsed
from potstill.documents.decoding import decode
from potstill.documents.document import Document, Writer, spaced
from potstill.errors import DataError, MissingExtraError

_LEVEL = re.compile(r"(?:Heading|heading) (\d)")


def read_word(data: bytes, name: str) -> Document:
    """Reads a DOCX: paragraphs, lists and tables in order, headings by their style.

    Raises:
        DataError: it is damaged, encrypted or unpacks to too much.
    """
    opened(data).close()
    import docx
    from docx.table import Table

    try:
        book = docx.Document(io.BytesIO(data))
    except (KeyError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(f"it is a damaged DOCX ({spaced(str(error)):.100})") from None
    writer = Writer()
    for block in book.iter_inner_content():
        if isinstance(block, Table):
            _word_table(writer, block)
            continue
        text = _word_text(block._p)  # noqa: SLF001 - the library has no other way to the element
        style = (block.style.name if block.style is not None else "") or ""
        level = _LEVEL.match(style)
        if level or style == "Title":
            writer.heading(text, int(level[1]) if level else 0)
        else:
            writer.paragraph(f"- {text}" if style.startswith("List") and text.strip() else text)
    _word_notes(writer, book)
    return writer.document(name, book.core_properties.title or "")


def _word_table(writer: Writer, table: Any) -> None:
    rows: list[list[str]] = []
    for row in table.rows:
        cells: list[Any] = []
        for cell in row.cells:  # a merged cell comes once for each column it covers
            if not cells or cell._tc is not cells[-1]._tc:  # noqa: SLF001 - as above
                cells.append(cell)
        texts = [[_word_text(p._p) for p in c.paragraphs] for c in cells]  # noqa: SLF001 - as above
        rows.append([spaced(" ".join(own)) for own in texts])
    _write_table(writer, rows)


def _word_notes(writer: Writer, book: Any) -> None:
    """Footnotes and endnotes, which python-docx leaves alone."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    for part in book.part.package.iter_parts():
        if part.partname.endswith(("/footnotes.xml", "/endnotes.xml")):
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            for note in etree.fromstring(part.blob, parser):
                writer.paragraph(_word_text(note))


def _word_text(paragraph: Any) -> str:
    """The words of a paragraph, those that were inserted by a reviewer too."""
    parts: list[str] = []
    for one in paragraph.iter():
        tag = one.tag.rpartition("}")[2] if isinstance(one.tag, str) else ""
        if tag == "t":
            parts.append(one.text or "")
        elif tag in ("tab", "br", "cr") and one.getparent().tag.endswith("}r"):
            parts.append("\n" if tag != "tab" else " ")
        elif tag == "noBreakHyphen":
            parts.append("-")
    return "".join(parts)


def read_open(data: bytes, name: str) -> Document:
    """Reads OpenDocument text and presentations (ODT, ODP).

    Raises:
        DataError: it is damaged, encrypted or unpacks to too much.
    """
    with opened(data) as archive:
        content = open_content(archive)
        title = ""
        if "meta.xml" in archive.namelist():
            meta = parsed(member(archive, "meta.xml"))
            title = next((e.text or "" for e in meta.iter("{*}title")), "")
    writer = Writer()
    body = next(iter(content.iter("{*}body")), content)
    pages = 0
    for one in body.iter():
        tag = one.tag.rpartition("}")[2] if isinstance(one.tag, str) else ""
        if tag == "page":
            pages += 1
            writer.move(page=pages)
        elif tag == "table":
            rows = [
                [spaced(" ".join(map(_open_text, cell.iter("{*}p")))) for cell in _cells(row)]
                for row in one.iter("{*}table-row")
            ]
            _write_table(writer, rows)
        elif tag in ("h", "p") and not any(a.tag.endswith("}table") for a in one.iterancestors()):
            text = _open_text(one)
            if tag == "h":
                level = next((v for k, v in one.items() if k.endswith("outline-level")), "1")
                writer.heading(text, int(level))
            else:
                writer.paragraph(text)
    return writer.document(name, title)


def _cells(row: Any) -> Iterator[Any]:
    for cell in row:
        if cell.tag.endswith("}table-cell"):
            yield cell


def _open_text(paragraph: Any) -> str:
    parts = [paragraph.text or ""]
    for one in paragraph:
        tag = one.tag.rpartition("}")[2] if isinstance(one.tag, str) else ""
        if tag in ("s", "tab"):
            parts.append(" ")
        elif tag == "line-break":
            parts.append("\n")
        elif tag not in ("annotation", "tracked-changes"):
            parts.append(_open_text(one))
        parts.append(one.tail or "")
    return "".join(parts)


def read_slides(data: bytes, name: str) -> Document:
    """Reads a PPTX: titles, texts, tables and notes, slide by slide.

    Raises:
        DataError: it is damaged, encrypted or unpacks to too much.
        MissingExtraError: python-pptx is not installed.
    """
    opened(data).close()
    try:
        from pptx import Presentation
    except ModuleNotFoundError:
        raise MissingExtraError("python-pptx", "documents", "reading PPTX") from None
    try:
        show = Presentation(io.BytesIO(data))
    except (KeyError, ValueError, AttributeError) as error:
        raise DataError(f"it is a damaged PPTX ({spaced(str(error)):.100})") from None
    writer = Writer()
    for number, slide in enumerate(show.slides, 1):
        writer.forget_headings()
        writer.move(page=number)
        heading = slide.shapes.title
        if heading is not None:
            writer.heading(heading.text_frame.text, 1)
        for shape in _shapes(slide.shapes):
            if shape.has_text_frame and (heading is None or shape.shape_id != heading.shape_id):
                for paragraph in shape.text_frame.paragraphs:
                    writer.paragraph("".join(run.text for run in paragraph.runs))
            elif getattr(shape, "has_table", False):
                _write_table(writer, [[spaced(c.text) for c in r.cells] for r in shape.table.rows])
        if slide.has_notes_slide:
            notes = slide.notes_slide.notes_text_frame
            writer.paragraph(notes.text if notes is not None else "")
    return writer.document(name, show.core_properties.title or "")


def _shapes(shapes: Any) -> Iterator[Any]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def read_epub(data: bytes, name: str) -> Document:
    """Reads an EPUB: its chapters in the order they are read.

    Raises:
        DataError: it is damaged, copy-protected or unpacks to too much.
    """
    writer = Writer()
    with opened(data) as archive:
        if has(archive, "META-INF/encryption.xml") and has(archive, "META-INF/rights.xml"):
            raise DataError("it is copy-protected")
        container = parsed(member(archive, "META-INF/container.xml"))
        root = next((e.get("full-path") for e in container.iter("{*}rootfile")), None) or ""
        package = parsed(member(archive, root))
        items = {e.get("id"): e for e in package.iter("{*}item")}
        for chapter in package.iter("{*}itemref"):
            item = items.get(chapter.get("idref"))
            if item is None or "nav" in (item.get("properties") or "").split():
                continue
            path = posixpath.join(posixpath.dirname(root), unquote(item.get("href") or ""))
            text = decode(member(archive, posixpath.normpath(path)), declared=True)
            writer.forget_headings()
            html.write(writer, text or "")
    title = next((e.text or "" for e in package.iter("{*}title")), "")
    return writer.document(name, title)


def _write_table(writer: Writer, rows: list[list[str]]) -> None:
    """A table whose first row is one of names, where it looks like that."""
    rows = [row for row in rows if any(row)]
    head = rows[0] if len(rows) > 1 else []
    named = len(head) > 2 and all(head) and len(set(head)) == len(head)
    digits = any(any(c.isdigit() for c in cell) for cell in head)
    html.write_table(writer, rows, head if named and not digits else None)
