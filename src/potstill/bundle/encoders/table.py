"""All descriptions, by ``model_type``: a new encoder is one more."""

from __future__ import annotations

from collections.abc import Mapping

from potstill.bundle.encoders.albert import ALBERT
from potstill.bundle.encoders.bert import (
    BERT,
    CAMEMBERT,
    DISTILBERT,
    ELECTRA,
    ROBERTA,
    XLM_ROBERTA,
)
from potstill.bundle.encoders.deberta import DEBERTA
from potstill.bundle.encoders.modernbert import MODERNBERT
from potstill.bundle.encoders.mpnet import MPNET
from potstill.bundle.encoders.spec import EncoderSpec

ENCODERS: Mapping[str, EncoderSpec] = {
    spec.model_type: spec
    for spec in (
        BERT,
        DISTILBERT,
        ROBERTA,
        XLM_ROBERTA,
        CAMEMBERT,
        ELECTRA,
        MPNET,
        ALBERT,
        MODERNBERT,
        DEBERTA,
    )
}
"""``model_type`` → description."""
