"""What a body costs to parse, told from its bytes before anything is made of them."""

from __future__ import annotations

import numpy as np

FREE = 16_384
"""Bytes of a body that may hold anything: it cannot be dear."""
MOST_PARTS = 20_000
"""Lists, objects and named fields of a body; a request of 128 questions has about a thousand."""
MOST_STRINGS = 50_000
_DEEPEST = 1000

_ESCAPED = (b"\\\\", b""), (b'\\"', b"")


def too_many_parts(body: bytes) -> str:
    """Why a JSON body is refused unparsed; empty where it is not.

    An object costs a parser some 30 times its two bytes, and a validator a microsecond and more:
    four megabytes of ``{}`` were gigabytes and seconds. Numbers are cheap and are not counted.
    """
    if len(body) <= FREE:
        return ""
    for what, by in _ESCAPED:
        body = body.replace(what, by)
    data = np.frombuffer(body, np.uint8)
    quotes = data == ord('"')
    n_strings = int(np.count_nonzero(quotes)) // 2
    if n_strings > MOST_STRINGS:
        return f"the body holds {n_strings:,} strings; at most {MOST_STRINGS:,} are read"
    opens = (data == ord("{")) | (data == ord("[")) | (data == ord(":"))
    if int(np.count_nonzero(opens)) <= MOST_PARTS:
        return ""
    inside = np.bitwise_xor.accumulate(quotes.view(np.uint8)).view(np.bool_)
    closes = ((data == ord("}")) | (data == ord("]"))) & ~inside
    into = (opens & (data != ord(":")) & ~inside).astype(np.int8)
    nested = np.cumsum(into - closes.view(np.int8), dtype=np.int32)
    if int(nested.max()) > _DEEPEST:
        return ""  # the parser refuses that by itself, and at once
    n = int(np.count_nonzero(opens & ~inside))
    return f"the body holds {n:,} lists and fields; at most {MOST_PARTS:,} are read" * (
        n > MOST_PARTS
    )
