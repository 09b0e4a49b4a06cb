"""Spreadsheets → a row a line, each value as the sheet shows it.

XLSX keeps a value and, in another file, how it is shown: python-calamine gives the one, and the
other is read here. OpenDocument keeps what is shown beside the value.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from potstill.documents.archives import member, open_content, opened, parsed
from potstill.documents.cells import shown
from potstill.documents.document import Document, Writer, spaced
from potstill.documents.tables import said, write_rows
from potstill.errors import DataError, MissingExtraError

_REPEATED = 1000
"""Most times that a cell or a row which holds something is repeated."""
_WIDEST = 16_384
"""Columns of a sheet."""
_LONGEST = 1_048_576
"""Rows of a sheet."""
_BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 17: "mmm-yy",
    5: '"$"#,##0', 6: '"$"#,##0', 7: '"$"#,##0.00', 8: '"$"#,##0.00',
    37: "#,##0;(#,##0)", 38: "#,##0;(#,##0)", 39: "#,##0.00;(#,##0.00)", 40: "#,##0.00;(#,##0.00)",
    41: "#,##0", 42: '"$"#,##0', 43: "#,##0.00", 44: '"$"#,##0.00',
}  # fmt: skip
"""Formats that a workbook does not spell out (ECMA-376, part 1, 18.8.30); of dates one alone, since
the others hold a whole date."""


def read(data: bytes, name: str) -> Document:
    """Reads XLSX, XLS or XLSB, sheet by sheet; the last two hold numbers without their formats.

    Raises:
        DataError: it is damaged or encrypted.
        MissingExtraError: python-calamine is not installed.
    """
    try:
        from python_calamine import CalamineError, load_workbook
    except ModuleNotFoundError:
        raise MissingExtraError("python-calamine", "documents", "reading spreadsheets") from None

    writer = Writer()
    formats = _Formats(data)
    try:
        book = load_workbook(io.BytesIO(data))
        for sheet in book.sheet_names:
            writer.move(sheet=sheet, row=None)
            codes = formats.of(sheet)
            rows = book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
            write_rows(
                writer,
                (
                    [_said(value, codes.get((i, j), "")) for j, value in enumerate(row)]
                    for i, row in enumerate(rows)
                ),
            )
    except CalamineError as error:
        reason = spaced(str(error))
        if "password" in reason.lower() or "encrypt" in reason.lower():
            raise DataError("it is encrypted: save it without a password") from None
        raise DataError(f"it is damaged ({reason:.100})") from None
    return writer.document(name)


def _said(value: Any, code: str) -> str:
    if isinstance(value, bool) or not code:
        return _elapsed(value) if isinstance(value, timedelta) else said(value)
    if isinstance(value, (int, float)):
        text = shown(value, code)
        return said(value) if text is None else text
    letters = code.lower()
    if isinstance(value, date) and "y" in letters and "d" not in letters:
        return value.strftime("%Y-%m" if "m" in letters else "%Y")
    return _elapsed(value) if isinstance(value, timedelta) else said(value)


def _elapsed(value: timedelta) -> str:
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    text = f"{minutes // 60}:{minutes % 60:02}"
    return f"{text}:{seconds:02}" if seconds else text


class _Formats:
    """How the numbers of an XLSX are shown; of no other file anything."""

    def __init__(self, data: bytes) -> None:
        self._archive: zipfile.ZipFile | None = None
        if not data.startswith(b"PK"):
            return
        archive = opened(data)
        try:
            book, links = _part(archive, "xl/workbook.xml"), _part(archive, _LINKS)
            styles = _part(archive, "xl/styles.xml")
        except DataError:  # an XLSB, or what calamine will say of it
            return
        self._archive = archive
        targets = {one.get("Id"): one.get("Target") for one in links}
        self._paths: dict[str, str] = {}
        for sheet in book.iter("{*}sheet"):
            own = next((value for key, value in sheet.items() if key.endswith("}id")), "")
            path = posixpath.normpath(posixpath.join("/xl", targets.get(own) or ""))
            self._paths[sheet.get("name") or ""] = path.lstrip("/")
        named = {one.get("numFmtId"): one.get("formatCode") for one in styles.iter("{*}numFmt")}
        uses = [one.get("numFmtId") or "0" for one in styles.iterfind("{*}cellXfs/{*}xf")]
        built_in = {str(number): code for number, code in _BUILT_IN.items()}
        self._codes = [named.get(one) or built_in.get(one, "") for one in uses]

    def of(self, sheet: str) -> Mapping[tuple[int, int], str]:
        """Codes by row and column, from 0, of the cells that have one."""
        if self._archive is None or self._paths.get(sheet) not in self._archive.namelist():
            return {}
        from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

        codes: dict[tuple[int, int], str] = {}
        try:
            with self._archive.open(self._paths[sheet]) as part:
                for _, row in etree.iterparse(part, tag="{*}row", resolve_entities=False):
                    for cell in row:
                        style = int(cell.get("s") or 0)
                        code = self._codes[style] if style < len(self._codes) else ""
                        at = cell.get("r")
                        if code and code != "General" and at and cell.get("t") in (None, "n"):
                            codes[_at(at)] = code
                    row.clear()
                    while row.getprevious() is not None:
                        del row.getparent()[0]
        except (
            etree.XMLSyntaxError,
            ValueError,
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            EOFError,
        ):
            return {}  # calamine says what is wrong with it
        return codes


_LINKS = "xl/_rels/workbook.xml.rels"


def _part(archive: zipfile.ZipFile, name: str) -> Any:
    return parsed(member(archive, name))


def _at(reference: str) -> tuple[int, int]:
    """Row and column, from 0, of a cell that is named as "BC12"."""
    letters = reference.rstrip("0123456789")
    column = 0
    for letter in letters:
        column = 26 * column + ord(letter) - ord("A") + 1
    return int(reference[len(letters) :] or 1) - 1, column - 1


def read_open(data: bytes, name: str) -> Document:
    """Reads an OpenDocument spreadsheet (ODS): what each cell shows, dates by ISO 8601.

    Raises:
        DataError: it is damaged, encrypted or unpacks to too much.
    """
    with opened(data) as archive:
        content = open_content(archive)
    writer = Writer()
    for table in content.iter("{*}table"):
        sheet = next((value for key, value in table.items() if key.endswith("}name")), "")
        writer.move(sheet=sheet, row=None)
        write_rows(writer, _open_rows(table))
    return writer.document(name)


def _open_rows(table: Any) -> Iterator[list[str]]:
    waiting = 0
    for row in table.iter("{*}table-row"):
        cells: list[str] = []
        empty = 0
        for cell in row:
            tag = cell.tag.rpartition("}")[2] if isinstance(cell.tag, str) else ""
            if tag not in ("table-cell", "covered-table-cell"):
                continue
            text, times = _open_cell(cell), _times(cell, "number-columns-repeated")
            if text:
                cells += [""] * min(empty, _WIDEST - len(cells)) + [text] * min(times, _REPEATED)
                del cells[_WIDEST:]
                empty = 0
            else:
                empty += times
        times = _times(row, "number-rows-repeated")
        if not cells:  # as a rule the rest of the sheet
            waiting += times
            continue
        yield from ([] for _ in range(min(waiting, _LONGEST)))
        waiting = 0
        yield from (cells for _ in range(min(times, _REPEATED)))


def _times(element: Any, attribute: str) -> int:
    text = next((value for key, value in element.items() if key.endswith("}" + attribute)), "1")
    return int(text) if text.isdecimal() and len(text) < 10 else 1


def _open_cell(cell: Any) -> str:
    values = {key.rpartition("}")[2]: value for key, value in cell.items()}
    day = values.get("date-value", "")
    if day:
        return day.replace("T00:00:00", "").replace("T", " ")
    # Not those of a note, which stand deeper.
    lines = [spaced("".join(one.itertext())) for one in cell.iterfind("{*}p")]
    return spaced(" ".join(lines)) or values.get("string-value", "") or values.get("value", "")
