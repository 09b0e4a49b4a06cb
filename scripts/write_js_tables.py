"""Writes clients/js/src/text/tables.js: which code points the tokenizers library treats how.

Its tables are older than those of a browser, so they are asked for by running it on every code
point; the package then needs no tables of the machine it runs on. ``--check`` compares only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tokenizers import __version__ as version
from tokenizers import normalizers, pre_tokenizers

OUT = Path(__file__).parents[1] / "clients" / "js" / "src" / "text" / "tables.js"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_NEWER_THAN_LIBRARY = (
    "32ff a7f1-a7f4 ab69 105c9 105e4 10781-10785 10787-107b0 107b2-107ba 11383 11385 1138e "
    "11391 113c5 113c7-113c8 11938 16121-16128 16d68-16d6a 1ccd6-1ccf9 1e030-1e06d 1f16c "
    "1fbf0-1fbf9 "
).split()
"""Code points, in hexadecimal, that Unicode 17 decomposes (by NFKD) and the library may not."""


def _normalizer(**options: bool) -> normalizers.BertNormalizer:
    off = {
        "clean_text": False,
        "handle_chinese_chars": False,
        "strip_accents": False,
        "lowercase": False,
    }
    return normalizers.BertNormalizer(**{**off, **options})


def tables() -> dict[str, list[int]]:
    """Kind → the code points of it, ascending."""
    clean = _normalizer(clean_text=True)
    chinese = _normalizer(handle_chinese_chars=True)
    accents = _normalizer(strip_accents=True)
    split = pre_tokenizers.BertPreTokenizer()
    nfkd, marks = normalizers.NFKD(), normalizers.StripAccents()
    kinds: dict[str, Callable[[str], bool]] = {
        "REMOVED": lambda c: clean.normalize_str(f"a{c}b") == "ab",
        "SPACE": lambda c: clean.normalize_str(f"a{c}b") == "a b",
        "CHINESE": lambda c: chinese.normalize_str(c) != c,
        "PUNCTUATION": lambda c: [p for p, _ in split.pre_tokenize_str(f"a{c}b")] == ["a", c, "b"],
        "WHITE": lambda c: [p for p, _ in split.pre_tokenize_str(f"a{c}b")] == ["a", "b"],
        "MARK": lambda c: accents.normalize_str(f"a{c}") == "a",
        "COMBINING": lambda c: marks.normalize_str(f"a{c}") == "a",
    }
    # Without surrogates and the planes in which Unicode has assigned nothing.
    characters = [
        chr(c) for c in range(0x110000) if not (0xD800 <= c < 0xE000 or 0x40000 <= c < 0xE0000)
    ]
    found = {kind: [ord(c) for c in characters if test(c)] for kind, test in kinds.items()}
    newer = [code for part in _NEWER_THAN_LIBRARY for code in _range(part)]
    found["WHOLE"] = [code for code in newer if nfkd.normalize_str(chr(code)) == chr(code)]
    return found


def _range(part: str) -> range:
    first, _, last = part.partition("-")
    return range(int(first, 16), int(last or first, 16) + 1)


def packed(codes: list[int]) -> str:
    """Ranges as gaps and lengths in base 36, between commas; a length of 1 is left out."""
    parts: list[str] = []
    stop = 0
    at = 0
    while at < len(codes):
        n = 1
        while at + n < len(codes) and codes[at + n] == codes[at] + n:
            n += 1
        parts.append(_base36(codes[at] - stop) + (f".{_base36(n)}" if n > 1 else ""))
        stop = codes[at] + n
        at += n
    return ",".join(parts)


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits


def source() -> str:
    """The text of tables.js."""
    lines = [
        "// Written by scripts/write_js_tables.py from the tokenizers library "
        f"{version}; do not edit.",
        "// Gap to the last range and length of each range of code points, in base 36.",
    ]
    for kind, codes in tables().items():
        lines.append(f'export const {kind} =\n  "{packed(codes)}";')
    return "\n".join(lines) + "\n"


def main() -> None:
    """Writes the file, or says that it differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    wanted = source()
    if not parser.parse_args().check:
        OUT.write_text(wanted, encoding="utf-8")
    elif OUT.read_text(encoding="utf-8").splitlines()[1:] != wanted.splitlines()[1:]:
        sys.exit(f"{OUT} differs from what this version of tokenizers does")


if __name__ == "__main__":
    main()
