"""A smaller vocabulary: pieces that a corpus does not need leave the tokenizer and the word table.

For WordPiece alone. A piece may only go where its letters stay as pieces of their own, so a word
whose every letter is one can always be spelled; it may take more tokens.
"""

from __future__ import annotations

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


def kept_pieces(
    tokenizer: Mapping[str, Any], counts: npt.NDArray[np.integer], limit: int = 0
) -> list[int]:
    """The ids that stay: special tokens, single letters, and the pieces a corpus uses.

    Args:
        tokenizer: what ``tokenizer.json`` holds.
        counts: how often each id occurs in the corpus, ``[vocab_size]``.
        limit: most pieces, the commonest first; 0 for all that occur.

    Returns:
        Ids, rising.

    Raises:
        RecipeError: no WordPiece, or a limit below what has to stay.
    """
    vocabulary = _vocabulary(tokenizer)
    special = {token["id"] for token in tokenizer.get("added_tokens") or ()}
    prefix = tokenizer["model"].get("continuing_subword_prefix", "##")
    unknown = tokenizer["model"].get("unk_token")
    needed = {
        number
        for token, number in vocabulary.items()
        if number in special or token == unknown or not _spelled(token, prefix, vocabulary)
    }
    if limit and limit < len(needed):
        raise RecipeError(
            f"prune_vocabulary={limit} is less than the {len(needed)} pieces that have to stay, "
            "special tokens and single letters: name more, or 'corpus'"
        )
    order = np.argsort(-counts, kind="stable")
    used = [int(i) for i in order if counts[i] and int(i) not in needed]
    return sorted(needed.union(used[: limit - len(needed)] if limit else used))


def trim_tokenizer(tokenizer: Mapping[str, Any], kept: list[int]) -> dict[str, Any]:
    """``tokenizer.json`` with some ids alone, numbered anew in their order."""
    new = {old: number for number, old in enumerate(kept)}
    pieces = sorted((new[i], token) for token, i in _vocabulary(tokenizer).items() if i in new)
    return {
        **tokenizer,
        "model": {**tokenizer["model"], "vocab": {token: i for i, token in pieces}},
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
    pad_id = kept.index(config.pad_id) if config.pad_id in kept else 0
    return replace(config, vocab_size=len(kept), pad_id=pad_id), trimmed


def _vocabulary(tokenizer: Mapping[str, Any]) -> Mapping[str, int]:
    model: Mapping[str, Any] = tokenizer.get("model") or {}
    if model.get("type", "WordPiece") != "WordPiece" or not isinstance(model.get("vocab"), dict):
        raise RecipeError(
            f"prune_vocabulary is for WordPiece vocabularies, not for {model.get('type')}: omit it"
        )
    return model["vocab"]


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
