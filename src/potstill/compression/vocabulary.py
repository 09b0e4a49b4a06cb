"""A smaller vocabulary: pieces that a corpus does not need leave the tokenizer and the word table.

For WordPiece and Unigram. A piece may only go where its letters stay as pieces of their own, so a
word whose every letter is one can always be spelled; it may take more tokens. Unigram's pieces keep
their scores, so a text whose pieces all stay is cut as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from potstill.bundle.config import ModelConfig
from potstill.bundle.weights import Weights
from potstill.errors import RecipeError

_BY_WORD = ("embeddings.word.weight", "lm_head.bias")
"""Parameters with one row a piece."""
_BYTE = re.compile("<0x[0-9A-F]{2}>")
_ROUND = 20
"""A round removes one of so many pieces."""


def kept_pieces(
    tokenizer: Mapping[str, Any], counts: npt.NDArray[np.integer], limit: int = 0
) -> list[int]:
    """The ids that stay: special tokens, single letters, and the pieces a corpus uses.

    Args:
        tokenizer: what ``tokenizer.json`` holds.
        counts: how often each id occurs in the corpus, ``[vocab_size]``.
        limit: most pieces; 0 for all that occur. Those stay without which the corpus would take
            most tokens more.

    Returns:
        Ids, rising.

    Raises:
        RecipeError: neither WordPiece nor Unigram, or a limit below what has to stay.
    """
    vocabulary = _vocabulary(tokenizer)
    special = {token["id"] for token in tokenizer.get("added_tokens") or ()}
    model = tokenizer["model"]
    prefix = "" if _is_unigram(model) else model.get("continuing_subword_prefix", "##")
    special |= _needed_by_unigram(model) if _is_unigram(model) else set()
    unknown = model.get("unk_token")
    needed = special | {
        number
        for token, number in vocabulary.items()
        if token == unknown or not _spelled(token, prefix, vocabulary)
    }
    if limit and limit < len(needed):
        raise RecipeError(
            f"prune_vocabulary={limit} is less than the {len(needed)} pieces that have to stay, "
            "special tokens and single letters: name more, or 'corpus'"
        )
    used = {n: float(counts[n]) for n in vocabulary.values() if counts[n] and n not in needed}
    if limit:
        _thin_out(used, limit - len(needed), vocabulary, prefix)
    return sorted(needed.union(used))


def trim_tokenizer(tokenizer: Mapping[str, Any], kept: list[int]) -> dict[str, Any]:
    """``tokenizer.json`` with some ids alone, numbered anew in their order."""
    new = {old: number for number, old in enumerate(kept)}
    model = tokenizer["model"]
    if _is_unigram(model):
        scored = [model["vocab"][i] for i in kept if i < len(model["vocab"])]
        unknown = model.get("unk_id")
        made = {"vocab": scored, "unk_id": None if unknown is None else new[unknown]}
    else:
        numbered = {i: token for token, i in _vocabulary(tokenizer).items()}
        made = {"vocab": {numbered[i]: new[i] for i in kept if i in numbered}}
    return {
        **tokenizer,
        "model": {**model, **made},
        "added_tokens": [
            {**token, "id": new[token["id"]]} for token in tokenizer.get("added_tokens") or ()
        ],
        "post_processor": _renumbered(tokenizer.get("post_processor"), new),
    }


def trim_weights(
    config: ModelConfig, weights: Weights, kept: list[int]
) -> tuple[ModelConfig, Weights]:
    """The rows of the word table that stay, and the config that fits.

    Raises:
        RecipeError: an id beyond the word table.
    """
    if kept[-1] >= config.vocab_size:
        raise RecipeError(
            f"the tokenizer has a piece {kept[-1]}, but the word table ends at "
            f"{config.vocab_size - 1}: omit prune_vocabulary"
        )
    trimmed = {n: w[kept] if n in _BY_WORD else w for n, w in weights.items()}
    new = {old: number for number, old in enumerate(kept)}
    pad_id = new.get(config.pad_id, 0)
    if config.position_offset:  # positions are counted from the padding's id on
        name = "embeddings.position.weight"
        trimmed[name] = trimmed[name][config.pad_id - pad_id :]
    extra = {
        name: new.get(value) if name.endswith("_token_id") and isinstance(value, int) else value
        for name, value in config.extra.items()
    }
    return replace(config, vocab_size=len(kept), pad_id=pad_id, extra=extra), trimmed


def _vocabulary(tokenizer: Mapping[str, Any]) -> Mapping[str, int]:
    model: Mapping[str, Any] = tokenizer.get("model") or {}
    if _is_unigram(model):
        return {piece: number for number, (piece, _) in enumerate(model["vocab"])}
    if model.get("type", "WordPiece") != "WordPiece" or not isinstance(model.get("vocab"), dict):
        raise RecipeError(
            "prune_vocabulary is for WordPiece and Unigram vocabularies, not for "
            f"{model.get('type')}: omit it"
        )
    return model["vocab"]


def _is_unigram(model: Mapping[str, Any]) -> bool:
    return model.get("type") == "Unigram"


def _needed_by_unigram(model: Mapping[str, Any]) -> set[int]:
    """What it cuts by beside the letters: bytes, the unknown, and the piece of the lowest score.

    What an unknown character costs is counted from the last.
    """
    scores = [score for _, score in model["vocab"]]
    needed = {scores.index(min(scores))}
    if model.get("unk_id") is not None:
        needed.add(model["unk_id"])
    if model.get("byte_fallback"):
        needed |= {i for i, (piece, _) in enumerate(model["vocab"]) if _BYTE.fullmatch(piece)}
    return needed


def _thin_out(
    counts: dict[int, float], limit: int, vocabulary: Mapping[str, int], prefix: str
) -> None:
    """Removes pieces until ``limit`` are left, in rounds, those that save fewest tokens first.

    What a piece stood for is counted on the shorter ones that spell it from then on: of rare words
    that share an ending, the ending stays.
    """
    spelling = {number: token for token, number in vocabulary.items()}
    left = dict(vocabulary)
    for number in [n for n in left.values() if n not in counts]:
        if _spelled(spelling[number], prefix, vocabulary):
            del left[spelling[number]]
    while len(counts) > limit:
        saved = {
            number: counts[number] * (len(_parts(spelling[number], prefix, left)) - 1)
            for number in counts
        }
        order = sorted(counts, key=lambda number: (saved[number], -number))
        for number in order[: min(len(counts) - limit, len(counts) // _ROUND + 1)]:
            del left[spelling[number]]
            times = counts.pop(number)
            for part in _parts(spelling[number], prefix, left):
                if part in counts:
                    counts[part] += times


def _parts(token: str, prefix: str, vocabulary: Mapping[str, int]) -> list[int]:
    """The shorter pieces that would spell a piece, longest match first, as WordPiece cuts.

    Unigram would weigh their scores; for what is worth keeping it is near enough.
    """
    goes_on = token.startswith(prefix) and len(token) > len(prefix)
    letters = token.removeprefix(prefix) if goes_on else token
    parts: list[int] = []
    at = 0
    while at < len(letters):
        mark = prefix if goes_on or at else ""
        longest = len(letters) - (1 if at == 0 else 0)
        end = next(e for e in range(longest, at, -1) if mark + letters[at:e] in vocabulary)
        parts.append(vocabulary[mark + letters[at:end]])
        at = end
    return parts


def _spelled(token: str, prefix: str, vocabulary: Mapping[str, int]) -> bool:
    """Whether a piece of several letters can be spelled by single ones."""
    goes_on = token.startswith(prefix) and len(token) > len(prefix)
    letters = token.removeprefix(prefix) if goes_on else token
    if len(letters) < 2:
        return False
    first = prefix + letters[0] if goes_on else letters[0]
    return first in vocabulary and all(prefix + letter in vocabulary for letter in letters[1:])


def _renumbered(value: Any, new: Mapping[int, int]) -> Any:
    """A post-processor with the new ids of its special tokens."""
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("special_tokens"), dict):  # TemplateProcessing
        special = {
            name: {**token, "ids": [new[i] for i in token["ids"]]}
            for name, token in value["special_tokens"].items()
        }
        return {**value, "special_tokens": special}
    pairs = {role: value[role] for role in ("sep", "cls") if isinstance(value.get(role), list)}
    return {**value, **{role: [token, new[i]] for role, (token, i) in pairs.items()}}
