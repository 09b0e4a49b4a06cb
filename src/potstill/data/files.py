"""Text files as they are found: plain, ``.gz``, ``.xz`` or ``.zst``.

They are UTF-8, or UTF-16 or UTF-32 where their byte-order mark says so.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, TextIO, cast

from potstill.errors import DataError, MissingExtraError

_GZIP = b"\x1f\x8b"
_XZ = b"\xfd7zXZ\x00"
_ZSTD = b"\x28\xb5\x2f\xfd"
_MARKS = {  # UTF-32's first: its little-endian mark begins as UTF-16's does
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_HEAD = 4
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or an Excel workbook: unpack it, or save its sheet as CSV",
    b"BZh": "packed by bzip2: unpack it, or pack it by gzip",
    b"PAR1": "Parquet: give it the suffix .parquet",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save its sheet as CSV",
    b"ARROW1": "an Arrow file: write it as Parquet",
    b"%PDF": "a PDF: give a file of rows or text",
}
"""First bytes of what is no text, and what to do about it."""
_NAMES = {str: "a string", list: "a list", dict: "an object", bool: "true or false"}
_PACKED = {".gz": _GZIP, ".xz": _XZ, ".zst": _ZSTD}


@contextmanager
def open_text(
    path: str | Path, *, errors: Literal["strict", "surrogateescape"] = "strict"
) -> Generator[TextIO, None, None]:
    """Opens a text file for reading, unpacking it where its first bytes say gzip, xz or zstd.

    A byte-order mark is dropped and line ends are left as they are (``newline=""``), which is
    what :mod:`csv` asks for. Faults that only show while reading (a truncated archive, bytes that
    are not UTF-8) become typed errors as well, as long as the reading is done inside the ``with``.

    Args:
        path: the file.
        errors: what becomes of bytes that are no text: an error, or half characters that stand for
            them, for who can say which row they are of.

    Raises:
        DataError: the file is missing, is a directory, cannot be read, is a damaged archive,
            or is not written as its mark says, or else in UTF-8.
        MissingExtraError: it is packed by zstd, and pyarrow is not installed.
    """
    path = Path(path)
    encoding = "utf-8-sig"
    try:
        with _opened(path) as raw, _unpacked(raw, path) as binary:
            encoding = _encoding(binary, path)
            with io.TextIOWrapper(binary, encoding=encoding, errors=errors, newline="") as text:
                yield text
    except UnicodeError as error:
        at = f" at byte {error.start} of a block" if isinstance(error, UnicodeDecodeError) else ""
        reason = error.reason if isinstance(error, UnicodeDecodeError) else error
        raise DataError(
            f"{path} is not {encoding.upper().removesuffix('-SIG')} ({reason}{at}): "
            "convert it, for example with iconv"
        ) from None
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path} is a truncated or damaged archive ({error}): fetch it again"
        ) from None


def read_json(path: str | Path) -> Any:
    """Reads a whole JSON file, packed or not.

    Raises:
        DataError: as :func:`open_text`, or the file is not JSON.
    """
    with open_text(path) as file:
        text = file.read()
    return parse_json(text, str(path))


def parse_json(text: str, where: str) -> Any:
    """Parses JSON; ``where`` names the place in the error.

    Raises:
        DataError: ``text`` is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_keys_once)
    except _RepeatedKeyError as error:
        raise DataError(f"{where} has the key {error.args[0]!r:.60} twice: drop one") from None
    except RecursionError:
        raise DataError(f"{where} is nested too deeply to be read") from None
    except ValueError as error:
        hint = ": it is empty" if not text.strip() else f" ({error}): is it cut short?"
        raise DataError(f"{where} is not JSON{hint}") from None


class _RepeatedKeyError(Exception):
    """An object names a key twice, of which :mod:`json` would keep the last."""


def _keys_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedKeyError(next(name for name in found if names.count(name) > 1))
    return found


def take(values: Any, key: str, kind: type, where: str) -> Any:
    """``values[key]``, checked to be of ``kind``.

    Raises:
        DataError: ``values`` is no object, or the key is missing or of another kind.
    """
    if not isinstance(values, dict):
        raise DataError(f"{where} is {kind_name(values)}, not an object with {key!r}")
    try:
        value = values[key]
    except KeyError:
        raise DataError(f"{where} has no {key!r}") from None
    if not isinstance(value, kind):
        raise DataError(f"{where}: {key!r} is {kind_name(value)}, not {_NAMES[kind]}")
    return value


def kind_name(value: Any) -> str:
    """What a value of JSON is called in messages."""
    if value is None:
        return "null"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "a number"
    return _NAMES.get(type(value), type(value).__name__)


def _encoding(binary: Any, path: Path) -> str:
    """What the first bytes say the text is written in."""
    head = binary.peek(_HEAD)[:_HEAD]
    for first, what in _FOREIGN.items():
        if binary.peek(len(first))[: len(first)] == first:
            raise DataError(f"{path} is {what}")
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if len(head) == _HEAD and b"\0\0" in (head[::2], head[1::2]):
        raise DataError(f"{path} is UTF-16 without its mark: convert it to UTF-8, as with iconv")
    return "utf-8-sig"


def _opened(path: Path) -> io.BufferedReader:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: check the path") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a directory: give a file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{str(path)!r} cannot be opened ({reason}): check the path") from None


def _unpacked(raw: io.BufferedReader, path: Path) -> IO[bytes]:
    # The content decides, not the name: archives are often renamed. Peeking keeps pipes usable.
    head = raw.peek(len(_XZ))
    if head.startswith(_GZIP):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if head.startswith(_XZ):
        return cast("IO[bytes]", lzma.LZMAFile(raw))
    if head.startswith(_ZSTD):
        return cast("IO[bytes]", io.BufferedReader(_Zstd(raw)))
    if path.suffix.lower() in _PACKED:
        kind = path.suffix.lower()[1:]
        raise DataError(f"{path} is not a {kind} archive: fetch it again or drop the {kind} suffix")
    return raw


class _Zstd(io.RawIOBase):
    """Unpacks zstd by pyarrow; a damaged archive is an ``EOFError``, as for :mod:`gzip`."""

    def __init__(self, raw: io.BufferedReader) -> None:
        try:
            import pyarrow
        except ModuleNotFoundError:
            raise MissingExtraError("pyarrow", "bulk", "reading zstd archives") from None
        self._raw = raw
        self._stream: Any = pyarrow.CompressedInputStream(raw, "zstd")

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, into: Any) -> int:
        try:
            data = self._stream.read(len(into))
        except OSError as error:
            raise EOFError(str(error)) from None
        into[: len(data)] = data
        return len(data)
