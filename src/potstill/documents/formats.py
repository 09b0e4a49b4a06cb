"""Which reader a file needs, by its name and its first bytes."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath
from typing import TypeAlias, cast

from potstill.documents.document import Document
from potstill.errors import DataError

Reader: TypeAlias = Callable[[bytes, str], Document]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file."""

    module: str
    """The module of this room that reads it, imported when it is needed."""
    function: str
    largest: int = 100_000_000
    """Most bytes of a file."""
    alone: bool = False
    """Whether a process of its own reads it: such a file can be made to take for ever."""

    def reader(self) -> Reader:
        """The function that reads it."""
        return cast(
            "Reader", getattr(import_module(f"potstill.documents.{self.module}"), self.function)
        )


TEXT = Format("plain", "read_text")
_MARKDOWN = Format("plain", "read_markdown")
_HTML = Format("html", "read")
_WORD = Format("office", "read_word", alone=True)
_OPEN = Format("office", "read_open", alone=True)
_SHEETS = Format("sheets", "read", alone=True)
PDF = Format("pdf", "read", alone=True)

FORMATS: Mapping[str, Format] = {
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".mdx": _MARKDOWN,
    ".html": _HTML,
    ".htm": _HTML,
    ".xhtml": _HTML,
    ".pdf": PDF,
    ".docx": _WORD,
    ".docm": _WORD,
    ".odt": _OPEN,
    ".odp": _OPEN,
    ".pptx": Format("office", "read_slides", alone=True),
    ".xlsx": _SHEETS,
    ".xlsm": _SHEETS,
    ".xlsb": _SHEETS,
    ".xls": _SHEETS,
    ".ods": Format("sheets", "read_open", alone=True),
    ".epub": Format("office", "read_epub", alone=True),
    ".eml": Format("mail", "read", alone=True),
    ".csv": Format("tables", "read_csv"),
    ".tsv": Format("tables", "read_csv"),
    ".json": Format("tables", "read_json"),
    ".jsonl": Format("tables", "read_json"),
    ".ndjson": Format("tables", "read_json"),
    ".ipynb": Format("plain", "read_notebook"),
}
"""Format of a file by the end of its name; others are text, or are skipped."""

_SAVE_AS = {".doc": "DOCX", ".ppt": "PPTX", ".rtf": "DOCX", ".pages": "PDF", ".key": "PDF"}
_PACKED = {".gz": b"\x1f\x8b", ".xz": b"\xfd7zXZ\x00"}
_PICTURES = frozenset(".png .jpg .jpeg .gif .webp .bmp .tif .tiff .ico .svg .heic".split())
_SOUNDS = frozenset(".mp3 .wav .flac .ogg .mp4 .mov .avi .mkv .webm .m4a".split())
_ARCHIVES = frozenset(".zip .tar .tgz .7z .rar .bz2 .jar .whl .iso .dmg".split())
READING = 1
"""Of all that this room reads: one more with each change by which a file gives another text, so
that indexes read it again."""
HEAD = 8192
"""Bytes at the beginning of a file that tell its format."""


def format_of(name: str, head: bytes) -> Format:
    """The format of a file.

    Args:
        name: of the file; only its end matters.
        head: its first `HEAD` bytes.

    Raises:
        DataError: files of its kind hold no text, or are not read.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix in FORMATS:
        found = FORMATS[suffix]
        # A page that was saved under another name, and the like: the content decides.
        return PDF if found.alone and head.startswith(b"%PDF-") else found
    if suffix in _SAVE_AS:
        raise DataError(f"{suffix} is not read: save it as {_SAVE_AS[suffix]}")
    for suffixes, what in ((_PICTURES, "picture"), (_SOUNDS, "recording"), (_ARCHIVES, "archive")):
        if suffix in suffixes:
            raise DataError(f"it is a{'n' if what[0] == 'a' else ''} {what}")
    if head.startswith(b"%PDF-"):
        return PDF
    if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return _HTML
    return TEXT


def read_bytes(data: bytes, name: str) -> Document:
    """Reads a file's bytes, in this process.

    Args:
        data: all of them.
        name: of the file: its end tells the format.

    Raises:
        DataError: it cannot be read; the message gives the reason and not the name.
        MissingExtraError: a library for it is not installed.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix in _PACKED and data.startswith(_PACKED[suffix]):
        inner = read_bytes(_unpacked(data, suffix), name[: -len(suffix)])
        return Document(
            name=name,
            text=inner.text,
            title=inner.title,
            marks=inner.marks,
            lines=inner.lines,
            note=inner.note,
        )
    return format_of(name, data[:HEAD]).reader()(data, name)


def _unpacked(data: bytes, suffix: str) -> bytes:
    most = TEXT.largest
    try:
        if suffix == ".gz":
            unpacked = zlib.decompressobj(wbits=31).decompress(data, most + 1)
        else:
            unpacked = lzma.LZMADecompressor().decompress(data, most + 1)
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"it is a damaged archive ({error})") from None
    if len(unpacked) > most:
        raise DataError(f"it unpacks to more than {most / 1e6:,.0f} MB")
    return unpacked
