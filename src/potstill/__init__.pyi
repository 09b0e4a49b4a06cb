"""The public names, listed here once: what checkers read, and what `__init__.py` looks up."""

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
from potstill.models.auto import AutoModelForTokenClassification as AutoModelForTokenClassification
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
from potstill.models.tagging import ElectraForTokenClassification as ElectraForTokenClassification
from potstill.models.tagging import MPNetForTokenClassification as MPNetForTokenClassification
from potstill.models.tagging import RobertaForTokenClassification as RobertaForTokenClassification
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
from potstill.runtime.task_pipelines import TextClassificationPipeline as TextClassificationPipeline
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
