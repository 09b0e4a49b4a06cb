"""Small PDFs for tests, written by hand."""

from __future__ import annotations

import io


def made(*pages: str, packed: bytes | None = None) -> bytes:
    """A PDF of lines of text; or of one page whose content is a compressed stream."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for i, text in enumerate(pages):
        shown = b"".join(b"(%s) Tj T* " % line.encode() for line in text.split("\n"))
        content = b"BT /F1 12 Tf 14 TL 72 720 Td " + shown + b"ET"
        coded = b""
        if packed is not None:
            content, coded = packed, b" /Filter /FlateDecode"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * i} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode(),
            b"<< /Length %d%s >>\nstream\n%s\nendstream" % (len(content), coded, content),
        ]
    out, places = io.BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    at = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % place for place in places)
    out.write(
        b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, at)
    )
    return out.getvalue()
