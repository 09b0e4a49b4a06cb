"""The call forms of a `PretrainedTokenizer`, read into plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from potstill.errors import InputError
from potstill.text.cutting import STRATEGIES


def pairs(text: Any, text_pair: Any, words: bool) -> tuple[list[tuple[Any, Any]], bool]:
    """Texts and pairs of any call form as a list of ``(first, second or None)``.

    Args:
        text: as in a call of the tokenizer.
        text_pair: as in a call of the tokenizer.
        words: whether each text is a list of words.

    Returns:
        The list, and whether the caller gave several.

    Raises:
        InputError: no texts, or not as many second ones as first ones.
    """
    is_batch = _is_list(text) and not (words and all(isinstance(part, str) for part in text))
    if not is_batch:
        return [(_text(text, words), _text(text_pair, words) if text_pair else None)], False
    if text_pair is None:
        return [_pair(part, words) for part in text], True
    if not _is_list(text_pair) or len(text_pair) != len(text):
        given = len(text_pair) if _is_list(text_pair) else "one"
        raise InputError(f"{len(text)} texts need as many second texts, not {given}")
    both = zip(text, text_pair, strict=True)
    return [(_text(first, words), _text(second, words)) for first, second in both], True


def _pair(part: Any, words: bool) -> tuple[Any, Any]:
    is_pair = _is_list(part) and (not words or all(_is_list(inner) for inner in part))
    if not is_pair or (words and not part):
        return _text(part, words), None
    if len(part) != 2:
        raise InputError(f"a pair has two texts, not {len(part)}")
    return _text(part[0], words), _text(part[1], words)


def _text(text: Any, words: bool) -> Any:
    if words and _is_list(text) and all(isinstance(word, str) for word in text):
        return list(text)
    if not words and isinstance(text, str):
        return text
    wanted = "a list of words" if words else "a text"
    raise InputError(f"a tokenizer needs {wanted}, not {type(text).__name__}")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def strategy(truncation: bool | str) -> str | None:
    """The strategy of `cut`; ``None`` for no truncation.

    Raises:
        InputError: there is no such strategy.
    """
    if truncation is True:
        return "longest_first"
    if not truncation or truncation == "do_not_truncate":
        return None
    if truncation not in STRATEGIES:
        raise InputError(f"truncation {truncation!r} is not one of True, {', '.join(STRATEGIES)}")
    return truncation


def padded_len(padding: bool | str, longest: int, limit: int, multiple: int | None) -> int:
    """The length that rows are padded to.

    Args:
        padding: ``True``, ``"longest"``, ``"max_length"``, ``False`` or ``"do_not_pad"``.
        longest: length of the longest row.
        limit: what ``"max_length"`` stands for.
        multiple: round up to a multiple of this.

    Returns:
        The length, 0 where nothing is padded.

    Raises:
        InputError: there is no such padding.
    """
    if padding is False or padding == "do_not_pad":
        return 0
    if padding not in (True, "longest", "max_length"):
        raise InputError(f"padding {padding!r} is not one of True, longest, max_length, False")
    length = max(longest, limit) if padding == "max_length" else longest
    return -(-length // multiple) * multiple if multiple else length


def plain(value: Any) -> Any:
    """An array or a tensor as Python numbers; anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value
