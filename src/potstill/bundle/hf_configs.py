"""The config classes that people import: `ModelConfig` under Hugging Face's field names.

Each is a `ModelConfig`, so everything that takes one takes these, and unlike it they can be
written to, under Hugging Face's names: other people's loops do so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.bundle import layout
from potstill.bundle.atomic import write_json
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.encoders.bert import BERT
from potstill.bundle.find import find_model
from potstill.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self

_OWN = tuple(field.name for field in fields(ModelConfig))
_LABELS = ("id2label", "label2id")


class PretrainedConfig(ModelConfig):
    """Base of the config classes; ``model.config`` is always one of them."""

    kind: ClassVar[str]
    """The ``model_type`` of the class."""

    def __init__(self, **options: Any) -> None:
        """Takes Hugging Face's field names; what is left out has Hugging Face's default.

        Args:
            options: such as ``hidden_size``, ``num_hidden_layers``, ``num_labels``, ``id2label``,
                ``problem_type``; names without a meaning here are kept, and written to files.

        Raises:
            ConfigError: an unsupported option, or a value of the wrong kind.
        """
        if "extra" in options:  # dataclasses.replace: all of the fields, in our names
            super().__init__(**options)
        else:
            _take(self, with_options(ModelConfig.from_hf({"model_type": self.kind}), options))

    @classmethod
    def from_pretrained(
        cls, model: str | Path, *, revision: str | None = None, **options: Any
    ) -> Self:
        """Reads the config of a model.

        Args:
            model: ``"default"``, a model folder or a hub id.
            revision: branch, tag or commit of a hub id.
            options: fields to have other values, in Hugging Face's names.

        Raises:
            ModelNotFoundError: there is no such model.
            ConfigError: the config is unsupported, or of another type of model.
        """
        config = AutoConfig.from_pretrained(model, revision=revision, **options)
        if not isinstance(config, cls):
            raise ConfigError(f"{model} has a {config.model_type} config, not a {cls.kind} one")
        return config

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes ``config.json``.

        Raises:
            OutputError: the file could not be written; it is as it was before.
        """
        write_json(Path(folder) / layout.CONFIG, self.to_hf())

    def to_dict(self) -> dict[str, Any]:
        """Every field under Hugging Face's name."""
        return self.to_hf()

    def to_json_string(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_hf(), indent=2, sort_keys=True) + "\n"

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets a field under Hugging Face's name, checked as if it had been read from a file."""
        if name in _OWN and name not in self.spec.fields:
            raise AttributeError(
                f"{name} cannot be set: make a new config, or use {name!r}'s name "
                "in Hugging Face's config.json"
            )
        _take(self, with_options(self, {name: value}))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ModelConfig):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _OWN)

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # it can be written to


class BertConfig(PretrainedConfig):
    """The config of a BERT model."""

    kind = "bert"


class DistilBertConfig(PretrainedConfig):
    """The config of a DistilBERT model."""

    kind = "distilbert"


class RobertaConfig(PretrainedConfig):
    """The config of a RoBERTa model, or of a DistilRoBERTa."""

    kind = "roberta"


class XLMRobertaConfig(PretrainedConfig):
    """The config of an XLM-RoBERTa model."""

    kind = "xlm-roberta"


class CamembertConfig(PretrainedConfig):
    """The config of a CamemBERT model."""

    kind = "camembert"


class ElectraConfig(PretrainedConfig):
    """The config of an ELECTRA discriminator."""

    kind = "electra"


class MPNetConfig(PretrainedConfig):
    """The config of an MPNet model."""

    kind = "mpnet"


class AlbertConfig(PretrainedConfig):
    """The config of an ALBERT model."""

    kind = "albert"


class ModernBertConfig(PretrainedConfig):
    """The config of a ModernBERT model."""

    kind = "modernbert"


class DebertaV2Config(PretrainedConfig):
    """The config of a DeBERTa-v2 or -v3 model."""

    kind = "deberta-v2"


CONFIGS: Mapping[str, type[PretrainedConfig]] = {
    config.kind: config
    for config in (
        BertConfig,
        DistilBertConfig,
        RobertaConfig,
        XLMRobertaConfig,
        CamembertConfig,
        ElectraConfig,
        MPNetConfig,
        AlbertConfig,
        ModernBertConfig,
        DebertaV2Config,
    )
}
"""``model_type`` → class."""


class AutoConfig:
    """Finds the config class that a model needs."""

    @staticmethod
    def from_pretrained(
        model: str | Path, *, revision: str | None = None, **options: Any
    ) -> PretrainedConfig:
        """Reads the config of a model of any supported type; see `PretrainedConfig`."""
        folder = find_model(model, revision=revision, weights=False)
        return as_pretrained(with_options(read_config(folder), options))

    @staticmethod
    def for_model(model_type: str, **options: Any) -> PretrainedConfig:
        """A new config of a ``model_type``.

        Raises:
            ConfigError: the type is not supported.
        """
        return as_pretrained(with_options(ModelConfig.from_hf({"model_type": model_type}), options))


def as_pretrained(config: ModelConfig) -> PretrainedConfig:
    """A config as one of the classes above: itself where it is one already."""
    if isinstance(config, PretrainedConfig):
        return config
    found = CONFIGS[config.model_type]
    new = found.__new__(found)
    _take(new, config)
    return new


def _take(new: PretrainedConfig, config: ModelConfig) -> None:
    for name in _OWN:
        object.__setattr__(new, name, getattr(config, name))


def with_options(config: ModelConfig, options: Mapping[str, Any]) -> ModelConfig:
    """A config with other values of some fields, in Hugging Face's names.

    Args:
        config: is not changed.
        options: a number of labels that is not the config's own gives them new names.

    Raises:
        ConfigError: an unsupported option, or a value of the wrong kind.
    """
    if not options:
        return config
    theirs = config.spec.fields
    ours = {name: hf for hf, name in theirs.items()}
    changed: dict[str, Any] = {}
    for name, value in options.items():
        # DistilBERT spells some quantities its own way, and answers to BERT's names for them too.
        alias = BERT.fields.get(name) if name not in theirs else None
        changed[ours.get(alias, name) if alias else name] = value
    values = config.to_hf()
    renamed = any(name in changed for name in _LABELS)
    if renamed or changed.get("num_labels", config.n_labels) != config.n_labels:
        values = {name: value for name, value in values.items() if name not in _LABELS}
    return ModelConfig.from_hf({**values, **changed})
