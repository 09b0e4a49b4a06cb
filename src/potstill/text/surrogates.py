"""Half surrogate pairs: Python's strings may hold them, the tokenizers library refuses them."""

from __future__ import annotations

import re

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, so that every offset stays what it was."""
    # Almost every text is free of them, and encoding tells so much faster than a search.
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text)
    return text
