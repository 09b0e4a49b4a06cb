"""Structured pruning: attention heads and feed-forward neurons that are really removed.

What a head or a neuron is worth comes in as numbers, one each; what leaves is a smaller config and
smaller matrices, which compute what the full ones would with those heads and neurons silenced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potstill.bundle.config import ModelConfig
from potstill.bundle.weights import Weights
from potstill.errors import RecipeError

Scores: TypeAlias = "list[NDArray[Any]]"
"""For each layer, what each of its heads, or each of its neurons, is worth."""
Wanted: TypeAlias = "float | Sequence[int]"
"""How many are kept: 0 for all, a share below 1, a number for each layer alike, or a list."""


@dataclass(frozen=True, slots=True, eq=False)
class Importance:
    """What the parts of a model are worth; more is better."""

    heads: Scores
    neurons: Scores

    def of_layers(self, layers: Sequence[int]) -> Importance:
        """The same of some layers, in their order."""
        return Importance([self.heads[i] for i in layers], [self.neurons[i] for i in layers])


@dataclass(frozen=True, slots=True)
class KeptParts:
    """Which parts of each layer stay: numbers from 0, rising."""

    heads: list[list[int]]
    neurons: list[list[int]]


def magnitude(config: ModelConfig, weights: Weights) -> Importance:
    """What heads and neurons are worth by their weights alone, without data.

    A head: the Frobenius norm of its value rows times that of its output columns. A neuron: the
    norm of its row of the first layer times that of its column of the second.
    """
    heads: Scores = []
    neurons: Scores = []
    for i in range(config.n_layers):
        value, output = (
            np.square(weights[f"layers.{i}.attention.{part}.weight"].astype(np.float64))
            for part in ("value", "output")
        )
        n = config.heads_of(i)
        rows = value.sum(axis=1).reshape(n, -1).sum(axis=1)
        columns = output.sum(axis=0).reshape(n, -1).sum(axis=1)
        heads.append(np.sqrt(rows * columns))
        up, down = (
            np.linalg.norm(weights[f"layers.{i}.ffn.{part}.weight"].astype(np.float64), axis=axis)
            for part, axis in (("up", 1), ("down", 0))
        )
        neurons.append(up * down)
    return Importance(heads, neurons)


def choose(
    importance: Importance, heads: Wanted, ffn: Wanted, *, ragged: bool = False
) -> KeptParts:
    """Which heads and neurons stay: the ones worth most.

    Args:
        importance: of the model that is pruned.
        heads: how many of each layer stay.
        ffn: how many neurons of each layer stay.
        ragged: keep as many in all, but where they are worth most, so that layers come to differ;
            every layer keeps at least one.

    Raises:
        RecipeError: a number that cannot be kept.
    """
    # Michel et al. 2019 compare heads of different layers after dividing by the layer's norm.
    normed = [s / max(float(np.linalg.norm(s)), 1e-12) for s in importance.heads]
    n_heads, n_neurons = shape(
        [len(s) for s in importance.heads], [len(s) for s in importance.neurons], heads, ffn
    )
    if ragged and not isinstance(heads, (list, tuple)):
        n_heads = _spread(normed, sum(n_heads))
    if ragged and not isinstance(ffn, (list, tuple)):
        n_neurons = _spread(importance.neurons, sum(n_neurons))
    return KeptParts(_best(normed, n_heads), _best(importance.neurons, n_neurons))


def shape(
    n_heads: list[int], n_neurons: list[int], heads: Wanted, ffn: Wanted
) -> tuple[list[int], list[int]]:
    """How many heads and neurons of each layer stay.

    Args:
        n_heads: how many each layer has.
        n_neurons: as ``n_heads``.
        heads: how many of each layer are to stay.
        ffn: as ``heads``, of neurons.

    Raises:
        RecipeError: a number that cannot be kept.
    """
    return (
        _counts("prune_heads", "heads", n_heads, heads),
        _counts("prune_ffn", "neurons", n_neurons, ffn),
    )


def prune(config: ModelConfig, weights: Weights, kept: KeptParts) -> tuple[ModelConfig, Weights]:
    """Removes all heads and neurons but those that are kept.

    Args:
        config: of the full model.
        weights: of the full model, under our names.
        kept: for every layer.

    Returns:
        The smaller config and its weights.
    """
    pruned = dict(weights)
    width = config.head_width
    for i, (heads, neurons) in enumerate(zip(kept.heads, kept.neurons, strict=True)):
        inner = np.concatenate([np.arange(h * width, (h + 1) * width) for h in heads])
        for part in ("attention.query", "attention.key", "attention.value"):
            _take(pruned, f"layers.{i}.{part}", inner)
        _take_inputs(pruned, f"layers.{i}.attention.output", inner)
        _take(pruned, f"layers.{i}.ffn.up", np.array(neurons))
        _take_inputs(pruned, f"layers.{i}.ffn.down", np.array(neurons))
    shape = [len(heads) for heads in kept.heads], [len(neurons) for neurons in kept.neurons]
    return config.with_layer_shapes(*shape), pruned


def _take(weights: Weights, name: str, rows: NDArray[np.int64]) -> None:
    for tensor in ("weight", "bias"):
        weights[f"{name}.{tensor}"] = weights[f"{name}.{tensor}"][rows]


def _take_inputs(weights: Weights, name: str, columns: NDArray[np.int64]) -> None:
    weights[f"{name}.weight"] = np.ascontiguousarray(weights[f"{name}.weight"][:, columns])


def _best(scores: Scores, counts: list[int]) -> list[list[int]]:
    # Of equals the first stays: a stable sort, so that a choice does not depend on the machine.
    return [
        sorted(np.argsort(-layer, kind="stable")[:n].tolist())
        for layer, n in zip(scores, counts, strict=True)
    ]


def _counts(key: str, what: str, there: list[int], wanted: Wanted) -> list[int]:
    """How many each layer keeps.

    Raises:
        RecipeError: fewer than one, more than there are, or a list of another length.
    """
    if isinstance(wanted, (list, tuple)):
        if len(wanted) != len(there):
            raise RecipeError(f"{key} has {len(wanted)} numbers for {len(there)} layers")
        counts = [int(n) for n in wanted]
    else:
        number = float(wanted)  # pyright: ignore[reportArgumentType]
        if number >= 1 and number != int(number):
            raise RecipeError(f"{key}={number:g} is neither a whole number nor a share below 1")
        if not number:
            counts = list(there)
        elif number < 1:
            counts = [max(1, round(number * n)) for n in there]
        else:
            counts = [int(number)] * len(there)
    for layer, (n, most) in enumerate(zip(counts, there, strict=True)):
        if not 1 <= n <= most:
            raise RecipeError(
                f"{key} keeps {n} {what} of layer {layer}, which has {most}: "
                f"name a number from 1 to {most}"
            )
    return counts


def _spread(scores: Scores, total: int) -> list[int]:
    """How many each layer keeps where the best of all layers stay, at least one in each."""
    counts = [1] * len(scores)
    rest = sorted(
        (-float(value), i) for i, layer in enumerate(scores) for value in np.sort(layer)[::-1][1:]
    )
    for _, i in rest[: total - len(scores)]:
        counts[i] += 1
    return counts
