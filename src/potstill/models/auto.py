"""``Auto…``: the class that a model's ``config.json`` asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.find import find_model
from potstill.errors import ConfigError
from potstill.models import bare, choice, classification, lm, named, qa, tagging
from potstill.models.pretrained import Pretrained

M = TypeVar("M", bound=Pretrained, covariant=True)


def _below(base: type[M]) -> Mapping[str, type[M]]:
    """The named classes of one head, by ``model_type``."""
    found = (value for value in vars(named).values() if isinstance(value, type))
    return {str(one.model_type): one for one in found if issubclass(one, base) and one.model_type}


class Auto(Generic[M]):
    """Base of the helpers: one a head, never made into an object."""

    classes: ClassVar[Mapping[str, type[Any]]]
    """``model_type`` → class."""

    @classmethod
    def from_pretrained(
        cls, model: str | Path, *, revision: str | None = None, **options: Any
    ) -> M:
        """Loads a model of any supported type; see `Pretrained.from_pretrained`.

        Raises:
            ConfigError: models of this type have no such head.
        """
        folder = find_model(model, revision=revision)
        return cls._class(options.get("config") or read_config(folder)).from_pretrained(
            folder, **options
        )

    @classmethod
    def from_config(cls, config: ModelConfig) -> M:
        """Makes a model with random weights.

        Raises:
            ConfigError: models of this type have no such head.
        """
        return cls._class(config)(config)

    @classmethod
    def _class(cls, config: ModelConfig) -> type[M]:
        if config.model_type not in cls.classes:
            raise ConfigError(
                f"{cls.__name__} knows no model of type {config.model_type}; "
                f"it knows {', '.join(cls.classes)}"
            )
        return cls.classes[config.model_type]


class AutoModel(Auto[bare.BareModel]):
    """Finds the bare encoder's class."""

    classes = _below(bare.BareModel)


class AutoModelForQuestionAnswering(Auto[qa.QuestionAnsweringModel]):
    """Finds the question-answering model's class."""

    classes = _below(qa.QuestionAnsweringModel)


class AutoModelForMaskedLM(Auto[lm.MaskedLM]):
    """Finds the masked language model's class."""

    classes = _below(lm.MaskedLM)


class AutoModelForSequenceClassification(Auto[classification.ClassificationModel]):
    """Finds the text classifier's class."""

    classes = _below(classification.ClassificationModel)


class AutoModelForTokenClassification(Auto[tagging.TaggingModel]):
    """Finds the token classifier's class."""

    classes = _below(tagging.TaggingModel)


class AutoModelForMultipleChoice(Auto[choice.ChoiceModel]):
    """Finds the multiple-choice model's class."""

    classes = _below(choice.ChoiceModel)
