"""Values of a ``config.json``, which may be anyone's: how they are read, and which are believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from potstill.bundle import disentangled, rotary
from potstill.errors import ConfigError

if TYPE_CHECKING:
    from potstill.bundle.config import ModelConfig

ACTIVATIONS = ("gelu", "gelu_new", "relu", "silu", "quick_gelu")
RATES = ("hidden_dropout", "attention_dropout", "qa_dropout")
"""Fields that are rates of dropout."""
PROBLEMS = {
    "regression": "regression",
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
}
"""What labels are to a text, in our names → Hugging Face's ``problem_type``."""
_ALIASES = {
    "gelu_python": "gelu",
    **dict.fromkeys(("gelu_pytorch_tanh", "gelu_python_tanh"), "gelu_new"),
    **dict.fromkeys(("gelu_fast", "gelu_accurate"), "gelu_new"),
    "swish": "silu",
}
"""Hugging Face's name of an activation → ours, of the same function."""
_MOST = {
    "vocab_size": 10**8,
    "hidden_width": 10**6,
    "embedding_width": 10**6,
    "n_layers": 1000,
    "n_heads": 10_000,
    "ffn_width": 10**7,
    "max_positions": 10**7,
    "n_token_types": 10**6,
    "pad_id": 10**8,
}
"""Largest sizes that are believed: nothing is allocated by them before the weights are there."""
_MOST_LABELS = 10**6
_MAY_BE_0 = ("embedding_width", "n_token_types", "pad_id")


def activation_of(named: str) -> str:
    """Our name of an activation, whatever a file calls it."""
    return _ALIASES.get(named, named)


def check(config: ModelConfig) -> None:
    """Checks what a config says.

    Raises:
        ConfigError: names the first value that cannot be used.
    """
    for name, most in _MOST.items():
        value = getattr(config, name)
        least = 0 if name in _MAY_BE_0 else 1
        if name == "n_token_types" and config.spec.defaults.get(name, 2):
            least = 1  # their models add a row of the table to every token
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{name} must be an integer of at least {least}, not {value!r:.40}")
        if value > most:
            raise ConfigError(f"{name} must be at most {most:,}, not {value!s:.40}")
    _check_values(config)
    if config.hidden_width % config.n_heads:
        raise ConfigError(
            f"hidden_width {config.hidden_width} is not a multiple of n_heads {config.n_heads}"
        )
    if config.activation not in ACTIVATIONS:
        raise ConfigError(
            f"activation {config.activation!r:.40} is not supported; "
            f"supported: {', '.join(ACTIVATIONS)}"
        )
    for name, value in config.spec.only.items():
        if config.extra.get(name, value) != value:
            raise ConfigError(
                f"{name} {config.extra[name]!r:.40} is not supported; only {value!r} is"
            )
    if config.spec.rotary:
        rotary.check(config.extra, config.n_layers)
    if config.spec.disentangled:
        disentangled.check(config.extra, config.max_positions)
    if config.spec.pad_id not in (None, config.pad_id):
        raise ConfigError(
            f"pad_token_id of an {config.model_type} model must be {config.spec.pad_id}, "
            f"not {config.pad_id}"
        )


def check_implied(config: ModelConfig, values: Mapping[str, Any]) -> None:
    """Checks the options of a file that only repeat a quantity.

    Raises:
        ConfigError: one says something else.
    """
    for theirs, ours in config.spec.implied.items():
        expected = getattr(config, ours)
        if values.get(theirs) not in (None, expected):
            raise ConfigError(
                f"{theirs} {values[theirs]!r:.40} is not supported; only {expected}, the {ours}, is"
            )


def _check_values(config: ModelConfig) -> None:
    for name in (*RATES, "classifier_dropout"):
        value = getattr(config, name)
        if name == "classifier_dropout" and value is None:
            continue
        if not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise ConfigError(f"{name} must be a number in [0, 1), not {value!r:.40}")
    for name, least in (("norm_eps", 1e-45), ("initializer_range", 0)):
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(f"{name} must be a number, not {value!r:.40}")
        if not least <= value <= 1:
            raise ConfigError(f"{name} must be between {least:g} and 1, not {value!r:.40}")
    named = config.extra.get("architectures")
    if named is not None and not (
        isinstance(named, list) and all(isinstance(name, str) for name in named)
    ):
        raise ConfigError(f"architectures must be a list of names, not {named!r:.40}")


def model_type_of(values: Mapping[str, Any]) -> Any:
    """``model_type``, which the oldest files of BERT leave out, those of its miniatures too."""
    given = values.get("model_type")
    named = values.get("architectures") or ()
    named = named if isinstance(named, list) else ()
    if given is None and "hidden_size" in values and values.get("type_vocab_size") == 2:
        return "bert" if all(str(name).startswith("Bert") for name in named) else None
    return given


def labels_of(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the labels, in order.

    Raises:
        ConfigError: they are not named by the numbers 0, 1, 2, …, and the model needs them.
    """
    try:
        if values.get("id2label"):
            found = {int(i): str(label) for i, label in values["id2label"].items()}
        elif values.get("label2id"):
            found = {int(i): str(label) for label, i in values["label2id"].items()}
        else:
            n = values.get("num_labels") or 0
            if not isinstance(n, int) or not 0 <= n <= _MOST_LABELS:
                raise ConfigError(f"num_labels must be a number of labels, not {n!r:.40}")
            found = {i: f"LABEL_{i}" for i in range(n)}
    except (AttributeError, TypeError, ValueError):
        raise ConfigError("id2label must map the number of each label to its name") from None
    if sorted(found) == list(range(len(found))):
        return tuple(found[i] for i in range(len(found)))
    named = values.get("architectures")
    if isinstance(named, list) and named and not any("Classification" in str(n) for n in named):
        return ()  # left over from elsewhere: such a head has no labels
    raise ConfigError(f"id2label must number its labels from 0 on, not {sorted(found)!s:.60}")


def problem_of(problem_type: Any) -> str:
    """Our name of a ``problem_type``; empty where there is none.

    Raises:
        ConfigError: it is not one of Hugging Face's.
    """
    if problem_type is None:
        return ""
    ours = {theirs: name for name, theirs in PROBLEMS.items()}
    if not isinstance(problem_type, str) or problem_type not in ours:
        raise ConfigError(
            f"problem_type {problem_type!r:.60} is not supported; supported: {', '.join(ours)}"
        )
    return ours[problem_type]
