"""What attention knows of distances where contents and distances are kept apart: its options.

Read from what `ModelConfig.extra` keeps of ``config.json``. He et al. 2021, DeBERTa
(https://arxiv.org/abs/2006.03654): the score of two tokens is that of their contents, and what the
one's content makes of the other's distance. Buckets of distances are those of DeBERTa-v2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from potstill.errors import ConfigError

_TERMS = ("c2p", "p2c")
_NORMS = ("none", "layer_norm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """The table of distances that all layers share, and what they make of it."""

    span: int
    """Half the rows of the table: those of either direction."""
    buckets: int
    """Buckets of a direction and a half that are exact; 0 where every distance has its own row."""
    farthest: int
    """The distance that the last bucket is for."""
    of_keys: bool
    """Whether a query's content asks how far the key is (``c2p``)."""
    of_queries: bool
    """Whether a key's content asks how far the query is (``p2c``)."""
    shares: bool
    """Whether distances pass through the projections of the contents, and have none of their
    own."""
    normed: bool
    """Whether a layer norm follows the table."""

    @property
    def projections(self) -> tuple[str, ...]:
        """What every layer has beside its query, key and value."""
        asked = {"distance_key": self.of_keys, "distance_query": self.of_queries}
        return () if self.shares else tuple(name for name, there in asked.items() if there)

    def row(self, distance: int) -> int:
        """The row of the table for a query that stands ``distance`` behind its key.

        Source:
            transformers 5, ``make_log_bucket_position`` and ``disentangled_attention_bias``.
        """
        bucket, middle = distance, self.buckets // 2
        if self.buckets and abs(distance) > middle:
            # In float32 as there: on the border of two buckets its rounding is what counts.
            away, most = (
                np.log(np.float32(n / middle)) for n in (abs(distance), self.farthest - 1)
            )
            bucket = middle + math.ceil(away / most * np.float32(middle - 1))
            bucket = bucket if distance > 0 else -bucket
        return min(max(bucket + self.span, 0), 2 * self.span - 1)


def terms(extra: Mapping[str, Any]) -> list[str]:
    """Which products with distances there are: ``c2p``, ``p2c``.

    They divide the scores even where ``relative_attention`` is off, as in transformers.

    Raises:
        ConfigError: ``pos_att_type`` names something else.
    """
    given = extra.get("pos_att_type") or []
    named = [part.strip() for part in given.lower().split("|")] if isinstance(given, str) else given
    if not isinstance(named, list) or not all(one in _TERMS for one in named):
        raise ConfigError(f"pos_att_type must be of {' and '.join(_TERMS)}, not {given!s:.60}")
    return sorted(set(named))


def read(extra: Mapping[str, Any], max_positions: int) -> Distances | None:
    """The options of a config; ``None`` where attention knows no distances.

    Args:
        extra: what the config keeps of its file.
        max_positions: what ``max_relative_positions`` is where the file says -1 or nothing.

    Raises:
        ConfigError: an option is of the wrong kind, or out of range.
    """
    found = terms(extra)
    if not _flag(extra, "relative_attention", False):
        return None
    farthest = _number(extra, "max_relative_positions", -1)
    farthest = farthest if farthest > 0 else max_positions
    buckets = max(_number(extra, "position_buckets", -1), 0)
    if buckets and not 2 <= buckets // 2 < farthest - 1:
        raise ConfigError(
            f"position_buckets must be from 4 to less than twice the {farthest} relative positions "
            f"less 1, not {buckets}"
        )
    return Distances(
        span=buckets or farthest,
        buckets=buckets,
        farthest=farthest,
        of_keys="c2p" in found,
        of_queries="p2c" in found,
        shares=_flag(extra, "share_att_key", False),
        normed="layer_norm" in _norms(extra),
    )


def check(extra: Mapping[str, Any], max_positions: int) -> None:
    """Refuses options that cannot be.

    Raises:
        ConfigError: names the first.
    """
    read(extra, max_positions)
    has_positions(extra)
    _norms(extra)


def has_positions(extra: Mapping[str, Any]) -> bool:
    """Whether positions are added to the embeddings too.

    Raises:
        ConfigError: ``position_biased_input`` is not true or false.
    """
    return _flag(extra, "position_biased_input", True)


def _norms(extra: Mapping[str, Any]) -> list[str]:
    given = extra.get("norm_rel_ebd", "none")
    named = [part.strip() for part in given.lower().split("|")] if isinstance(given, str) else []
    if not named or not set(named) <= set(_NORMS):
        raise ConfigError(f"norm_rel_ebd must be {' or '.join(_NORMS)}, not {given!r:.40}")
    return named


def _flag(extra: Mapping[str, Any], name: str, otherwise: bool) -> bool:
    value = extra.get(name, otherwise)
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be true or false, not {value!r:.40}")
    return value


def _number(extra: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = extra.get(name, otherwise)
    if not isinstance(value, int) or isinstance(value, bool) or not -1 <= value <= 10**5:
        raise ConfigError(f"{name} must be a whole number from -1 to 100,000, not {value!r:.40}")
    return value
