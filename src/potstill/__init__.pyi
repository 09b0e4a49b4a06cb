"""The public names, listed here once: what checkers read, and what `__init__.py` looks up."""

from potstill import errors as errors
from potstill import losses as losses
from potstill.bundle.hf_configs import AlbertConfig as AlbertConfig
from potstill.bundle.hf_configs import AutoConfig as AutoConfig
from potstill.bundle.hf_configs import BertConfig as BertConfig
from potstill.bundle.hf_configs import CamembertConfig as CamembertConfig
from potstill.bundle.hf_configs import DebertaV2Config as DebertaV2Config
from potstill.bundle.hf_configs import DistilBertConfig as DistilBertConfig
from potstill.bundle.hf_configs import ElectraConfig as ElectraConfig
from potstill.bundle.hf_configs import ModernBertConfig as ModernBertConfig
from potstill.bundle.hf_configs import MPNetConfig as MPNetConfig
from potstill.bundle.hf_configs import RobertaConfig as RobertaConfig
from potstill.bundle.hf_configs import XLMRobertaConfig as XLMRobertaConfig
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
from potstill.models.named import AlbertForMaskedLM as AlbertForMaskedLM
from potstill.models.named import AlbertForMultipleChoice as AlbertForMultipleChoice
from potstill.models.named import AlbertForQuestionAnswering as AlbertForQuestionAnswering
from potstill.models.named import AlbertForSequenceClassification as AlbertForSequenceClassification
from potstill.models.named import AlbertForTokenClassification as AlbertForTokenClassification
from potstill.models.named import AlbertModel as AlbertModel
from potstill.models.named import BertForMaskedLM as BertForMaskedLM
from potstill.models.named import BertForMultipleChoice as BertForMultipleChoice
from potstill.models.named import BertForQuestionAnswering as BertForQuestionAnswering
from potstill.models.named import (
    BertForSequenceClassification as BertForSequenceClassification,
)
from potstill.models.named import BertForTokenClassification as BertForTokenClassification
from potstill.models.named import BertModel as BertModel
from potstill.models.named import CamembertForMaskedLM as CamembertForMaskedLM
from potstill.models.named import CamembertForMultipleChoice as CamembertForMultipleChoice
from potstill.models.named import CamembertForQuestionAnswering as CamembertForQuestionAnswering
from potstill.models.named import (
    CamembertForSequenceClassification as CamembertForSequenceClassification,
)
from potstill.models.named import CamembertForTokenClassification as CamembertForTokenClassification
from potstill.models.named import CamembertModel as CamembertModel
from potstill.models.named import DebertaV2ForMaskedLM as DebertaV2ForMaskedLM
from potstill.models.named import DebertaV2ForMultipleChoice as DebertaV2ForMultipleChoice
from potstill.models.named import DebertaV2ForQuestionAnswering as DebertaV2ForQuestionAnswering
from potstill.models.named import (
    DebertaV2ForSequenceClassification as DebertaV2ForSequenceClassification,
)
from potstill.models.named import DebertaV2ForTokenClassification as DebertaV2ForTokenClassification
from potstill.models.named import DebertaV2Model as DebertaV2Model
from potstill.models.named import DistilBertForMaskedLM as DistilBertForMaskedLM
from potstill.models.named import DistilBertForMultipleChoice as DistilBertForMultipleChoice
from potstill.models.named import DistilBertForQuestionAnswering as DistilBertForQuestionAnswering
from potstill.models.named import (
    DistilBertForSequenceClassification as DistilBertForSequenceClassification,
)
from potstill.models.named import (
    DistilBertForTokenClassification as DistilBertForTokenClassification,
)
from potstill.models.named import DistilBertModel as DistilBertModel
from potstill.models.named import ElectraForMultipleChoice as ElectraForMultipleChoice
from potstill.models.named import ElectraForQuestionAnswering as ElectraForQuestionAnswering
from potstill.models.named import (
    ElectraForSequenceClassification as ElectraForSequenceClassification,
)
from potstill.models.named import ElectraForTokenClassification as ElectraForTokenClassification
from potstill.models.named import ElectraModel as ElectraModel
from potstill.models.named import ModernBertForMaskedLM as ModernBertForMaskedLM
from potstill.models.named import ModernBertForMultipleChoice as ModernBertForMultipleChoice
from potstill.models.named import ModernBertForQuestionAnswering as ModernBertForQuestionAnswering
from potstill.models.named import (
    ModernBertForSequenceClassification as ModernBertForSequenceClassification,
)
from potstill.models.named import (
    ModernBertForTokenClassification as ModernBertForTokenClassification,
)
from potstill.models.named import ModernBertModel as ModernBertModel
from potstill.models.named import MPNetForMaskedLM as MPNetForMaskedLM
from potstill.models.named import MPNetForMultipleChoice as MPNetForMultipleChoice
from potstill.models.named import MPNetForQuestionAnswering as MPNetForQuestionAnswering
from potstill.models.named import (
    MPNetForSequenceClassification as MPNetForSequenceClassification,
)
from potstill.models.named import MPNetForTokenClassification as MPNetForTokenClassification
from potstill.models.named import MPNetModel as MPNetModel
from potstill.models.named import RobertaForMaskedLM as RobertaForMaskedLM
from potstill.models.named import RobertaForMultipleChoice as RobertaForMultipleChoice
from potstill.models.named import RobertaForQuestionAnswering as RobertaForQuestionAnswering
from potstill.models.named import (
    RobertaForSequenceClassification as RobertaForSequenceClassification,
)
from potstill.models.named import RobertaForTokenClassification as RobertaForTokenClassification
from potstill.models.named import RobertaModel as RobertaModel
from potstill.models.named import XLMRobertaForMaskedLM as XLMRobertaForMaskedLM
from potstill.models.named import XLMRobertaForMultipleChoice as XLMRobertaForMultipleChoice
from potstill.models.named import XLMRobertaForQuestionAnswering as XLMRobertaForQuestionAnswering
from potstill.models.named import (
    XLMRobertaForSequenceClassification as XLMRobertaForSequenceClassification,
)
from potstill.models.named import (
    XLMRobertaForTokenClassification as XLMRobertaForTokenClassification,
)
from potstill.models.named import XLMRobertaModel as XLMRobertaModel
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
from potstill.text.auto import AlbertTokenizer as AlbertTokenizer
from potstill.text.auto import AlbertTokenizerFast as AlbertTokenizerFast
from potstill.text.auto import AutoTokenizer as AutoTokenizer
from potstill.text.auto import BertTokenizer as BertTokenizer
from potstill.text.auto import BertTokenizerFast as BertTokenizerFast
from potstill.text.auto import CamembertTokenizer as CamembertTokenizer
from potstill.text.auto import CamembertTokenizerFast as CamembertTokenizerFast
from potstill.text.auto import DebertaV2Tokenizer as DebertaV2Tokenizer
from potstill.text.auto import DebertaV2TokenizerFast as DebertaV2TokenizerFast
from potstill.text.auto import DistilBertTokenizer as DistilBertTokenizer
from potstill.text.auto import DistilBertTokenizerFast as DistilBertTokenizerFast
from potstill.text.auto import ElectraTokenizer as ElectraTokenizer
from potstill.text.auto import ElectraTokenizerFast as ElectraTokenizerFast
from potstill.text.auto import MPNetTokenizer as MPNetTokenizer
from potstill.text.auto import MPNetTokenizerFast as MPNetTokenizerFast
from potstill.text.auto import PreTrainedTokenizerFast as PreTrainedTokenizerFast
from potstill.text.auto import RobertaTokenizer as RobertaTokenizer
from potstill.text.auto import RobertaTokenizerFast as RobertaTokenizerFast
from potstill.text.auto import XLMRobertaTokenizer as XLMRobertaTokenizer
from potstill.text.auto import XLMRobertaTokenizerFast as XLMRobertaTokenizerFast
from potstill.text.tokenizer import Tokenizer as Tokenizer

__version__: str
