"""Every format → the text that its reader sees, and where in the file it stands."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from datetime import datetime
from email.message import EmailMessage

import pytest

from pdfs import made
from potstill.documents.cells import shown
from potstill.documents.document import APART
from potstill.documents.formats import FORMATS, read_bytes
from potstill.errors import DataError


def places(document, *parts):
    """The places of some parts of a document's text."""
    return [str(document.place(document.text.index(part))) for part in parts]


def test_text_is_read_as_it_is():
    document = read_bytes("One.\r\n\r\nTwo é.".encode(), "a.txt")
    assert document.text == "One.\r\n\r\nTwo é."
    assert places(document, "Two") == ["line 3"]


def test_markdown_keeps_its_text_and_knows_its_headings():
    text = (
        "---\ntitle: Handbook\n---\nIntro.\n\nLeave\n=====\n\nA.\n\n## Sick *pay* ##\n\nB.\n\n"
        "```\n# no heading\n```\n\nC.\n\n# Rest\n\n- x\n---\nD."
    )
    document = read_bytes(text.encode(), "a.md")
    assert (document.text, document.title) == (text, "Handbook")
    assert places(document, "Intro", "A.", "B.", "C.", "D.") == [
        "line 4",
        "line 9, Leave",
        "line 13, Leave > Sick pay",
        "line 19, Leave > Sick pay",
        "line 25, Rest",
    ]


def test_of_html_the_words_that_are_seen():
    page = """<!doctype html><html><head><title>Fares &amp; more</title><style>p {}</style>
      <script>var price = "64";</script></head><body><nav><a href="/">Home</a></nav>
      <h1>Fares</h1><p>One
      way, 64&nbsp;pounds.<br>No refunds<p hidden>secret<p style="display: none">x
      <ul><li>first<li>second</ul><pre>a
  b</pre><h2>Ta<b>ble</b></h2>
      <table><tr><th>Ship<th>Price<tr><td>Gannet<td>&pound;6<tr><td>Fulmar<td>&pound;7</table>
      <table><tr><td>left<td><script>no</script>right</table><img alt="A ferry"></body></html>"""
    document = read_bytes(page.encode(), "a.html")
    assert document.title == "Fares & more"
    assert document.text == (
        "Fares\n\nOne way, 64 pounds.\nNo refunds\n\n- first\n\n- second\n\na\n  b\n\nTable\n\n"
        "Ship: Gannet |\tPrice: £6\nShip: Fulmar |\tPrice: £7\n\nleft |\tright\n\nA ferry"
    )
    assert places(document, "One", "Gannet") == ["Fares", "Fares > Table"]


def test_html_in_the_encoding_that_it_names():
    page = '<meta charset="koi8-r"><p>Москва</p>'.encode("koi8-r")
    assert read_bytes(page, "a.html").text == "Москва"


def test_a_pdf_has_pages():
    document = read_bytes(made("Denver won.\nPanthers lost.", "", "London."), "a.pdf")
    assert document.text == "Denver won.\nPanthers lost.\n\nLondon."
    assert places(document, "Panthers", "London") == ["page 1", "page 3"]
    assert document.note == "1 of 3 pages hold no text"


def test_what_no_text_may_hold_is_left_out_of_a_pdf():
    assert read_bytes(made("a\\000b\\001c \\(d\\)   "), "a.pdf").text == "abc (d)"


def placed(*texts):
    """A page of a PDF with texts at their places, from the left and from below."""
    shown = b"".join(b"1 0 0 1 %d %d Tm (%s) Tj " % (x, y, text.encode()) for x, y, text in texts)
    return made("", packed=zlib.compress(b"BT /F1 10 Tf " + shown + b"ET"))


def test_the_rows_of_a_table_in_a_pdf_name_their_columns():
    table = (
        (72, 700, "Item"), (200, 700, "Hours"), (300, 700, "Amount"),
        (72, 680, "Network audit"), (200, 680, "24"), (300, 680, "EUR 2,640.00"),
        (72, 660, "Travel"), (300, 660, "EUR 384.20"),
        (72, 640, "Set-up of the"), (200, 640, "3"), (300, 640, "EUR 90.00"),
        (300, 628, "less 5%"),
    )  # fmt: skip
    text = ((72, 740, "Invoice of 3 May."), (72, 600, "Pay within ten days, please."))
    document = read_bytes(placed(*text[:1], *table, *text[1:]), "a.pdf")
    rows = [line for line in document.text.replace(APART, " | ").split("\n") if " | " in line]
    assert rows == [
        "Item: Network audit | Hours: 24 | Amount: EUR 2,640.00",
        "Item: Travel | Amount: EUR 384.20",
        "Item: Set-up of the | Hours: 3 | Amount: EUR 90.00 less 5%",
    ]
    assert document.text.startswith("Invoice of 3 May.\n\nItem")
    assert document.text.endswith("\n\nPay within ten days, please.")


