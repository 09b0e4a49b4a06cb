"""Which layers see only what is near, and how fast positions turn: options of rotary encoders.

Read from what `ModelConfig.extra` keeps of ``config.json``, in the spelling of transformers 5
(``layer_types``, ``rope_parameters``) or of 4 (``global_attn_every_n_layers``,
``global_rope_theta``, ``local_rope_theta``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from potstill.errors import ConfigError

_KINDS = ("full_attention", "sliding_attention")
_THETAS = {
    "full_attention": ("global_rope_theta", 160_000.0),
    "sliding_attention": ("local_rope_theta", 10_000.0),
}
"""Kind of layer → older name of its theta, and what it is where no file says."""


def kinds(extra: Mapping[str, Any], n_layers: int) -> list[str]:
    """What every layer sees: ``full_attention`` or ``sliding_attention``.

    Raises:
        ConfigError: not one of the two for each layer.
    """
    named = extra.get("layer_types")
    if named is None:
        every = extra.get("global_attn_every_n_layers", 3)
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ConfigError(
                f"global_attn_every_n_layers must be an integer of at least 1, not {every!r:.40}"
            )
        return [_KINDS[bool(i % every)] for i in range(n_layers)]
    if not isinstance(named, list) or len(named) != n_layers or not set(named) <= set(_KINDS):
        raise ConfigError(
            f"layer_types must name {' or '.join(_KINDS)} for each of {n_layers} layers, "
            f"not {named!s:.60}"
        )
    return named


def reach(extra: Mapping[str, Any]) -> int:
    """Tokens on either side that a layer of near sight sees.

    Raises:
        ConfigError: ``local_attention`` is not a number of tokens.
    """
    window = extra.get("local_attention", 128)
    if not isinstance(window, int) or isinstance(window, bool) or not 2 <= window <= 10**7:
        raise ConfigError(f"local_attention must be an integer of at least 2, not {window!r:.40}")
    return window // 2


def theta(extra: Mapping[str, Any], kind: str) -> float:
    """Base of the angles by which positions turn a kind of layer.

    Raises:
        ConfigError: it is not a number above 1, or the angles are scaled.
    """
    older, usual = _THETAS[kind]
    given = extra.get("rope_parameters") or {}
    given = given.get(kind) or {} if isinstance(given, dict) else None
    if not isinstance(given, dict):
        raise ConfigError("rope_parameters must map each of layer_types to its parameters")
    if given.get("rope_type", "default") != "default":
        raise ConfigError(f"rope_type {given['rope_type']!r:.40} is not supported; 'default' is")
    found = given.get("rope_theta", extra.get(older))
    found = usual if found is None else found
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 1 < found < 1e12:
        raise ConfigError(f"rope_theta of {kind} must be a number above 1, not {found!r:.40}")
    return float(found)


def check(extra: Mapping[str, Any], n_layers: int) -> None:
    """Refuses options that cannot be.

    Raises:
        ConfigError: names the first.
    """
    for kind in kinds(extra, n_layers):
        theta(extra, kind)
    reach(extra)
    pooling = extra.get("classifier_pooling", "cls")
    if pooling not in ("cls", "mean"):
        raise ConfigError(f"classifier_pooling must be cls or mean, not {pooling!r:.40}")


def taken(extra: Mapping[str, Any], n_layers: int, layers: Sequence[int]) -> dict[str, Any]:
    """The options of a model of some of the layers, in their order: each sees what it saw."""
    seen = kinds(extra, n_layers)
    return {**extra, "layer_types": [seen[i] for i in layers]}
