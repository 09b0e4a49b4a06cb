"""A student's first weights and shape, from those of a larger model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from potstill.bundle import rotary
from potstill.bundle.config import ModelConfig
from potstill.bundle.weights import Weights
from potstill.errors import RecipeError

RULES = ("uniform", "first", "last", "skip")
"""Ways to choose layers by name."""

MAPS = ("uniform", "last", "skip")
"""Ways to pair layers by name."""

_LAYER = re.compile(r"layers\.(\d+)\.(.+)")


def select_layers(rule: str | Sequence[int], n_from: int, n_layers: int) -> list[int]:
    """Which layers of a larger model a student starts from.

    Args:
        rule: ``uniform`` spreads them from the first to the last (of 12 for 6: 0, 2, 4, 7, 9, 11,
            DistilBERT's), ``first`` and ``last`` take one end, ``skip`` every so many from the
            first on (of 12 for 6: 0, 2, 4, 6, 8, 10), or a list of numbers from 0.
        n_from: layers of the larger model.
        n_layers: layers of the student; 0 for as many as there are, or as the list has.

    Raises:
        RecipeError: an unknown rule, or layers that are not there.
    """
    if not isinstance(rule, str):
        return _checked("layers", rule, n_from, n_layers)
    if rule not in RULES:
        raise RecipeError(f"layers must be one of {', '.join(RULES)} or a list, not {rule!r}")
    n = n_layers or n_from
    if n > n_from:
        raise RecipeError(f"n_layers {n} is more than the {n_from} layers there are to take")
    if rule == "first":
        return list(range(n))
    if rule == "last":
        return list(range(n_from - n, n_from))
    if rule == "skip":
        return [i * (n_from // n) for i in range(n)]
    return np.linspace(0, n_from - 1, n).round().astype(int).tolist() if n > 1 else [n_from - 1]


def map_layers(rule: str | Sequence[int], n_teacher: int, n_student: int) -> list[int]:
    """The teacher layer that each student layer is matched with, from 0; -1 for none.

    Args:
        rule: ``uniform`` spreads the teacher's layers evenly and ends with its last (of 12 for
            5: 1, 4, 6, 9, 11), ``last`` takes its last ones and ``skip`` every so many (PKD-last
            and PKD-skip of Sun et al. 2019, https://arxiv.org/abs/1908.09355), or a list.
        n_teacher: layers of the teacher.
        n_student: layers of the student.

    Raises:
        RecipeError: an unknown rule, a list of another length, or layers that are not there.
    """
    if not isinstance(rule, str):
        if len(rule) != n_student:
            raise RecipeError(
                f"layer_map has {len(rule)} numbers for a student of {n_student} layers: "
                "give one for each, -1 to leave a layer out"
            )
        return _checked("layer_map", rule, n_teacher, n_student, least=-1)
    if rule not in MAPS:
        raise RecipeError(f"layer_map must be one of {', '.join(MAPS)} or a list, not {rule!r}")
    if n_student > n_teacher:
        raise RecipeError(
            f"layer_map={rule} needs a teacher of at least {n_student} layers, "
            f"not of {n_teacher}: give a list"
        )
    if rule == "last":
        return list(range(n_teacher - n_student, n_teacher))
    if rule == "skip":
        return [(i + 1) * (n_teacher // n_student) - 1 for i in range(n_student)]
    # Halves go up, unlike Python's round: the order of the layers is all that matters.
    return [(2 * (i + 1) * n_teacher + n_student) // (2 * n_student) - 1 for i in range(n_student)]


def take_layers(
    config: ModelConfig, weights: Weights, layers: Sequence[int]
) -> tuple[ModelConfig, Weights]:
    """Keeps some layers of a model, in the order given; everything else stays.

    Args:
        config: of the larger model.
        weights: of the larger model, under our names.
        layers: numbers from 0; one may be given twice.

    Returns:
        The smaller config and its weights.
    """
    if config.spec.pre_norm and 0 in layers[1:]:
        raise RecipeError(
            f"layer 0 of a {config.model_type} model has no norm before it: it can only be first"
        )
    kept: Weights = {name: array for name, array in weights.items() if not _LAYER.match(name)}
    for new, old in enumerate(layers):
        for name, array in weights.items():
            match = _LAYER.match(name)
            nameless = (
                config.spec.pre_norm and not new and name.startswith(f"layers.{old}.attention_norm")
            )
            if match and int(match[1]) == old and not nameless:
                kept[f"layers.{new}.{match[2]}"] = array
    shapes = [config.heads_of(i) for i in layers], [config.ffn_of(i) for i in layers]
    if config.spec.rotary:
        config = replace(config, extra=rotary.taken(config.extra, config.n_layers, layers))
    return config.with_layer_shapes(*shapes), kept


def drop_token_types(config: ModelConfig, weights: Weights) -> tuple[ModelConfig, Weights]:
    """Turns a BERT into a DistilBERT: no token types (and no pooler, which is never read).

    The vector of token type 0 is added to every position, so that the model computes what it did
    before on rows of one type. Any other type of model stays as it is: a distilled RoBERTa is a
    RoBERTa of fewer layers.
    """
    if config.model_type != "bert":
        return config, weights
    weights = dict(weights)
    types = weights.pop("embeddings.token_type.weight", None)
    if types is not None:
        weights["embeddings.position.weight"] = (
            weights["embeddings.position.weight"].astype(np.float32) + types[0]
        )
    extra = {k: v for k, v in config.extra.items() if k != "architectures"}
    return replace(config, model_type="distilbert", n_token_types=0, extra=extra), weights


def fresh_config(
    config: ModelConfig,
    *,
    n_layers: int = 0,
    hidden_width: int = 0,
    ffn_width: int = 0,
    n_heads: int = 0,
) -> ModelConfig:
    """The shape of a student that starts from random weights; 0 keeps what ``config`` has.

    Raises:
        RecipeError: the heads do not divide the width.
    """
    extra = config.extra
    if n_layers not in (0, config.n_layers):  # the pattern goes on, the list would not fit
        extra = {name: value for name, value in extra.items() if name != "layer_types"}
    # A base that was pruned lends its shape only where its layers still fit.
    layer_heads = () if n_layers or hidden_width or n_heads else config.layer_heads
    layer_ffn = () if n_layers or ffn_width else config.layer_ffn
    shape = replace(
        config,
        extra=extra,
        layer_heads=layer_heads,
        layer_ffn=layer_ffn,
        n_layers=n_layers or config.n_layers,
        hidden_width=hidden_width or config.hidden_width,
        ffn_width=ffn_width or config.ffn_width,
        n_heads=n_heads or config.n_heads,
    )
    if shape.hidden_width % shape.n_heads:
        raise RecipeError(
            f"hidden_width {shape.hidden_width} is not a multiple of n_heads {shape.n_heads}: "
            "give both"
        )
    return shape


def narrow_embeddings(table: np.ndarray, width: int) -> np.ndarray:
    """Word embeddings of a larger model for a narrower one: their first principal components.

    Args:
        table: ``[vocab, width]``.
        width: of the result; with the table's own width it is returned as it is.

    Returns:
        float32 ``[vocab, width]``, centred and not rescaled.

    Raises:
        RecipeError: the table is narrower.
    """
    if width == table.shape[1]:
        return table.astype(np.float32)
    if width > table.shape[1]:
        raise RecipeError(
            f"hidden_width {width} is more than base's word embeddings have ({table.shape[1]}): "
            "use embeddings=random"
        )
    centred = table.astype(np.float64) - table.mean(0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)  # the greatest variance comes last
    return (centred @ axes[:, : -width - 1 : -1]).astype(np.float32)


def _checked(
    key: str, numbers: Sequence[int], n_from: int, n_layers: int, *, least: int = 0
) -> list[int]:
    for number in numbers:
        if not least <= number < n_from:
            raise RecipeError(
                f"{key} names layer {number}, but there are only 0 to {n_from - 1} to take"
            )
    if not numbers:
        raise RecipeError(f"{key} is an empty list: name at least one layer")
    if n_layers and len(numbers) != n_layers:
        raise RecipeError(f"{key} names {len(numbers)} layers, but n_layers is {n_layers}")
    return list(numbers)
