"""Numbers as a spreadsheet shows them, by the format of their cell (ECMA-376, part 1, 18.8.31).

Points and commas are those of English: which signs a sheet is shown with is up to who looks at it.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

_TOKENS = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|[_*].'
    r"|\[\$(?P<currency>[^\]-]*)[^\]]*\]|\[(?P<bracket>[^\]]*)\]"
    r"|(?P<digits>[0#?.,]+)|(?P<percent>%)|(?P<other>.)",
    re.DOTALL,
)
_COLORS = re.compile(
    r"(?:black|blue|cyan|green|magenta|red|white|yellow|color ?\d+)", re.IGNORECASE
)
_MOST = 1e15
"""From here on a number has fewer digits than it is written with."""
_LITERALS = "$€£¥₹+-()/: '&~{}<>=^!"


def shown(value: float, code: str) -> str | None:
    """A number as its format shows it.

    Args:
        value: of the cell.
        code: as in ``#,##0.00 "kg"``.

    Returns:
        The text; ``None`` where the format shows nothing, or is one that is not carried out:
        fractions, exponents, conditions, digits with signs between them, numbers of 16 digits.
    """
    sections = _sections(code)
    if not sections or not abs(value) < _MOST:
        return None
    number = Decimal(repr(value))
    which = 1 if number < 0 and len(sections) > 1 else 0
    if number == 0 and len(sections) > 2:
        which = 2
    section = sections[which]
    if section is None:
        return None
    before, digits, after, scale = section
    text = _digits(number.copy_abs().scaleb(scale), digits) if digits else ""
    # A section of their own says how negative numbers are told.
    sign = "-" if number < 0 and which == 0 and any(c in "123456789" for c in text) else ""
    return " ".join(f"{sign}{before}{text}{after}".split()) or None


_Section = tuple[str, str, str, int]
"""What stands before the digits, the digits, what stands behind, powers of ten to multiply with."""


@lru_cache(512)
def _sections(code: str) -> list[_Section | None]:
    parts = re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', code)
    return [_section(part) for part in parts[:3]]


def _section(part: str) -> _Section | None:
    before = after = digits = ""
    scale = 0
    for match in _TOKENS.finditer(part):
        kind, text = match.lastgroup, match[match.lastgroup] if match.lastgroup else " "
        if kind == "digits":
            if digits:
                return None
            digits = text
            continue
        if kind == "bracket":
            if not _COLORS.fullmatch(text):
                return None
            continue
        if kind == "percent":
            scale += 2
        elif kind == "other" and text not in _LITERALS:
            return None
        before, after = (before, after + text) if digits else (before + text, after)
    while digits.endswith(","):
        digits, scale = digits[:-1], scale - 3
    return before, digits, after, scale


def _digits(number: Decimal, pattern: str) -> str:
    whole, _, rest = pattern.partition(".")
    most, least = len(rest.replace(",", "")), rest.count("0")
    rounded = number.quantize(Decimal(1).scaleb(-most), ROUND_HALF_UP)
    text = f"{rounded:f}"
    integer, _, decimals = text.partition(".")
    while len(decimals) > least and decimals.endswith("0"):
        decimals = decimals[:-1]
    integer = integer.zfill(whole.replace(",", "").count("0") or 1)
    if "," in whole:
        integer = f"{int(integer):,}"
    return f"{integer}.{decimals}" if decimals else integer