def test_what_stands_apart_in_a_pdf_is_no_table_without_names():
    text = ((72, 700, "-a, --all"), (200, 700, "reads all"), (72, 680, "-b"), (200, 680, "reads b"))
    assert APART not in read_bytes(placed(*text), "a.pdf").text


def test_lines_that_every_page_has_are_left_out_of_a_pdf():
    pages = [f"Annual report\nSentence number {word}.\npage {i}" for i, word in enumerate("abcd")]
    document = read_bytes(made(*pages), "a.pdf")
    assert document.text == "\n\n".join(f"Sentence number {word}." for word in "abcd")


def word(**properties):
    import docx

    book = docx.Document()
    for name, value in properties.items():
        setattr(book.core_properties, name, value)
    return book


def saved(book):
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_word():
    book = word(title="Staff handbook")
    book.add_heading("Leave", 1)
    book.add_paragraph("There are 28 days.")
    book.add_heading("Sick leave", 2)
    book.add_paragraph("Call first.", style="List Bullet")
    table = book.add_table(3, 3)
    for i, row in enumerate(
        [("Grade", "Pay", "Notice"), ("Bosun", "9", "a week"), ("Mate", "", "")]
    ):
        for cell, text in zip(table.rows[i].cells, row, strict=True):
            cell.text = text
    book.add_paragraph("After the table.")
    document = read_bytes(saved(book), "a.docx")
    assert document.title == "Staff handbook"
    assert document.text == (
        "Leave\n\nThere are 28 days.\n\nSick leave\n\n- Call first.\n\n"
        "Grade: Bosun |\tPay: 9 |\tNotice: a week\nGrade: Mate\n\nAfter the table."
    )
    assert places(document, "28", "Bosun") == ["Leave", "Leave > Sick leave"]


def test_slides():
    pptx = pytest.importorskip("pptx", reason="the extra documents brings python-pptx")
    show = pptx.Presentation()
    for title, body in (("Plan", "Budget: 10\nAudience"), ("Slogan", "Closer")):
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
    slide.notes_slide.notes_text_frame.text = "Say it twice."
    document = read_bytes(saved(show), "a.pptx")
    assert document.text == "Plan\n\nBudget: 10\n\nAudience\n\nSlogan\n\nCloser\n\nSay it twice."
    assert places(document, "Budget", "twice") == ["page 1, Plan", "page 2, Slogan"]


def test_a_spreadsheet():
    pytest.importorskip("python_calamine", reason="the extra documents brings python-calamine")
    xlsxwriter = pytest.importorskip("xlsxwriter", reason="python-pptx brings XlsxWriter")
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet("Ships")
        for i, row in enumerate([("Ship", "Length"), ("Gannet", 112), ("Fulmar", 7.5)]):
            sheet.write_row(i + 1, 0, row)
        book.add_worksheet("Empty")
    document = read_bytes(out.getvalue(), "a.xlsx")
    assert document.text == "Ship: Gannet |\tLength: 112\nShip: Fulmar |\tLength: 7.5"
    assert places(document, "Fulmar") == ["sheet Ships, row 4"]


SHOWN = [
    ("Item", "Price", "VAT", "Since", "Share", "Code", "Open", "Month"),
    ("Coat", 1234.5, 246.9, datetime(2026, 3, 1), 0.045, 123, 0.375, datetime(2026, 3, 1)),
    ("Cap", -45, 0, datetime(2026, 4, 2, 9, 30), 0.1, 7, 1.5, datetime(2026, 4, 1)),
]
CODES = (
    "", '"EUR" #,##0.00', "#,##0.0 [$kr-41D];-;[Red]0", "dd.mm.yyyy hh:mm", "0.0%", "00000",
    "[h]:mm", "mmmm yyyy",
)  # fmt: skip


