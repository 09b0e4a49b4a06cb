"""Bytes → text: by their mark, as UTF-8, or as a detector says."""

from __future__ import annotations

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 200_000
"""Bytes that the detector is given: it is slow."""
_MULTIBYTE = re.compile(
    b"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""")


def decode(data: bytes, *, declared: bool = False) -> str | None:
    """The text of bytes; ``None`` where they are no text.

    Args:
        data: all of a file.
        declared: the file may name its encoding at its beginning, as HTML and XML do.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if b"\0" in data[:8192]:
        return _wide(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        named = _DECLARED.search(data, 0, 1024) if declared else None
        said = _as(data, named[1].decode("ascii")) if named else None
        return said if said is not None else _other(data, error.start)


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of Latin text is 0."""
    head = data[:8192]
    half = len(head) // 2
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if zeros.count(0) > 0.6 * half and head.count(0) < 0.7 * len(head):
            text = _as(data[: len(data) // 2 * 2], encoding)
            if text is not None and not _CONTROLS.search(text, 0, 8192):
                return text
    return None


def _other(data: bytes, first: int) -> str | None:
    """Text in another encoding than UTF-8, or UTF-8 that is damaged here and there."""
    rest = _MULTIBYTE.sub(b"", data)
    n_good = (len(data) - len(rest)) // 2
    n_bad = len(rest) - len(rest.translate(None, bytes(range(128, 256))))
    if n_good > 4 * n_bad:
        return data.decode("utf-8", "replace")
    start = max(0, first - _SAMPLE // 2)
    text = _as(data, _detected(data[start : start + _SAMPLE]))
    if text is None or len(_CONTROLS.findall(text, 0, 8192)) > 8:
        return None
    return text


def _detected(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    western = max(_WESTERN, key=lambda encoding: _usual(sample.decode(encoding, "replace")))
    # What few letters beyond ASCII there are in Western text tell nothing to a detector.
    high = len(sample) - len(sample.translate(None, bytes(range(128, 256))))
    usual = _usual(sample.decode(western, "replace"))
    if high < 0.06 * len(sample) or (high <= 0.25 * len(sample) and usual == high):
        return western
    best = from_bytes(sample, cp_isolation=_KNOWN, enable_fallback=False).best()
    return western if best is None or best.encoding == _WESTERN[0] else best.encoding


def _usual(text: str) -> int:
    """How many letters and signs that Western text has, less those that it has not there."""
    pairs = ((a, b) for a, b in zip(f" {text}", text, strict=False) if ord(b) > 127)
    return sum(-1 if b not in _COMMON or (b.isupper() and a.islower()) else 1 for a, b in pairs)


_COMMON = frozenset("éèàùçêâîôûëïüöäßÉÈÀÇÖÄÜñáíóúÑãõåøæÅØÆœ¿¡–—‘’“”„…€£§°«»·©®½±×²³\xa0\xad•")
_WESTERN = ("cp1252", "mac_roman", "cp850")
_KNOWN = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "shift_jis",
    "euc_jp", "gb18030", "big5", "euc_kr", "iso8859_2", "iso8859_5", "iso8859_7", "tis_620",
]  # fmt: skip


def _as(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except LookupError:
        return None
    except UnicodeDecodeError:
        text = data.decode(encoding, "replace")
        return text if text.count("\ufffd") < 0.01 * len(text) else None
