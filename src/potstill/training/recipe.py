"""A recipe: one whole run in one small TOML file.

Every key is a field of `Recipe`; a key that is not is an error that names it. Any key can be given
on the command line as ``key=value``, which wins over the file.
"""

from __future__ import annotations

import difflib
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from potstill.errors import RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

TASKS = ("question-answering",)
PRECISIONS = ("auto", "fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to train, on what, and how."""

    base: str
    """Model to start from: a folder, a hub id or ``default``. A missing head is made new."""
    train: str
    """Training data: SQuAD JSON, CSV or JSONL, plain or packed (.gz, .xz)."""
    out: str
    """Folder of the run: the finished model, ``metrics.jsonl`` and ``checkpoints``."""
    dev: str = ""
    """Data to score on after training (and every ``evaluate_steps``); never trained on."""
    task: str = "question-answering"
    seed: int = 0
    epochs: float = 2.0
    """Passes over the training data; a fraction stops within one."""
    max_steps: int = 0
    """Stop after so many optimiser steps, 0 for as many as ``epochs`` asks for."""
    holdout: float = 0.0
    """Share of the training contexts kept out of training and scored on instead of ``dev``."""
    batch_tokens: int = 4000
    """Most tokens of one batch, padding included."""
    accumulate: int = 1
    """Batches whose gradients are added up for one optimiser step."""
    learning_rate: float = 1.5e-4
    """Highest rate, reached at the end of the warm-up."""
    warmup: float = 0.06
    """Share of the steps over which the rate rises linearly from 0."""
    decay: float = 1.0
    """Share of the steps, at the end, over which the rate falls linearly to 0; with 1 it falls
    from the end of the warm-up on, with less it stays at its highest until then."""
    weight_decay: float = 0.01
    """AdamW's; not applied to biases and norms."""
    clip_norm: float = 1.0
    """Largest norm of the whole gradient; 0 switches clipping off."""
    dropout: float | None = None
    """Rate of every dropout while training; left out, the base model's own rates."""
    seq_len: int = 384
    """Longest window, in tokens."""
    stride: int = 128
    """Tokens that neighbouring windows of a context share."""
    max_answer_tokens: int = 30
    """Longest answer the scoring may give, in tokens."""
    fix_offsets: bool = False
    """Move wrong answer offsets to the answer's nearest occurrence instead of refusing them."""
    precision: str = "auto"
    """``fp32``, ``bf16`` (autocast), or ``auto``: bf16 where the processor has it."""
    device: str = "auto"
    """``cpu``, ``cuda``, or ``auto``."""
    threads: int = 0
    """Threads of the CPU computation, 0 for torch's own choice."""
    evaluate_steps: int = 0
    """Score every so many steps, 0 for only at the end."""
    save_minutes: float = 5.0
    """Write a checkpoint when the last is this old, 0 for never."""
    save_steps: int = 0
    """Also write one every so many steps, 0 for never."""
    keep: int = 2
    """Newest checkpoints to keep."""
    log_steps: int = 10
    """Write a line of metrics every so many steps."""
    tensorboard: bool = False
    """Also write TensorBoard files (needs the extra ``tensorboard``)."""

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            RecipeError: names the first key whose value cannot be used.
        """
        for name, choices in (("task", TASKS), ("precision", PRECISIONS), ("device", DEVICES)):
            value = getattr(self, name)
            if value not in choices:
                raise RecipeError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        for name in ("base", "train", "out"):
            if not getattr(self, name):
                raise RecipeError(f"{name} is empty: give it in the recipe or as {name}=PATH")
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise RecipeError(f"{name} must be between {low:g} and {high:g}, not {value!r}")

    def to_dict(self) -> dict[str, Any]:
        """Every key and its value."""
        return asdict(self)


_RANGES = (
    ("seed", 0, 2**63 - 1),
    ("epochs", 1e-9, 10_000),
    ("max_steps", 0, 1e12),
    ("holdout", 0, 0.9),
    ("batch_tokens", 1, 1e9),
    ("accumulate", 1, 1e6),
    ("learning_rate", 0, 10),
    ("warmup", 0, 1),
    ("decay", 0, 1),
    ("weight_decay", 0, 10),
    ("clip_norm", 0, 1e9),
    ("dropout", 0, 0.99),
    ("seq_len", 8, 1e6),
    ("stride", 1, 1e6),
    ("max_answer_tokens", 1, 1e6),
    ("threads", 0, 4096),
    ("evaluate_steps", 0, 1e12),
    ("save_minutes", 0, 1e9),
    ("save_steps", 0, 1e12),
    ("keep", 1, 1e6),
    ("log_steps", 1, 1e12),
)

MAY_CHANGE = frozenset(
    "base train out dev epochs max_steps decay evaluate_steps save_minutes save_steps keep "
    "log_steps tensorboard threads max_answer_tokens".split()
)
"""Keys that a resumed run may give anew: where files lie, what is written, how long it lasts. The
training file itself is held to its fingerprint."""


def read_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Reads a recipe file and puts ``key=value`` overrides on top.

    Raises:
        RecipeError: the file is missing or no TOML, a key is unknown or a value does not fit.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            values: dict[str, Any] = tomllib.load(file)
    except OSError as error:
        raise RecipeError(f"recipe {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path} is no TOML: {error}") from None
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise RecipeError(f"{override!r} is no override: write key=value")
        values[key.strip()] = _parse(key.strip(), text)
    return make_recipe(values)


def make_recipe(values: Mapping[str, Any]) -> Recipe:
    """A recipe from a dictionary.

    Raises:
        RecipeError: an unknown or missing key, or a value of the wrong kind.
    """
    kinds = _kinds()
    checked = {key: _checked(key, value, kinds) for key, value in values.items()}
    required = [f.name for f in fields(Recipe) if f.default is MISSING]
    missing = [name for name in required if name not in checked]
    if missing:
        name = missing[0]
        raise RecipeError(f"the recipe lacks {name}: give it in the file or as {name}=VALUE")
    return Recipe(**checked)


def _kinds() -> dict[str, tuple[type, ...]]:
    hints = typing.get_type_hints(Recipe)
    return {
        key: typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        for key, hint in hints.items()
    }


def _known(key: str, kinds: Mapping[str, Any]) -> None:
    if key not in kinds:
        close = difflib.get_close_matches(key, kinds, n=1)
        hint = f": did you mean {close[0]!r}?" if close else f"; known: {', '.join(kinds)}"
        raise RecipeError(f"unknown recipe key {key!r}{hint}")


def _checked(key: str, value: Any, kinds: Mapping[str, tuple[type, ...]]) -> Any:
    _known(key, kinds)
    if float in kinds[key] and type(value) is int:
        return float(value)
    if type(value) not in kinds[key]:
        names = " or ".join(kind.__name__ for kind in kinds[key])
        raise RecipeError(f"{key} must be of type {names}, not {value!r}")
    return value


def _parse(key: str, text: str) -> Any:
    kinds = _kinds()
    _known(key, kinds)
    if str in kinds[key]:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        kind = kinds[key][0].__name__
        raise RecipeError(f"{key} must be of type {kind}, not {text!r}") from None
