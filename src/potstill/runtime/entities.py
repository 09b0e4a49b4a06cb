"""Probabilities of every token → labelled spans of the text, by Hugging Face's strategies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from potstill.data.tagging import OUTSIDE
from potstill.records import Entity
from potstill.runtime.reading import with_marks
from potstill.text.tokenizer import Encoded

Aggregation: TypeAlias = Literal["none", "simple", "first", "max", "average"]
"""How tokens become entities.

``none``: every token by itself, with its own tag. The others join neighbours of one type, a new
span beginning where a tag begins with ``B-``: ``simple`` joins tokens, the rest whole words, each
with the tag of its ``first`` token, of the token that is surest (``max``), or of the mean of its
tokens' probabilities (``average``).
"""
AGGREGATIONS: tuple[str, ...] = get_args(Aggregation)

_PREFIXES = ("B-", "I-", "E-", "S-", "L-", "U-")
_OPENS = ("B-", "S-", "U-")


@dataclass(frozen=True, slots=True)
class _Unit:
    """A token or a word with its tag."""

    tag: str
    score: float
    first: int
    """Its first token."""
    last: int
    """Its last token."""


def entities(
    text: str,
    encoded: Encoded,
    probabilities: npt.NDArray[np.float64],
    labels: Sequence[str],
    aggregation: Aggregation,
    ignore: Collection[str] = (OUTSIDE,),
) -> list[Entity]:
    """The labelled spans of a text, in order.

    The score of a span is the mean of those of its tokens or words, as in transformers.

    Args:
        text: that was read.
        encoded: its tokens.
        probabilities: of every label, ``[n_tokens, n_labels]``.
        labels: their names.
        aggregation: how tokens become entities.
        ignore: tags and types to leave out.

    Source:
        ``TokenClassificationPipeline`` of transformers 5.x; beyond it, ``S-`` and ``U-`` begin a
        span and ``E-`` and ``L-`` go on with one.
    """
    if not len(encoded):
        return []
    by_token = aggregation in ("none", "simple")
    bounds = _tokens(encoded) if by_token else _words(encoded)
    units = [_unit(probabilities, labels, first, last, aggregation) for first, last in bounds]
    if aggregation == "none":
        groups = [[unit] for unit in units]
    else:
        groups = _grouped(units)
    found: list[Entity] = []
    for group in groups:
        label = group[0].tag if aggregation == "none" else _type(group[0].tag)
        if label in ignore:
            continue
        entity = _entity(text, encoded, group, label)
        if entity.text:
            found.append(entity)
    return found


def _tokens(encoded: Encoded) -> list[tuple[int, int]]:
    return [(i, i) for i in range(len(encoded))]


def _words(encoded: Encoded) -> list[tuple[int, int]]:
    starts = np.flatnonzero(np.diff(encoded.words, prepend=np.int32(-2))).tolist()
    return list(zip(starts, [*(s - 1 for s in starts[1:]), len(encoded) - 1], strict=True))


def _unit(
    probabilities: npt.NDArray[np.float64],
    labels: Sequence[str],
    first: int,
    last: int,
    aggregation: Aggregation,
) -> _Unit:
    own = probabilities[first : last + 1]
    if aggregation == "max":
        scores = own[own.max(-1).argmax()]
    else:
        scores = own.mean(0) if aggregation == "average" else own[0]
    best = int(scores.argmax())
    return _Unit(labels[best], float(scores[best]), first, last)


def _grouped(units: Sequence[_Unit]) -> list[list[_Unit]]:
    groups: list[list[_Unit]] = []
    for unit in units:
        same = groups and _type(groups[-1][-1].tag) == _type(unit.tag)
        if same and not unit.tag.startswith(_OPENS):
            groups[-1].append(unit)
        else:
            groups.append([unit])
    return groups


def _type(tag: str) -> str:
    return tag[2:] if tag.startswith(_PREFIXES) else tag


def _entity(text: str, encoded: Encoded, group: Sequence[_Unit], label: str) -> Entity:
    first, last = group[0].first, group[-1].last
    start, end = int(encoded.offsets[first, 0]), int(encoded.offsets[last, 1])
    end = with_marks(text, end, encoded, last + 1)
    # Byte-level tokens may hold the blank before a word.
    start += len(text[start:end]) - len(text[start:end].lstrip())
    end = start + len(text[start:end].rstrip())
    score = sum(unit.score for unit in group) / len(group)
    return Entity(text[start:end], label, score, start, end)