def test_a_spreadsheet_as_it_is_shown():
    pytest.importorskip("python_calamine", reason="the extra documents brings python-calamine")
    xlsxwriter = pytest.importorskip("xlsxwriter", reason="python-pptx brings XlsxWriter")
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet("Prices")
        sheet.write(0, 0, "Prices of March")
        used = [book.add_format({"num_format": code}) for code in CODES]
        for i, row in enumerate(SHOWN):
            for j, value in enumerate(row):
                sheet.write(i + 1, j, value, used[j])
    document = read_bytes(out.getvalue(), "a.xlsx")
    title, blank, *rows = document.text.split("\n")
    assert (title, blank) == ("Prices of March", "")
    assert [dict(cell.split(": ", 1) for cell in row.split(" |\t")) for row in rows] == [
        {"Item": "Coat", "Price": "EUR 1,234.50", "VAT": "246.9 kr", "Since": "2026-03-01",
         "Share": "4.5%", "Code": "00123", "Open": "9:00", "Month": "2026-03"},
        {"Item": "Cap", "Price": "-EUR 45.00", "VAT": "0", "Since": "2026-04-02 09:30",
         "Share": "10.0%", "Code": "00007", "Open": "36:00", "Month": "2026-04"},
    ]  # fmt: skip
    assert places(document, "Cap") == ["sheet Prices, row 4"]


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (1234.5, '"$"#,##0.00', "$1,234.50"),
        (-1234.5, '_("$"* #,##0.00_);_("$"* (#,##0.00);_("$"* "-"??_)', "$ (1,234.50)"),
        (-0.001, "0.0", "0.0"),
        (2.5, "0", "3"),  # away from zero, as spreadsheets do
        (1.005, "0.00", "1.01"),
        (0.5, "#.##", "0.5"),
        (7.5e6, '0.0,,"M"', "7.5M"),
        (3, '0 "kg; net"', "3 kg; net"),
        (1, "General", None),
        (0.5, "# ?/?", None),
        (5, '[>9]0"x"', None),
        (5, "000-00", None),
        (5, ";;;", None),
        (1e300, "0.00", None),
        (float("nan"), "0.00", None),
    ],
)
def test_numbers_as_their_format_shows_them(value, code, text):
    assert shown(value, code) == text


def test_an_open_spreadsheet_as_it_is_shown():
    names = 'xmlns:o="urn:o" xmlns:b="urn:b" xmlns:t="urn:t"'
    far = '<b:table-cell b:number-columns-repeated="16382"/>'
    cells = (
        ["<t:p>Item</t:p>", "<t:p>Price</t:p>", "<t:p>Since</t:p>"],
        ["<t:p>Coat</t:p><o:annotation><t:p>a note</t:p></o:annotation>",
         '@o:value="1234.5"@<t:p>1.234,50 €</t:p>',
         '@o:date-value="2026-03-01T00:00:00"@<t:p>01.03.26</t:p>'],
    )  # fmt: skip

    def cell(text):
        _, attributes, inside = text.split("@") if "@" in text else ("", "", text)
        return f"<b:table-cell {attributes}>{inside}</b:table-cell>"

    first, second = (f"<b:table-row>{''.join(map(cell, row))}{far}</b:table-row>" for row in cells)
    gap = f'<b:table-row b:number-rows-repeated="3">{far}</b:table-row>'
    end = f'<b:table-row b:number-rows-repeated="1048570">{far}</b:table-row>'
    table = f'<b:table b:name="Stock">{first}{gap}{second}{end}</b:table>'
    document = read_bytes(archive(content_xml=f"<o:c {names}>{table}</o:c>"), "a.ods")
    assert document.text == "Item: Coat |\tPrice: 1.234,50 € |\tSince: 2026-03-01"
    assert places(document, "Coat") == ["sheet Stock, row 5"]


@pytest.mark.parametrize("times", ["9" * 12, "9" * 5000, "\u00b2"])
def test_cells_that_say_they_are_repeated_without_end(times):
    cell = "<t:table-cell><p>x</p></t:table-cell>"
    gap = f'<t:table-cell t:number-columns-repeated="{times}"/>'
    row = f"<t:table-row>{cell}{gap}{cell}</t:table-row>"
    table = f'<t:table xmlns:t="t" t:name="A">{row}</t:table>'
    document = read_bytes(archive(content_xml=table), "a.ods")
    assert document.text.startswith("x")


def test_several_tables_of_a_sheet_have_their_own_names():
    text = "Sales\nRegion,2024,2025\nNorth,7,9\n\nShip,Length\nGannet,112\nFulmar,7\n\nTotal,119\n"
    document = read_bytes(text.encode(), "a.csv")
    assert document.text.split("\n") == [
        "Sales", "", "Region: North |\t2024: 7 |\t2025: 9", "", "Ship: Gannet |\tLength: 112",
        "Ship: Fulmar |\tLength: 7", "Ship: Total |\tLength: 119",
    ]  # fmt: skip


