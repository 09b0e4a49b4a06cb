"""Small, distilled BERT models that answer questions, from a shell or from Python.

The public names are listed here once and found only when they are first used: ``import potstill``
itself loads nothing else.

Example:
    >>> import potstill
    >>> reader = potstill.QAClient.from_options()
    >>> reader.predict("Who won?", "The Broncos won.").text
    'The Broncos'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from potstill import errors as errors
    from potstill import losses as losses
    from potstill.data.qa import load_qa as load_qa
    from potstill.evaluation.qa import score as score
    from potstill.models.lm import BertForMaskedLM as BertForMaskedLM
    from potstill.models.lm import DistilBertForMaskedLM as DistilBertForMaskedLM
    from potstill.models.lm import RobertaForMaskedLM as RobertaForMaskedLM
    from potstill.models.qa import BertForQuestionAnswering as BertForQuestionAnswering
    from potstill.models.qa import (
        DistilBertForQuestionAnswering as DistilBertForQuestionAnswering,
    )
    from potstill.models.qa import ElectraForQuestionAnswering as ElectraForQuestionAnswering
    from potstill.models.qa import RobertaForQuestionAnswering as RobertaForQuestionAnswering
    from potstill.records import Answer as Answer
    from potstill.records import QAExample as QAExample
    from potstill.runtime.pipelines import QuestionAnsweringPipeline as QuestionAnsweringPipeline
    from potstill.runtime.pipelines import pipeline as pipeline
    from potstill.runtime.qa import QAClient as QAClient
    from potstill.text.tokenizer import Tokenizer as Tokenizer

    __version__: str

_HOMES = {
    "Answer": "potstill.records",
    "BertForMaskedLM": "potstill.models.lm",
    "BertForQuestionAnswering": "potstill.models.qa",
    "DistilBertForMaskedLM": "potstill.models.lm",
    "DistilBertForQuestionAnswering": "potstill.models.qa",
    "ElectraForQuestionAnswering": "potstill.models.qa",
    "QAClient": "potstill.runtime.qa",
    "QAExample": "potstill.records",
    "QuestionAnsweringPipeline": "potstill.runtime.pipelines",
    "RobertaForMaskedLM": "potstill.models.lm",
    "RobertaForQuestionAnswering": "potstill.models.qa",
    "Tokenizer": "potstill.text.tokenizer",
    "load_qa": "potstill.data.qa",
    "pipeline": "potstill.runtime.pipelines",
    "score": "potstill.evaluation.qa",
}
"""Public name → the module it lives in."""

_MODULES = ("errors", "losses")
"""Public names that are modules themselves."""

__all__ = [
    "Answer",
    "BertForMaskedLM",
    "BertForQuestionAnswering",
    "DistilBertForMaskedLM",
    "DistilBertForQuestionAnswering",
    "ElectraForQuestionAnswering",
    "QAClient",
    "QAExample",
    "QuestionAnsweringPipeline",
    "RobertaForMaskedLM",
    "RobertaForQuestionAnswering",
    "Tokenizer",
    "__version__",
    "errors",
    "load_qa",
    "losses",
    "pipeline",
    "score",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("potstill")
    elif name in _MODULES:
        value = _load(f"potstill.{name}", name)
    elif name in _HOMES:
        value = getattr(_load(_HOMES[name], name), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _load(module: str, name: str) -> ModuleType:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from potstill.errors import MissingExtraError

        raise MissingExtraError("torch", "train", name) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
