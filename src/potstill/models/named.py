"""The model classes that people import: an encoder and a head each, under Hugging Face's names."""

from __future__ import annotations

from potstill.models.bare import BareModel
from potstill.models.choice import ChoiceModel
from potstill.models.classification import ClassificationModel
from potstill.models.lm import MaskedLM
from potstill.models.qa import QuestionAnsweringModel
from potstill.models.tagging import TaggingModel


class BertModel(BareModel):
    """BERT without a head."""

    model_type = "bert"


class BertForQuestionAnswering(QuestionAnsweringModel):
    """BERT with the question-answering head."""

    model_type = "bert"


class BertForMaskedLM(MaskedLM):
    """BERT with the masked-LM head."""

    model_type = "bert"


class BertForSequenceClassification(ClassificationModel):
    """BERT with the text-classification head."""

    model_type = "bert"


class BertForTokenClassification(TaggingModel):
    """BERT with the token-classification head."""

    model_type = "bert"


class BertForMultipleChoice(ChoiceModel):
    """BERT with the multiple-choice head."""

    model_type = "bert"


class DistilBertModel(BareModel):
    """DistilBERT without a head; it has no pooler."""

    model_type = "distilbert"


class DistilBertForQuestionAnswering(QuestionAnsweringModel):
    """DistilBERT with the question-answering head."""

    model_type = "distilbert"


class DistilBertForMaskedLM(MaskedLM):
    """DistilBERT with the masked-LM head."""

    model_type = "distilbert"


class DistilBertForSequenceClassification(ClassificationModel):
    """DistilBERT with the text-classification head."""

    model_type = "distilbert"


class DistilBertForTokenClassification(TaggingModel):
    """DistilBERT with the token-classification head."""

    model_type = "distilbert"


class DistilBertForMultipleChoice(ChoiceModel):
    """DistilBERT with the multiple-choice head."""

    model_type = "distilbert"


class RobertaModel(BareModel):
    """RoBERTa, or DistilRoBERTa, without a head."""

    model_type = "roberta"


class RobertaForQuestionAnswering(QuestionAnsweringModel):
    """RoBERTa, or DistilRoBERTa, with the question-answering head."""

    model_type = "roberta"


class RobertaForMaskedLM(MaskedLM):
    """RoBERTa, or DistilRoBERTa, with the masked-LM head."""

    model_type = "roberta"


class RobertaForSequenceClassification(ClassificationModel):
    """RoBERTa, or DistilRoBERTa, with the text-classification head."""

    model_type = "roberta"


class RobertaForTokenClassification(TaggingModel):
    """RoBERTa, or DistilRoBERTa, with the token-classification head."""

    model_type = "roberta"


class RobertaForMultipleChoice(ChoiceModel):
    """RoBERTa, or DistilRoBERTa, with the multiple-choice head."""

    model_type = "roberta"


class XLMRobertaModel(BareModel):
    """XLM-RoBERTa without a head."""

    model_type = "xlm-roberta"


class XLMRobertaForQuestionAnswering(QuestionAnsweringModel):
    """XLM-RoBERTa with the question-answering head."""

    model_type = "xlm-roberta"


class XLMRobertaForMaskedLM(MaskedLM):
    """XLM-RoBERTa with the masked-LM head."""

    model_type = "xlm-roberta"


class XLMRobertaForSequenceClassification(ClassificationModel):
    """XLM-RoBERTa with the text-classification head."""

    model_type = "xlm-roberta"


class XLMRobertaForTokenClassification(TaggingModel):
    """XLM-RoBERTa with the token-classification head."""

    model_type = "xlm-roberta"


class XLMRobertaForMultipleChoice(ChoiceModel):
    """XLM-RoBERTa with the multiple-choice head."""

    model_type = "xlm-roberta"


class CamembertModel(BareModel):
    """CamemBERT without a head."""

    model_type = "camembert"


class CamembertForQuestionAnswering(QuestionAnsweringModel):
    """CamemBERT with the question-answering head."""

    model_type = "camembert"


class CamembertForMaskedLM(MaskedLM):
    """CamemBERT with the masked-LM head."""

    model_type = "camembert"


