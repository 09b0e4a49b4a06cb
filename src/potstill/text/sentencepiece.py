"""SentencePiece's own file of a Unigram vocabulary: ``spm.model`` and the like, as published alone.

The file is a message of Protocol Buffers, ``ModelProto`` of sentencepiece's
``sentencepiece_model.proto``; only what a tokenizer is made of is read, and nothing is believed of
it that has not been checked. What transformers 5 makes of the pieces differs by class
(``SentencePieceExtractor`` and ``convert_from_spm``, convert_slow_tokenizer.py).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, models, normalizers

from potstill.errors import TokenizerError
from potstill.text.families import check_table, token_text

FILES: Mapping[str, str] = {
    "XLMRoberta": "sentencepiece.bpe.model",
    "Camembert": "sentencepiece.bpe.model",
    "Albert": "spiece.model",
    "DebertaV2": "spm.model",
}
"""Class of transformers, without ``Tokenizer`` → the file that it reads."""

_MOST_BYTES = 1 << 25
_MOST_PIECES = 1_000_000
"""The largest that is published, XLM-V's, has 901,629 in 18 MB."""
_MOST_FIELDS = 10_000
"""Of what stands beside the pieces: how they were trained."""
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4
"""Kinds of pieces that are more than a piece of text."""
_FLOAT = struct.Struct("<f")
_MODELS = {1: "Unigram", 2: "BPE", 3: "words", 4: "characters"}
_ANGLED = {
    "bos": "<s>", "eos": "</s>", "unk": "<unk>", "sep": "</s>", "pad": "<pad>", "cls": "<s>",
    "mask": "<mask>",
}  # fmt: skip
_SQUARE = {
    "bos": "[CLS]", "eos": "[SEP]", "unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]",
    "mask": "[MASK]",
}  # fmt: skip
_ROLES = {
    "XLMRoberta": _ANGLED,
    "Camembert": _ANGLED,
    "Albert": {**_SQUARE, "unk": "<unk>", "pad": "<pad>"},
    "DebertaV2": _SQUARE,
}


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a file holds."""

    vocabulary: list[tuple[str, float]]
    """Each piece with its score, in the order of their numbers."""
    unknown: int
    """The piece that stands for what no other spells."""
    added: list[tuple[str, bool]]
    """Pieces that are found in a text before it is cut, and whether they are no text at all."""
    table: bytes
    """Which characters become what; empty where there is no such table."""


def read_pieces(path: Path, name: str) -> Pieces:
    """Reads a file.

    Args:
        path: of the file.
        name: of the class of transformers that it is for, for messages.

    Raises:
        TokenizerError: it is missing, damaged, too large, or no Unigram.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        return _pieces(path.read_bytes(), path, name)
    except OSError as error:
        raise TokenizerError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise TokenizerError(
            f"{path} is not a usable SentencePiece model: {error!s:.100}; download it again"
        ) from None


def unigram(pieces: Pieces, name: str, options: dict[str, Any]) -> tokenizers.Tokenizer:
    """The Unigram that a class of transformers makes of a file.

    Args:
        pieces: of the file.
        name: of the class, one of `FILES`.
        options: of ``tokenizer_config.json``; special tokens that it leaves out are put in, as the
            class calls them.
    """
    for role, token in _ROLES[name].items():
        if options.get(f"{role}_token") is None:
            options[f"{role}_token"] = token
    if name == "Camembert" and isinstance(options["mask_token"], str):
        options["mask_token"] = {"content": options["mask_token"], "lstrip": True}
    said = {role: token_text(options, role, token) for role, token in _ROLES[name].items()}
    vocabulary = pieces.vocabulary
    if name == "XLMRoberta":
        first = [(said[role], 0.0) for role in ("bos", "pad", "eos", "unk")]
        vocabulary = [*first, *vocabulary[3:], (said["mask"], 0.0)]
    elif name == "Camembert":
        first = [("<s>NOTUSED", 0.0), (said["pad"], 0.0), ("</s>NOTUSED", 0.0), (said["unk"], 0.0)]
        first.append(("<unk>NOTUSED", -100.0))
        vocabulary = [*first, *vocabulary[1:], (said["mask"], 0.0)]
    named = (i for i, (piece, _) in enumerate(vocabulary) if piece == said["unk"])
    backend = tokenizers.Tokenizer(models.Unigram(vocabulary, next(named, pieces.unknown), False))
    if pieces.table:
        backend.normalizer = normalizers.Precompiled(pieces.table)
    return backend


