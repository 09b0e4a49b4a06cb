"""Archives of XML, as office programs write them, opened with care."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from potstill.documents.document import spaced
from potstill.errors import DataError

_MOST = 400_000_000
"""Bytes that an archive may unpack to."""
_RATIO = 200
"""Bytes that a byte of the archive may become, of archives that unpack to much."""
_OLE = b"\xd0\xcf\x11\xe0"


def opened(data: bytes) -> zipfile.ZipFile:
    """An archive that does not unpack to too much.

    Raises:
        DataError: it does, or is damaged or encrypted.
    """
    if data.startswith(_OLE):
        raise DataError("it is encrypted, or of an old format: save it anew without a password")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise DataError(f"it is damaged ({error})") from None
    size = sum(member.file_size for member in archive.infolist())
    if size > _MOST or size > max(20_000_000, _RATIO * len(data)):
        archive.close()
        raise DataError(f"it unpacks to {size / 1e6:,.0f} MB, too much to be read")
    return archive


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of an archive.

    Raises:
        DataError: it is not there, encrypted or damaged.
    """
    try:
        return archive.read(name)
    except KeyError:
        raise DataError(f"it is damaged (there is no {name} in it)") from None
    except RuntimeError:  # zipfile's for a member that needs a password
        raise DataError("it is encrypted: save it without a password") from None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
        raise DataError(f"it is damaged ({error})") from None
    except Exception as error:  # zlib.error and lzma's share no base
        if type(error).__name__ in ("error", "LZMAError"):
            raise DataError(f"it is damaged ({error})") from None
        raise


def has(archive: zipfile.ZipFile, name: str) -> bool:
    """Whether an archive has a file whose name ends so."""
    return any(one.endswith(name) for one in archive.namelist())


def parsed(data: bytes) -> Any:
    """The root of XML, whose entities are not resolved.

    Raises:
        DataError: it is damaged.
    """
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise DataError(f"it is damaged ({spaced(str(error)):.100})") from None


def open_content(archive: zipfile.ZipFile) -> Any:
    """The content of an OpenDocument.

    Raises:
        DataError: it is encrypted or damaged.
    """
    manifest = archive.read("META-INF/manifest.xml") if has(archive, "manifest.xml") else b""
    if b"encryption-data" in manifest:
        raise DataError("it is encrypted: save it without a password")
    return parsed(member(archive, "content.xml"))