class CamembertForSequenceClassification(ClassificationModel):
    """CamemBERT with the text-classification head."""

    model_type = "camembert"


class CamembertForTokenClassification(TaggingModel):
    """CamemBERT with the token-classification head."""

    model_type = "camembert"


class CamembertForMultipleChoice(ChoiceModel):
    """CamemBERT with the multiple-choice head."""

    model_type = "camembert"


class ElectraModel(BareModel):
    """ELECTRA's discriminator without a head; it has no pooler."""

    model_type = "electra"


class ElectraForQuestionAnswering(QuestionAnsweringModel):
    """ELECTRA's discriminator with the question-answering head."""

    model_type = "electra"


class ElectraForSequenceClassification(ClassificationModel):
    """ELECTRA's discriminator with the text-classification head."""

    model_type = "electra"


class ElectraForTokenClassification(TaggingModel):
    """ELECTRA's discriminator with the token-classification head."""

    model_type = "electra"


class ElectraForMultipleChoice(ChoiceModel):
    """ELECTRA's discriminator with the multiple-choice head."""

    model_type = "electra"


class MPNetModel(BareModel):
    """MPNet without a head."""

    model_type = "mpnet"


class MPNetForQuestionAnswering(QuestionAnsweringModel):
    """MPNet with the question-answering head."""

    model_type = "mpnet"


class MPNetForMaskedLM(MaskedLM):
    """MPNet with the masked-LM head."""

    model_type = "mpnet"


class MPNetForSequenceClassification(ClassificationModel):
    """MPNet with the text-classification head."""

    model_type = "mpnet"


class MPNetForTokenClassification(TaggingModel):
    """MPNet with the token-classification head."""

    model_type = "mpnet"


class MPNetForMultipleChoice(ChoiceModel):
    """MPNet with the multiple-choice head."""

    model_type = "mpnet"


class AlbertModel(BareModel):
    """ALBERT without a head."""

    model_type = "albert"


class AlbertForQuestionAnswering(QuestionAnsweringModel):
    """ALBERT with the question-answering head."""

    model_type = "albert"


class AlbertForMaskedLM(MaskedLM):
    """ALBERT with the masked-LM head."""

    model_type = "albert"


class AlbertForSequenceClassification(ClassificationModel):
    """ALBERT with the text-classification head."""

    model_type = "albert"


class AlbertForTokenClassification(TaggingModel):
    """ALBERT with the token-classification head."""

    model_type = "albert"


class AlbertForMultipleChoice(ChoiceModel):
    """ALBERT with the multiple-choice head."""

    model_type = "albert"


class ModernBertModel(BareModel):
    """ModernBERT without a head; it has no pooler."""

    model_type = "modernbert"


class ModernBertForQuestionAnswering(QuestionAnsweringModel):
    """ModernBERT with the question-answering head."""

    model_type = "modernbert"


class ModernBertForMaskedLM(MaskedLM):
    """ModernBERT with the masked-LM head."""

    model_type = "modernbert"


class ModernBertForSequenceClassification(ClassificationModel):
    """ModernBERT with the text-classification head."""

    model_type = "modernbert"


class ModernBertForTokenClassification(TaggingModel):
    """ModernBERT with the token-classification head."""

    model_type = "modernbert"


class ModernBertForMultipleChoice(ChoiceModel):
    """ModernBERT with the multiple-choice head."""

    model_type = "modernbert"


class DebertaV2Model(BareModel):
    """DeBERTa without a head; it has no pooler."""

    model_type = "deberta-v2"


class DebertaV2ForQuestionAnswering(QuestionAnsweringModel):
    """DeBERTa with the question-answering head."""

    model_type = "deberta-v2"


class DebertaV2ForMaskedLM(MaskedLM):
    """DeBERTa with the masked-LM head."""

    model_type = "deberta-v2"


class DebertaV2ForSequenceClassification(ClassificationModel):
    """DeBERTa with the text-classification head."""

    model_type = "deberta-v2"


class DebertaV2ForTokenClassification(TaggingModel):
    """DeBERTa with the token-classification head."""

    model_type = "deberta-v2"


class DebertaV2ForMultipleChoice(ChoiceModel):
    """DeBERTa with the multiple-choice head."""

    model_type = "deberta-v2"
