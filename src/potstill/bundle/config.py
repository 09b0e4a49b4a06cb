"""``config.json`` of a model folder, read into one typed config and written back.

Hugging Face spells the same quantity differently for BERT and for DistilBERT
(``num_hidden_layers`` and ``n_layers``), and counts RoBERTa's positions by the rows of a table of
which two are never used; all of that stops here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from potstill.errors import ConfigError

ACTIVATIONS = ("gelu", "gelu_new", "relu")

_BERT = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_width",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "ffn_width",
    "max_position_embeddings": "max_positions",
    "type_vocab_size": "n_token_types",
    "hidden_act": "activation",
    "layer_norm_eps": "norm_eps",
    "hidden_dropout_prob": "hidden_dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "initializer_range": "initializer_range",
    "pad_token_id": "pad_id",
}
_DISTILBERT = {
    "vocab_size": "vocab_size",
    "dim": "hidden_width",
    "n_layers": "n_layers",
    "n_heads": "n_heads",
    "hidden_dim": "ffn_width",
    "max_position_embeddings": "max_positions",
    "activation": "activation",
    "dropout": "hidden_dropout",
    "attention_dropout": "attention_dropout",
    "qa_dropout": "qa_dropout",
    "initializer_range": "initializer_range",
    "pad_token_id": "pad_id",
}
FIELDS = {
    "bert": _BERT,
    "distilbert": _DISTILBERT,
    "roberta": _BERT,
    "electra": {**_BERT, "embedding_size": "embedding_width"},
}
"""Hugging Face field name → ours, for each supported ``model_type``."""

_DEFAULTS: dict[str, dict[str, Any]] = {
    "bert": {},
    "distilbert": {"n_token_types": 0, "qa_dropout": 0.1},
    "roberta": {"vocab_size": 50265, "pad_id": 1},
    "electra": {"embedding_width": 128, "hidden_width": 256, "n_heads": 4, "ffn_width": 1024},
}
"""What a field is where ``config.json`` leaves it out and `ModelConfig` has another default."""


def position_offset(model_type: str, pad_id: int) -> int:
    """Rows of a position table that stand before position 0: ``pad_id + 1`` in RoBERTa."""
    return pad_id + 1 if model_type == "roberta" else 0


_MAY_BE_0 = ("embedding_width", "n_token_types", "pad_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Shape of an encoder, in our names. Widths and counts are in elements."""

    model_type: str = "bert"
    vocab_size: int = 30522
    hidden_width: int = 768
    embedding_width: int = 0
    """Width of the embedding tables; 0 for ``hidden_width``, as everywhere but in ELECTRA."""
    n_layers: int = 12
    n_heads: int = 12
    ffn_width: int = 3072
    max_positions: int = 512
    """Longest ``seq_len`` the position table allows: its rows less `position_offset`."""
    n_token_types: int = 2
    """0 where the encoder has no token types (DistilBERT)."""
    activation: str = "gelu"
    norm_eps: float = 1e-12
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    qa_dropout: float = 0.0
    """Dropout before the question-answering head (DistilBERT has one)."""
    initializer_range: float = 0.02
    pad_id: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Every other key of ``config.json``, kept as it was for writing back."""

    @property
    def head_width(self) -> int:
        return self.hidden_width // self.n_heads

    @property
    def table_width(self) -> int:
        """Width of the embedding tables."""
        return self.embedding_width or self.hidden_width

    @property
    def projects(self) -> bool:
        """Whether a projection takes the embeddings to ``hidden_width``."""
        return self.table_width != self.hidden_width

    @property
    def position_offset(self) -> int:
        """Rows of the position table before position 0.

        Where there are some (RoBERTa), only tokens that are no padding are counted, and padding
        has the last of these rows.
        """
        return position_offset(self.model_type, self.pad_id)

    @property
    def lm_activation(self) -> str:
        """The activation inside the masked-LM head; RoBERTa's does not follow ``activation``."""
        return "gelu" if self.model_type == "roberta" else self.activation

    def with_dropout(self, rate: float) -> ModelConfig:
        """The same config with every dropout set to ``rate``."""
        return replace(self, hidden_dropout=rate, attention_dropout=rate, qa_dropout=rate)

    @classmethod
    def from_hf(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Reads the dictionary of a Hugging Face ``config.json``.

        Raises:
            ConfigError: an unsupported ``model_type`` or option, or a value of the wrong kind.
        """
        model_type = values.get("model_type")
        if model_type not in FIELDS:
            raise ConfigError(
                f"model_type {model_type!r} is not supported; supported: {', '.join(FIELDS)}"
            )
        names = FIELDS[model_type]
        fields = dict(_DEFAULTS[model_type])
        fields.update({names[k]: v for k, v in values.items() if k in names and v is not None})
        extra = {k: v for k, v in values.items() if k not in names and k != "model_type"}
        config = cls(model_type=model_type, extra=extra, **fields)
        config._check()
        if config.embedding_width == config.hidden_width:
            config = replace(config, embedding_width=0)
        config = replace(config, max_positions=config.max_positions - config.position_offset)
        config._check()
        return config

    def to_hf(self) -> dict[str, Any]:
        """The dictionary that ``config.json`` holds, in Hugging Face's field names."""
        values = {name: getattr(self, name) for name in FIELDS[self.model_type].values()}
        values["max_positions"] += self.position_offset
        if "embedding_width" in values:
            values["embedding_width"] = self.table_width
        ours = {hf: values[name] for hf, name in FIELDS[self.model_type].items()}
        return {**self.extra, "model_type": self.model_type, **ours}

    def _check(self) -> None:
        for name in (
            "vocab_size",
            "hidden_width",
            "n_layers",
            "n_heads",
            "ffn_width",
            "max_positions",
            *_MAY_BE_0,
        ):
            value = getattr(self, name)
            least = 0 if name in _MAY_BE_0 else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{name} must be an integer of at least {least}, not {value!r}")
        for name in ("hidden_dropout", "attention_dropout", "qa_dropout"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value < 1:
                raise ConfigError(f"{name} must be a number in [0, 1), not {value!r}")
        if self.hidden_width % self.n_heads:
            raise ConfigError(
                f"hidden_width {self.hidden_width} is not a multiple of n_heads {self.n_heads}"
            )
        if self.activation not in ACTIVATIONS:
            raise ConfigError(
                f"activation {self.activation!r} is not supported; "
                f"supported: {', '.join(ACTIVATIONS)}"
            )
        if self.extra.get("position_embedding_type", "absolute") != "absolute":
            raise ConfigError(
                f"position_embedding_type {self.extra['position_embedding_type']!r} "
                "is not supported; only 'absolute' is"
            )
        if self.extra.get("sinusoidal_pos_embds") and self.model_type != "distilbert":
            raise ConfigError("sinusoidal_pos_embds is only known for distilbert")


def read_config(folder: Path) -> ModelConfig:
    """Reads ``folder/config.json``.

    Raises:
        ConfigError: the file is missing, not JSON, or describes an unsupported model.
    """
    path = folder / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{folder} has no config.json: is it a model folder?") from None
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a {type(values).__name__}, not a JSON object")
    try:
        return ModelConfig.from_hf(values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
