"""A mail (EML) → its heads and what it says."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any, cast

from potstill.documents import html
from potstill.documents.decoding import decode
from potstill.documents.document import Document, Writer, spaced
from potstill.errors import DataError

_HEADS = ("From", "To", "Cc", "Date", "Subject")


def read(data: bytes, name: str) -> Document:
    """Reads a mail, and the mails and texts that are attached to it.

    Raises:
        DataError: it is no mail.
    """
    mail = email.message_from_bytes(data, policy=email.policy.default)
    writer = Writer()
    left_out = _write(writer, mail)
    if not mail.keys() or not writer.marks:
        raise DataError("it is not an e-mail")
    note = f"attachments are not read: {', '.join(left_out[:3])}" if left_out else ""
    return writer.document(name, _head(mail, "Subject"), note)


def _write(writer: Writer, mail: EmailMessage) -> list[str]:
    """Writes a mail; gives the names of attachments that were left out."""
    heads = [(head, _head(mail, head)) for head in _HEADS]
    writer.paragraph("\n".join(f"{head}: {said}" for head, said in heads if said))
    body = mail.get_body(preferencelist=("plain", "html"))
    if body is not None:
        _write_text(writer, body)
    left_out: list[str] = []
    for part in mail.iter_attachments():
        if part.get_content_type() == "message/rfc822":
            left_out += _write(writer, cast("EmailMessage", part.get_content()))
        elif part.get_content_maintype() == "text":
            writer.paragraph(part.get_filename() or "")
            _write_text(writer, part)
        else:
            left_out.append(part.get_filename() or part.get_content_type())
    return left_out


def _write_text(writer: Writer, part: Any) -> None:
    try:
        text = part.get_content()
    except (LookupError, KeyError, ValueError):  # an unknown encoding
        payload = part.get_payload(decode=True)
        text = decode(payload) or "" if isinstance(payload, bytes) else ""
    if part.get_content_subtype() == "html":
        html.write(writer, text)
    else:
        writer.paragraph(text.replace("\r\n", "\n"))


def _head(mail: EmailMessage, name: str) -> str:
    try:
        return spaced(str(mail.get(name, "")))
    except (ValueError, IndexError, TypeError):  # heads that the library cannot take apart
        return ""
