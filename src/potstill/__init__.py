"""Small, distilled BERT models that answer questions, from a shell or from Python.

The public names are listed here once and found only when they are first used: ``import potstill``
itself loads nothing else.

Examples:
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
    from potstill.bundle.hf_configs import AutoConfig as AutoConfig
    from potstill.bundle.hf_configs import BertConfig as BertConfig
    from potstill.bundle.hf_configs import DistilBertConfig as DistilBertConfig
    from potstill.bundle.hf_configs import ElectraConfig as ElectraConfig
    from potstill.bundle.hf_configs import MPNetConfig as MPNetConfig
    from potstill.bundle.hf_configs import RobertaConfig as RobertaConfig
    from potstill.data.qa import load_qa as load_qa
    from potstill.documents.document import Document as Document
    from potstill.documents.files import read_documents as read_documents
    from potstill.evaluation.qa import score as score
    from potstill.models.auto import AutoModel as AutoModel
    from potstill.models.auto import AutoModelForMaskedLM as AutoModelForMaskedLM
    from potstill.models.auto import AutoModelForMultipleChoice as AutoModelForMultipleChoice
    from potstill.models.auto import AutoModelForQuestionAnswering as AutoModelForQuestionAnswering
    from potstill.models.auto import (
        AutoModelForSequenceClassification as AutoModelForSequenceClassification,
    )
    from potstill.models.auto import (
        AutoModelForTokenClassification as AutoModelForTokenClassification,
    )
    from potstill.models.bare import BertModel as BertModel
    from potstill.models.bare import DistilBertModel as DistilBertModel
    from potstill.models.bare import ElectraModel as ElectraModel
    from potstill.models.bare import MPNetModel as MPNetModel
    from potstill.models.bare import RobertaModel as RobertaModel
    from potstill.models.choice import BertForMultipleChoice as BertForMultipleChoice
    from potstill.models.choice import DistilBertForMultipleChoice as DistilBertForMultipleChoice
    from potstill.models.choice import ElectraForMultipleChoice as ElectraForMultipleChoice
    from potstill.models.choice import MPNetForMultipleChoice as MPNetForMultipleChoice
    from potstill.models.choice import RobertaForMultipleChoice as RobertaForMultipleChoice
    from potstill.models.classification import (
        BertForSequenceClassification as BertForSequenceClassification,
    )
    from potstill.models.classification import (
        DistilBertForSequenceClassification as DistilBertForSequenceClassification,
    )
    from potstill.models.classification import (
        ElectraForSequenceClassification as ElectraForSequenceClassification,
    )
    from potstill.models.classification import (
        MPNetForSequenceClassification as MPNetForSequenceClassification,
    )
    from potstill.models.classification import (
        RobertaForSequenceClassification as RobertaForSequenceClassification,
    )
    from potstill.models.lm import BertForMaskedLM as BertForMaskedLM
    from potstill.models.lm import DistilBertForMaskedLM as DistilBertForMaskedLM
    from potstill.models.lm import MPNetForMaskedLM as MPNetForMaskedLM
    from potstill.models.lm import RobertaForMaskedLM as RobertaForMaskedLM
    from potstill.models.qa import BertForQuestionAnswering as BertForQuestionAnswering
    from potstill.models.qa import DistilBertForQuestionAnswering as DistilBertForQuestionAnswering
    from potstill.models.qa import ElectraForQuestionAnswering as ElectraForQuestionAnswering
    from potstill.models.qa import MPNetForQuestionAnswering as MPNetForQuestionAnswering
    from potstill.models.qa import RobertaForQuestionAnswering as RobertaForQuestionAnswering
    from potstill.models.tagging import BertForTokenClassification as BertForTokenClassification
    from potstill.models.tagging import (
        DistilBertForTokenClassification as DistilBertForTokenClassification,
    )
    from potstill.models.tagging import (
        ElectraForTokenClassification as ElectraForTokenClassification,
    )
    from potstill.models.tagging import MPNetForTokenClassification as MPNetForTokenClassification
    from potstill.models.tagging import (
        RobertaForTokenClassification as RobertaForTokenClassification,
    )
    from potstill.records import Answer as Answer
    from potstill.records import QAExample as QAExample
    from potstill.records import Sentence as Sentence
    from potstill.retrieval.asking import Citation as Citation
    from potstill.retrieval.index import Index as Index
    from potstill.runtime.choice import Chooser as Chooser
    from potstill.runtime.classification import Classifier as Classifier
    from potstill.runtime.lm import Filler as Filler
    from potstill.runtime.pipelines import QuestionAnsweringPipeline as QuestionAnsweringPipeline
    from potstill.runtime.qa import QAClient as QAClient
    from potstill.runtime.tagging import Tagger as Tagger
    from potstill.runtime.task_pipelines import MultipleChoicePipeline as MultipleChoicePipeline
    from potstill.runtime.task_pipelines import (
        TextClassificationPipeline as TextClassificationPipeline,
    )
    from potstill.runtime.token_pipelines import FillMaskPipeline as FillMaskPipeline
    from potstill.runtime.token_pipelines import (
        TokenClassificationPipeline as TokenClassificationPipeline,
    )
    from potstill.tasks.pipelines import pipeline as pipeline
    from potstill.text.auto import AutoTokenizer as AutoTokenizer
    from potstill.text.auto import BertTokenizer as BertTokenizer
    from potstill.text.auto import BertTokenizerFast as BertTokenizerFast
    from potstill.text.auto import DistilBertTokenizer as DistilBertTokenizer
    from potstill.text.auto import DistilBertTokenizerFast as DistilBertTokenizerFast
    from potstill.text.auto import ElectraTokenizer as ElectraTokenizer
    from potstill.text.auto import ElectraTokenizerFast as ElectraTokenizerFast
    from potstill.text.auto import MPNetTokenizer as MPNetTokenizer
    from potstill.text.auto import MPNetTokenizerFast as MPNetTokenizerFast
    from potstill.text.auto import RobertaTokenizer as RobertaTokenizer
    from potstill.text.auto import RobertaTokenizerFast as RobertaTokenizerFast
    from potstill.text.tokenizer import Tokenizer as Tokenizer

    __version__: str

_HOMES = {
    "Answer": "potstill.records",
    "AutoConfig": "potstill.bundle.hf_configs",
    "AutoModel": "potstill.models.auto",
    "AutoModelForMaskedLM": "potstill.models.auto",
    "AutoModelForMultipleChoice": "potstill.models.auto",
    "AutoModelForQuestionAnswering": "potstill.models.auto",
    "AutoModelForSequenceClassification": "potstill.models.auto",
    "AutoModelForTokenClassification": "potstill.models.auto",
    "AutoTokenizer": "potstill.text.auto",
    "BertConfig": "potstill.bundle.hf_configs",
    "BertForMaskedLM": "potstill.models.lm",
    "BertForMultipleChoice": "potstill.models.choice",
    "BertForQuestionAnswering": "potstill.models.qa",
    "BertForSequenceClassification": "potstill.models.classification",
    "BertForTokenClassification": "potstill.models.tagging",
    "BertModel": "potstill.models.bare",
    "BertTokenizer": "potstill.text.auto",
    "BertTokenizerFast": "potstill.text.auto",
    "Chooser": "potstill.runtime.choice",
    "Citation": "potstill.retrieval.asking",
    "Classifier": "potstill.runtime.classification",
    "DistilBertConfig": "potstill.bundle.hf_configs",
    "DistilBertForMaskedLM": "potstill.models.lm",
    "DistilBertForMultipleChoice": "potstill.models.choice",
    "DistilBertForQuestionAnswering": "potstill.models.qa",
    "DistilBertForSequenceClassification": "potstill.models.classification",
    "DistilBertForTokenClassification": "potstill.models.tagging",
    "DistilBertModel": "potstill.models.bare",
    "DistilBertTokenizer": "potstill.text.auto",
    "DistilBertTokenizerFast": "potstill.text.auto",
    "Document": "potstill.documents.document",
    "ElectraConfig": "potstill.bundle.hf_configs",
    "ElectraForMultipleChoice": "potstill.models.choice",
    "ElectraForQuestionAnswering": "potstill.models.qa",
    "ElectraForSequenceClassification": "potstill.models.classification",
    "ElectraForTokenClassification": "potstill.models.tagging",
    "ElectraModel": "potstill.models.bare",
    "ElectraTokenizer": "potstill.text.auto",
    "ElectraTokenizerFast": "potstill.text.auto",
    "FillMaskPipeline": "potstill.runtime.token_pipelines",
    "Filler": "potstill.runtime.lm",
    "Index": "potstill.retrieval.index",
    "MPNetConfig": "potstill.bundle.hf_configs",
    "MPNetForMaskedLM": "potstill.models.lm",
    "MPNetForMultipleChoice": "potstill.models.choice",
    "MPNetForQuestionAnswering": "potstill.models.qa",
    "MPNetForSequenceClassification": "potstill.models.classification",
    "MPNetForTokenClassification": "potstill.models.tagging",
    "MPNetModel": "potstill.models.bare",
    "MPNetTokenizer": "potstill.text.auto",
    "MPNetTokenizerFast": "potstill.text.auto",
    "MultipleChoicePipeline": "potstill.runtime.task_pipelines",
    "QAClient": "potstill.runtime.qa",
    "QAExample": "potstill.records",
    "QuestionAnsweringPipeline": "potstill.runtime.pipelines",
    "RobertaConfig": "potstill.bundle.hf_configs",
    "RobertaForMaskedLM": "potstill.models.lm",
    "RobertaForMultipleChoice": "potstill.models.choice",
    "RobertaForQuestionAnswering": "potstill.models.qa",
    "RobertaForSequenceClassification": "potstill.models.classification",
    "RobertaForTokenClassification": "potstill.models.tagging",
    "RobertaModel": "potstill.models.bare",
    "RobertaTokenizer": "potstill.text.auto",
    "RobertaTokenizerFast": "potstill.text.auto",
    "Sentence": "potstill.records",
    "Tagger": "potstill.runtime.tagging",
    "TextClassificationPipeline": "potstill.runtime.task_pipelines",
    "TokenClassificationPipeline": "potstill.runtime.token_pipelines",
    "Tokenizer": "potstill.text.tokenizer",
    "load_qa": "potstill.data.qa",
    "pipeline": "potstill.tasks.pipelines",
    "read_documents": "potstill.documents.files",
    "score": "potstill.evaluation.qa",
}
"""Public name → the module it lives in."""

_MODULES = ("errors", "losses")
"""Public names that are modules themselves."""

__all__ = [
    "Answer",
    "AutoConfig",
    "AutoModel",
    "AutoModelForMaskedLM",
    "AutoModelForMultipleChoice",
    "AutoModelForQuestionAnswering",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoTokenizer",
    "BertConfig",
    "BertForMaskedLM",
    "BertForMultipleChoice",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertModel",
    "BertTokenizer",
    "BertTokenizerFast",
    "Chooser",
    "Citation",
    "Classifier",
    "DistilBertConfig",
    "DistilBertForMaskedLM",
    "DistilBertForMultipleChoice",
    "DistilBertForQuestionAnswering",
    "DistilBertForSequenceClassification",
    "DistilBertForTokenClassification",
    "DistilBertModel",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "Document",
    "ElectraConfig",
    "ElectraForMultipleChoice",
    "ElectraForQuestionAnswering",
    "ElectraForSequenceClassification",
    "ElectraForTokenClassification",
    "ElectraModel",
    "ElectraTokenizer",
    "ElectraTokenizerFast",
    "FillMaskPipeline",
    "Filler",
    "Index",
    "MPNetConfig",
    "MPNetForMaskedLM",
    "MPNetForMultipleChoice",
    "MPNetForQuestionAnswering",
    "MPNetForSequenceClassification",
    "MPNetForTokenClassification",
    "MPNetModel",
    "MPNetTokenizer",
    "MPNetTokenizerFast",
    "MultipleChoicePipeline",
    "QAClient",
    "QAExample",
    "QuestionAnsweringPipeline",
    "RobertaConfig",
    "RobertaForMaskedLM",
    "RobertaForMultipleChoice",
    "RobertaForQuestionAnswering",
    "RobertaForSequenceClassification",
    "RobertaForTokenClassification",
    "RobertaModel",
    "RobertaTokenizer",
    "RobertaTokenizerFast",
    "Sentence",
    "Tagger",
    "TextClassificationPipeline",
    "TokenClassificationPipeline",
    "Tokenizer",
    "__version__",
    "errors",
    "load_qa",
    "losses",
    "pipeline",
    "read_documents",
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
