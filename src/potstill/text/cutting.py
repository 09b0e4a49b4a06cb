"""Truncation of a row, with what is cut off kept as overflow, as the tokenizers library does it."""

from __future__ import annotations

import tokenizers

from potstill.errors import InputError

STRATEGIES = ("longest_first", "only_first", "only_second")


def cut(
    first: tokenizers.Encoding,
    second: tokenizers.Encoding | None,
    room: int,
    strategy: str,
    stride: int,
) -> None:
    """Cuts a text, or a pair, in place to ``room`` tokens.

    ``tokenizers::utils::truncation::truncate_encodings`` (tokenizers 0.23), which can only be had
    by changing the shared tokenizer.

    Args:
        first: the text, without special tokens.
        second: the second of a pair.
        room: most tokens of both together.
        strategy: which of the two is cut: see `STRATEGIES`.
        stride: tokens that a piece of the overflow shares with the one before.

    Raises:
        InputError: no room at all, a stride that leaves none, or one text cannot be cut so far.
    """
    if room < 0:
        raise InputError("max_length leaves no room for the special tokens; raise it")
    n_first, n_second = len(first), 0 if second is None else len(second)
    surplus = n_first + n_second - room
    if surplus <= 0:
        return
    kept_first, kept_second = n_first, n_second
    if strategy == "only_second" and second is None:
        raise InputError("truncation 'only_second' needs pairs of texts; there is one text only")
    if strategy == "only_second":
        kept_second -= surplus
    elif strategy == "only_first" or second is None:
        kept_first -= surplus
    else:
        kept_first, kept_second = longest_first(n_first, n_second, room)
    if strategy != "longest_first" and min(kept_first, kept_second + (second is None)) <= 0:
        raise InputError(
            f"{surplus} tokens have to go, more than truncation {strategy!r} can take: "
            "raise max_length or use 'longest_first'"
        )
    for text, kept, length in ((first, kept_first, n_first), (second, kept_second, n_second)):
        if text is not None and kept < length:
            if kept and stride >= kept:
                raise InputError(f"stride {stride} must be less than the {kept} tokens of a row")
            text.truncate(kept, stride)


def longest_first(n_first: int, n_second: int, room: int) -> tuple[int, int]:
    """Tokens to keep of two texts that do not fit: the longer is shortened to the other first.

    Where both must be, the first gets half of an odd room rounded down unless it is the longer.

    Args:
        n_first: tokens of the first text.
        n_second: tokens of the second, 0 where there is none.
        room: tokens that they may have together, fewer than they have.

    Source:
        ``truncate_encodings`` of the ``tokenizers`` library.
    """
    shorter, longer = sorted((n_first, n_second))
    longer = shorter if shorter > room else max(shorter, room - shorter)
    if shorter + longer > room:
        shorter = room // 2
        longer = shorter + room % 2
    return (longer, shorter) if n_first > n_second else (shorter, longer)
