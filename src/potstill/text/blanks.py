"""Tokens in which no answer can begin or end, and tokens that cannot be one by themselves."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from potstill.text.tokenizer import Encoded

BoolArray: TypeAlias = npt.NDArray[np.bool_]

_LAST = 0xFF66
"""Behind it stands no punctuation that a text is likely to hold."""
_HIGH = 32
_LOW = (1 << _HIGH) - 1


def blank_tokens(text: str, encoded: Encoded) -> tuple[BoolArray, BoolArray]:
    """Which tokens of a text hold nothing that could be an answer.

    Returns:
        Two arrays, bool ``[n]``: tokens that are white space alone, or nothing at all, as
        byte-level tokenizers make some; and tokens of white space and punctuation alone (Unicode's
        classes P and Z, and control characters).
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    before = np.zeros(len(codes) + 1, np.int64)
    np.cumsum(_counts()[np.minimum(codes, _LAST)], out=before[1:])
    starts, ends = encoded.offsets[:, 0], encoded.offsets[:, 1]
    within, width = before[ends] - before[starts], ends - starts
    return within >> _HIGH == width, within & _LOW == width


@cache
def _counts() -> npt.NDArray[np.int64]:
    """What each code point adds, so that both kinds are counted at once.

    To the high half 1 if it is white space, to the low half 1 if it is that or punctuation.
    """
    spaces = np.zeros(_LAST + 1, np.bool_)
    marks = np.zeros(_LAST + 1, np.bool_)
    # Between the two ranges stand scripts of the Far East, whose punctuation is in them.
    for code in (*range(0x3100), *range(0xFE10, _LAST)):
        letter = chr(code)
        spaces[code] = letter.isspace()
        kind = unicodedata.category(letter)
        marks[code] = spaces[code] or kind[0] in "PZ" or kind in ("Cc", "Cf")
    return (spaces.astype(np.int64) << _HIGH) + marks