def archive(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in files.items():
            packed.writestr(name.replace("__", "/").replace("_xml", ".xml"), text)
    return out.getvalue()


OPEN = (
    '<o:c xmlns:o="urn:o" xmlns:t="urn:t" xmlns:b="urn:b"><o:body><o:text>'
    '<t:h t:outline-level="1">Lease</t:h>'
    "<t:p>Rent:<t:tab/>9<t:s/>pounds<t:line-break/>a month</t:p>"
    "<b:table><b:table-row><b:table-cell><t:p>a</t:p></b:table-cell><b:table-cell><t:p>b</t:p>"
    "</b:table-cell></b:table-row></b:table></o:text></o:body></o:c>"
)


def test_open_document():
    document = read_bytes(archive(content_xml=OPEN), "a.odt")
    assert document.text == "Lease\n\nRent: 9 pounds\na month\n\na |\tb"
    assert places(document, "Rent") == ["Lease"]


def book(**more):
    container = '<c xmlns="urn:c"><rootfile full-path="in/p.opf"/></c>'
    package = (
        '<p xmlns="urn:p"><title>A Tale</title><item id="1" href="one.xhtml"/>'
        '<item id="2" href="two%20.xhtml"/><item id="n" href="nav" properties="nav"/>'
        '<itemref idref="2"/><itemref idref="n"/><itemref idref="1"/></p>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("META-INF/container.xml", container)
        packed.writestr("in/p.opf", package)
        packed.writestr("in/one.xhtml", "<html><body><h1>One</h1><p>Begin.</p></body></html>")
        packed.writestr("in/two .xhtml", "<?xml version='1.0'?><html><p>Preface.</p></html>")
        for name, text in more.items():
            packed.writestr(f"META-INF/{name}.xml", text)
    return out.getvalue()


def test_a_book():
    document = read_bytes(book(), "a.epub")
    assert (document.title, document.text) == ("A Tale", "Preface.\n\nOne\n\nBegin.")
    assert places(document, "Preface", "Begin") == ["", "One"]


def test_a_mail():
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "Ruth <ruth@example.org>", "Bread"
    mail.set_content("Dear all,\n\nit comes on 1 July.\n")
    mail.add_alternative("<p>not this</p>", subtype="html")
    mail.add_attachment("price,9", subtype="csv", filename="a.csv")
    mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="b.png")
    document = read_bytes(mail.as_bytes(), "a.eml")
    assert document.title == "Bread"
    assert document.text == (
        "From: Ruth <ruth@example.org>\nSubject: Bread\n\nDear all,\n\nit comes on 1 July.\n\n"
        "a.csv\n\nprice,9"
    )
    assert document.note == "attachments are not read: b.png"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_comma_separated_values(delimiter):
    rows = [["code", "name"], ["7", 'Hamnavoe "Pier"\nnorth'], ["", ""], ["8", "Wick"]]
    quoted = "\r\n".join(
        delimiter.join('"{}"'.format(cell.replace('"', '""')) for cell in row) for row in rows
    )
    document = read_bytes(quoted.encode(), "a.csv")
    assert document.text == 'code: 7 |\tname: Hamnavoe "Pier" north\ncode: 8 |\tname: Wick'
    assert places(document, "Hamnavoe", "Wick") == ["row 2", "row 4"]


def test_values_without_names():
    assert read_bytes(b"1,2\n3,4\n", "a.csv").text == "1 |\t2\n3 |\t4"


def test_json():
    value = {"owner": "Tait", "db": {"port": 5433, "on": True}, "tags": ["a", "b"], "none": None}
    said = "owner: Tait |\tdb port: 5433 |\tdb on: yes |\ttags: a, b"
    assert read_bytes(json.dumps(value).encode(), "a.json").text == said
    lines = read_bytes(b'{"a": 1}\n\n{"a": "two"}\n', "a.jsonl")
    assert lines.text == "a: 1\na: two"
    assert places(lines, "two") == ["row 2"]
    long = read_bytes(json.dumps({"a": "x", "body": "word " * 100}).encode(), "a.json")
    assert long.text == "a: x\n\nbody: " + ("word " * 100).strip()


def test_a_notebook():
    cells = [
        {"cell_type": "markdown", "source": ["# Waves\n", "The highest."]},
        {"cell_type": "code", "source": "print(13)", "outputs": [{"text": ["13\n"]}]},
    ]
    document = read_bytes(json.dumps({"cells": cells}).encode(), "a.ipynb")
    assert document.text == "Waves\n\nThe highest.\n\nprint(13)\n\n13"
    assert places(document, "highest", "print") == [
        "row 1, Waves",
        "row 2, Waves",
    ]


def test_a_packed_text():
    import gzip

    assert read_bytes(gzip.compress(b"Denver won."), "a.txt.gz").text == "Denver won."


def bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("word/document.xml", b" " * 30_000_000)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (made("x")[:200], "a.pdf", "the PDF is damaged"),
        (made(""), "a.pdf", "holds no text"),
        (b"PK\x03\x04" + b"x" * 99, "a.docx", "it is damaged"),
        (archive(other="x"), "a.docx", "damaged"),
        (archive(other="x"), "a.odt", "no content.xml"),
        (archive(content_xml="<a>"), "a.odt", "damaged"),
        (archive(other="x"), "a.epub", "no META-INF/container.xml"),
        (book(encryption="x", rights="x"), "a.epub", "copy-protected"),
        (
            archive(content_xml=OPEN, **{"META-INF__manifest_xml": "encryption-data"}),
            "a.odt",
            "encr",
        ),
        (b"\xd0\xcf\x11\xe0" + b"x" * 99, "a.docx", "encrypted, or of an old format"),
        (bomb(), "a.docx", "unpacks to 30 MB"),
        (b"x", "a.doc", "save it as DOCX"),
        (b"x", "a.png", "it is a picture"),
        (b"x", "a.zip", "it is an archive"),
        (b"\0\1\2", "a.bin", "it is not text"),
        (b"{", "a.json", "it is not JSON"),
        (b"[" * 100_000, "a.json", "nested too deeply"),
        (b"{}", "a.ipynb", "not a notebook"),
        (b"\x1f\x8b" + b"x" * 99, "a.txt.gz", "damaged archive"),
    ],
)
def test_what_cannot_be_read_says_why(data, name, reason):
    with pytest.raises(DataError, match=reason) as raised:
        read_bytes(data, name)
    assert "\n" not in str(raised.value)