def added_tokens(pieces: Pieces) -> list[AddedToken]:
    """The pieces that are found before a text is cut."""
    return [AddedToken(p, normalized=False, special=special) for p, special in pieces.added]


def _pieces(data: bytes, path: Path, name: str) -> Pieces:
    vocabulary: list[tuple[str, float]] = []
    kinds: list[int] = []
    # What is named twice is one message: the parts of both, one behind the other.
    trainer, normalizer = bytearray(), bytearray()
    for number, value in _fields(data, _MOST_PIECES):
        if number == 1:
            piece, score, kind = _piece(_bytes(value))
            vocabulary.append((piece, score))
            kinds.append(kind)
        elif number == 2:
            trainer += _bytes(value)
        elif number == 3:
            normalizer += _bytes(value)
    model = dict(_fields(bytes(trainer))).get(3, 1)
    if model != 1:
        raise TokenizerError(
            f"{path} is a SentencePiece model of {_MODELS.get(_number(model), 'a strange kind')}, "
            f"and {name}Tokenizer reads Unigram's"
        )
    if _UNKNOWN not in kinds:
        raise ValueError("it has no piece for what is unknown")
    table = _bytes(dict(_fields(bytes(normalizer))).get(2, b""))
    check_table(table, path)
    added = [
        (piece, kind == _CONTROL)
        for (piece, _), kind in zip(vocabulary, kinds, strict=True)
        if kind in (_CONTROL, _USER_DEFINED)
    ]
    return Pieces(vocabulary, kinds.index(_UNKNOWN), added, table)


def _piece(data: bytes) -> tuple[str, float, int]:
    """Text, score and kind of a piece."""
    n = data[1] if len(data) > 1 else 0
    if data[:1] == b"\n" and len(data) == n + 7 and data[n + 2] == 21 and 0 < n < 128:
        # Nearly all of a quarter of a million: a text, a score, and no kind.
        (score,) = _FLOAT.unpack_from(data, n + 3)
        if math.isfinite(score):
            return data[2 : n + 2].decode("utf-8"), score, 1
    values = dict(_fields(data))
    (score,) = _FLOAT.unpack(_score(values.get(2, bytes(4))))
    piece = _bytes(values.get(1, b"")).decode("utf-8")
    if not piece:
        raise ValueError("a piece is empty")
    if not math.isfinite(score):
        raise ValueError(f"the score of {piece!r:.40} is {score}")
    return piece, score, _number(values.get(3, 1))


def _fields(data: bytes, most: int = _MOST_FIELDS) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a message, each with its number: an integer, or bytes."""
    at, end, n = 0, len(data), 0
    while at < end:
        n += 1
        if n > most:
            raise ValueError(f"it has more than {most:,} parts")
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        else:
            length = {1: 8, 5: 4}.get(kind, end)  # groups are of an older time
        if length > end - at:
            raise ValueError("it ends within a field")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the last with its eighth bit off, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("it ends within a field")
        value |= (data[at] & 127) << shift
        if data[at] < 128:
            return value, at + 1
        at += 1
    raise ValueError("a number has more than 10 bytes")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a field holds a number in place of text")
    return value


def _score(value: int | bytes) -> bytes:
    if isinstance(value, int) or len(value) != 4:
        raise ValueError("the score of a piece is not a number of 4 bytes")
    return value


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("a field holds text in place of a number")
    return value
