"""The tokenizer classes that people import, and the one that finds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from potstill.bundle import layout
from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.text.opening import read_options
from potstill.text.pretrained import PretrainedTokenizer


class BertTokenizer(PretrainedTokenizer):
    """BERT's tokenizer; ``BertTokenizerFast`` is the same."""

    model_type = "bert"


class DistilBertTokenizer(PretrainedTokenizer):
    """DistilBERT's tokenizer; ``DistilBertTokenizerFast`` is the same."""

    model_type = "distilbert"
    model_input_names = ("input_ids", "attention_mask")


class RobertaTokenizer(PretrainedTokenizer):
    """RoBERTa's tokenizer; ``RobertaTokenizerFast`` is the same."""

    model_type = "roberta"
    model_input_names = ("input_ids", "attention_mask")


class XLMRobertaTokenizer(PretrainedTokenizer):
    """XLM-RoBERTa's tokenizer; ``XLMRobertaTokenizerFast`` is the same."""

    model_type = "xlm-roberta"
    model_input_names = ("input_ids", "attention_mask")


class CamembertTokenizer(PretrainedTokenizer):
    """CamemBERT's tokenizer; ``CamembertTokenizerFast`` is the same."""

    model_type = "camembert"
    model_input_names = ("input_ids", "attention_mask")


class ElectraTokenizer(PretrainedTokenizer):
    """ELECTRA's tokenizer; ``ElectraTokenizerFast`` is the same."""

    model_type = "electra"


class MPNetTokenizer(PretrainedTokenizer):
    """MPNet's tokenizer, BERT's word pieces; ``MPNetTokenizerFast`` is the same."""

    model_type = "mpnet"
    model_input_names = ("input_ids", "attention_mask")


class AlbertTokenizer(PretrainedTokenizer):
    """ALBERT's tokenizer; ``AlbertTokenizerFast`` is the same."""

    model_type = "albert"
    # As transformers 5 has it. Clients tell the texts of a pair apart, as the models learned to.
    model_input_names = ("input_ids", "attention_mask")


class DebertaV2Tokenizer(PretrainedTokenizer):
    """DeBERTa's tokenizer; ``DebertaV2TokenizerFast`` is the same."""

    model_type = "deberta-v2"


class PreTrainedTokenizerFast(PretrainedTokenizer):
    """A tokenizer that is all in its ``tokenizer.json``, as ModernBERT's."""

    model_type = "modernbert"


BertTokenizerFast = BertTokenizer
DistilBertTokenizerFast = DistilBertTokenizer
RobertaTokenizerFast = RobertaTokenizer
XLMRobertaTokenizerFast = XLMRobertaTokenizer
CamembertTokenizerFast = CamembertTokenizer
ElectraTokenizerFast = ElectraTokenizer
MPNetTokenizerFast = MPNetTokenizer
AlbertTokenizerFast = AlbertTokenizer
DebertaV2TokenizerFast = DebertaV2Tokenizer

_CLASSES = (
    BertTokenizer,
    DistilBertTokenizer,
    RobertaTokenizer,
    XLMRobertaTokenizer,
    CamembertTokenizer,
    ElectraTokenizer,
    MPNetTokenizer,
    AlbertTokenizer,
    DebertaV2Tokenizer,
    PreTrainedTokenizerFast,
)
TOKENIZERS: Mapping[str, type[PretrainedTokenizer]] = {c.model_type: c for c in _CLASSES}
"""``model_type`` → class."""


class AutoTokenizer:
    """Finds the tokenizer class that a model needs."""

    @staticmethod
    def from_pretrained(
        model: str | Path, *, revision: str | None = None, **options: Any
    ) -> PretrainedTokenizer:
        """Opens the tokenizer of a model of any supported type.

        The class is what ``tokenizer_config.json`` names, else that of the model's type.

        Args:
            model: ``"default"``, a folder or a hub id.
            revision: branch, tag or commit of a hub id.
            options: see `PretrainedTokenizer.from_pretrained`.

        Raises:
            ModelNotFoundError: there is no such model.
            ConfigError: the tokenizer names no known class and the model is of no supported type.
            TokenizerError: the files are missing or corrupt.
        """
        folder = find_model(model, revision=revision, weights=False)
        named = str(read_options(folder / layout.TOKENIZER_CONFIG).get("tokenizer_class"))
        by_name = {found.__name__: found for found in _CLASSES}
        found = by_name.get(named.removesuffix("Fast"))
        if found is None:
            found = TOKENIZERS[read_config(folder).model_type]
        return found.from_pretrained(folder, **options)
