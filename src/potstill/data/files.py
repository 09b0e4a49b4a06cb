"""Text files as they are found: plain, ``.gz``, ``.xz`` or ``.zst``, always UTF-8."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TextIO, cast

from potstill.errors import DataError, MissingExtraError

_GZIP = b"\x1f\x8b"
_XZ = b"\xfd7zXZ\x00"
_ZSTD = b"\x28\xb5\x2f\xfd"
_PACKED = {".gz": _GZIP, ".xz": _XZ, ".zst": _ZSTD}


@contextmanager
def open_text(path: str | Path) -> Generator[TextIO, None, None]:
    """Opens a text file for reading, unpacking it where its first bytes say gzip, xz or zstd.

    A byte-order mark is dropped and line ends are left as they are (``newline=""``), which is
    what :mod:`csv` asks for. Faults that only show while reading (a truncated archive, bytes that
    are not UTF-8) become typed errors as well, as long as the reading is done inside the ``with``.

    Raises:
        DataError: the file is missing, is a directory, cannot be read, is a damaged archive, or
            is not UTF-8.
        MissingExtraError: it is packed by zstd, and pyarrow is not installed.
    """
    path = Path(path)
    try:
        with _opened(path) as raw, _unpacked(raw, path) as binary:
            with io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
                yield text
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 ({error.reason} at byte {error.start} of a block): "
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
        return json.loads(text)
    except RecursionError:
        raise DataError(f"{where} is nested too deeply to be read") from None
    except ValueError as error:
        hint = ": it is empty" if not text.strip() else f" ({error}): is it cut short?"
        raise DataError(f"{where} is not JSON{hint}") from None


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