def test_the_content_decides_where_the_name_misleads():
    assert read_bytes(made("Denver"), "a.docx").text == "Denver"
    assert read_bytes(made("Denver"), "a").text == "Denver"
    assert read_bytes(b"<!DOCTYPE html><p>Denver</p>", "a").text == "Denver"
    assert read_bytes(b"x = 1  # Denver", "a.py").text == "x = 1  # Denver"


def test_every_format_has_a_reader():
    assert all(callable(one.reader()) for one in FORMATS.values())


def test_a_table_in_markdown_stays_on_its_lines():
    text = (
        "# Kit\n\n| Item | Who pays | Limit |\n| --- | :-: | --- |\n"
        "| Laptop | company | |\n| Desk \\| chair | us | 45 |\n\nEnd a | b.\n\n"
        "```\n| a | b |\n| - | - |\n```\n"
    )
    document = read_bytes(text.encode(), "a.md")
    lines = document.text.replace(APART, " / ").splitlines()
    assert lines[2:6] == [
        "",
        "",
        "Item: Laptop / Who pays: company",
        "Item: Desk | chair / Who pays: us / Limit: 45",
    ]
    assert lines[7] == "End a | b." and lines[10:12] == ["| a | b |", "| - | - |"]
    assert document.place(document.text.index("company")).line == 5


def test_a_cell_of_html_stands_in_every_row_and_column_that_it_spans():
    page = (
        "<table><tr><th>Day<th>Opens<th>Closes</tr><tr><td>Monday<td colspan=2>closed</tr>"
        "<tr><td rowspan=2>Friday<td>9<td>12</tr><tr><td>14<td>x</tr>"
        "<tr><td>Sunday<td>8<td>9</tr></table>"
    )
    assert read_bytes(page.encode(), "a.html").text.replace(APART, " / ").split("\n") == [
        "Day: Monday / Opens: closed / Closes: closed",
        "Day: Friday / Opens: 9 / Closes: 12",
        "Day: Friday / Opens: 14 / Closes: x",
        "Day: Sunday / Opens: 8 / Closes: 9",
    ]


def test_cells_of_a_thead_name_the_columns():
    page = "<table><thead><tr><td>A<td>B</tr></thead><tr><td>1<td>2</tr></table>"
    assert read_bytes(page.encode(), "a.html").text.replace(APART, " / ") == "A: 1 / B: 2"
