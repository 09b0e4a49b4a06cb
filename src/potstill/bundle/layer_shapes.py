"""Layers of different shapes in ``config.json``: removed heads and narrower feed-forwards.

Hugging Face names removed heads in ``pruned_heads``, which transformers up to 4.57 builds a model
from. Feed-forward widths that differ between layers have no name there: ours is
``intermediate_sizes``, a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from potstill.errors import ConfigError

PRUNED_HEADS = "pruned_heads"
FFN_WIDTHS = "intermediate_sizes"
KEYS = (PRUNED_HEADS, FFN_WIDTHS)


def read(
    values: Mapping[str, Any], n_layers: int, n_heads: int, ffn_width: int
) -> tuple[list[int], list[int]]:
    """Heads and feed-forward width of each layer.

    Args:
        values: of ``config.json``.
        n_layers: of the model.
        n_heads: of a layer that has lost none.
        ffn_width: of a layer, where they are all alike.

    Raises:
        ConfigError: a layer or a head that is not there, or a layer left without any.
    """
    heads, removed = [n_heads] * n_layers, values.get(PRUNED_HEADS) or {}
    widths: list[Any] = values.get(FFN_WIDTHS) or [ffn_width] * n_layers
    try:
        gone = {int(layer): {int(n) for n in removed[layer]} for layer in removed}
    except (LookupError, TypeError, ValueError):
        raise ConfigError(
            f"{PRUNED_HEADS} must map the number of each layer to a list of its removed heads"
        ) from None
    for layer, numbers in gone.items():
        if not 0 <= layer < n_layers or not numbers <= set(range(n_heads)):
            raise ConfigError(
                f"{PRUNED_HEADS} names heads {sorted(numbers)} of layer {layer}, but there are "
                f"{n_layers} layers of {n_heads} heads"
            )
        heads[layer] -= len(numbers)
    if min(heads) < 1:
        raise ConfigError(f"{PRUNED_HEADS} leaves layer {heads.index(min(heads))} without a head")
    if (
        not isinstance(widths, list)
        or len(widths) != n_layers
        or any(type(width) is not int or width < 1 for width in widths)
    ):
        raise ConfigError(
            f"{FFN_WIDTHS} must list a width of at least 1 for each of the {n_layers} layers, "
            f"not {widths!r}"
        )
    return heads, widths


def write(heads: Sequence[int], ffn: Sequence[int], n_heads: int) -> dict[str, Any]:
    """What ``config.json`` holds of them: nothing where every layer is alike.

    Args:
        heads: of each layer; empty where none was removed.
        ffn: feed-forward width of each layer; empty where they are all alike.
        n_heads: of a layer that has lost none.
    """
    values: dict[str, Any] = {}
    if heads:
        # Which numbers are named does not matter: only how many are gone shapes the weights.
        gone = {str(layer): list(range(n, n_heads)) for layer, n in enumerate(heads)}
        values[PRUNED_HEADS] = {layer: numbers for layer, numbers in gone.items() if numbers}
    if ffn:
        values[FFN_WIDTHS] = list(ffn)
    return values
