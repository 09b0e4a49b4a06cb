"""Tokens that are white space alone: byte-level tokenizers make some, and no answer is one."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from potstill.text.tokenizer import Encoded

BoolArray: TypeAlias = npt.NDArray[np.bool_]


def blank_tokens(text: str, encoded: Encoded) -> BoolArray:
    """True for tokens of a text that are white space alone, or nothing at all, bool ``[n]``."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    is_space = _SPACES[np.minimum(codes, len(_SPACES) - 1)]
    before = np.concatenate([[0], np.cumsum(is_space)])
    starts, ends = encoded.offsets[:, 0], encoded.offsets[:, 1]
    return before[ends] - before[starts] == ends - starts


def _spaces() -> BoolArray:
    """Whether each code point is white space, as `str.isspace` has it; none is beyond the last."""
    table = np.zeros(0x3002, np.bool_)
    table[[*range(9, 14), *range(28, 33), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)]] = True
    table[[0x2028, 0x2029, 0x202F, 0x205F, 0x3000]] = True
    return table


_SPACES = _spaces()
