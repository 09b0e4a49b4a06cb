"""The two-way table between Hugging Face's parameter names and ours.

An ordered list of patterns a model type; ``{}`` stands for the layer number. RoBERTa and ELECTRA
have BERT's own names below a first part that is theirs. The same rows are
read left to right when weights come in and right to left when they go out. Where two rows have one
name of ours, the first is the one that is written: files differ in whether they keep the bias of
BERT's masked-LM head as its own, as the decoder's, or as both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

HeadName: TypeAlias = Literal["qa", "mlm", "classification", "tagging", "choice", "bare"]
"""``qa``: question answering; ``mlm``: masked language modelling; ``classification``: labels of a
text; ``tagging``: a label for each token; ``choice``: one of several texts; ``bare``: none, but the
pooler of the encoders that have one."""

_QA_HEAD = [("qa_outputs", "qa_head")]
_BERT_ENCODER = [
    ("embeddings.word_embeddings", "embeddings.word"),
    ("embeddings.position_embeddings", "embeddings.position"),
    ("embeddings.token_type_embeddings", "embeddings.token_type"),
    ("embeddings.LayerNorm", "embeddings.norm"),
    ("encoder.layer.{}.attention.self.query", "layers.{}.attention.query"),
    ("encoder.layer.{}.attention.self.key", "layers.{}.attention.key"),
    ("encoder.layer.{}.attention.self.value", "layers.{}.attention.value"),
    ("encoder.layer.{}.attention.output.dense", "layers.{}.attention.output"),
    ("encoder.layer.{}.attention.output.LayerNorm", "layers.{}.attention_norm"),
    ("encoder.layer.{}.intermediate.dense", "layers.{}.ffn.up"),
    ("encoder.layer.{}.output.dense", "layers.{}.ffn.down"),
    ("encoder.layer.{}.output.LayerNorm", "layers.{}.ffn_norm"),
]


def _like_bert(first: str) -> list[tuple[str, str]]:
    return [(f"{first}.{theirs}", ours) for theirs, ours in _BERT_ENCODER]


_BERT = [
    *_like_bert("bert"),
    *_QA_HEAD,
    ("cls.predictions.transform.dense", "lm_head.dense"),
    ("cls.predictions.transform.LayerNorm", "lm_head.norm"),
    ("cls.predictions", "lm_head"),
    ("cls.predictions.decoder", "lm_head"),
]
_ROBERTA = [
    *_like_bert("roberta"),
    *_QA_HEAD,
    ("lm_head.dense", "lm_head.dense"),
    ("lm_head.layer_norm", "lm_head.norm"),
    ("lm_head", "lm_head"),
    ("lm_head.decoder", "lm_head"),
]
_ELECTRA = [
    *_like_bert("electra"),
    ("electra.embeddings_project", "embedding_projection"),
    *_QA_HEAD,
]
_MPNET = [
    ("mpnet.embeddings.word_embeddings", "embeddings.word"),
    ("mpnet.embeddings.position_embeddings", "embeddings.position"),
    ("mpnet.embeddings.LayerNorm", "embeddings.norm"),
    ("mpnet.encoder.relative_attention_bias", "embeddings.distance"),
    ("mpnet.encoder.layer.{}.attention.attn.q", "layers.{}.attention.query"),
    ("mpnet.encoder.layer.{}.attention.attn.k", "layers.{}.attention.key"),
    ("mpnet.encoder.layer.{}.attention.attn.v", "layers.{}.attention.value"),
    ("mpnet.encoder.layer.{}.attention.attn.o", "layers.{}.attention.output"),
    ("mpnet.encoder.layer.{}.attention.LayerNorm", "layers.{}.attention_norm"),
    ("mpnet.encoder.layer.{}.intermediate.dense", "layers.{}.ffn.up"),
    ("mpnet.encoder.layer.{}.output.dense", "layers.{}.ffn.down"),
    ("mpnet.encoder.layer.{}.output.LayerNorm", "layers.{}.ffn_norm"),
    *_QA_HEAD,
    ("lm_head.dense", "lm_head.dense"),
    ("lm_head.layer_norm", "lm_head.norm"),
    ("lm_head", "lm_head"),
    ("lm_head.decoder", "lm_head"),
]
_DISTILBERT = [
    ("distilbert.embeddings.word_embeddings", "embeddings.word"),
    ("distilbert.embeddings.position_embeddings", "embeddings.position"),
    ("distilbert.embeddings.LayerNorm", "embeddings.norm"),
    ("distilbert.transformer.layer.{}.attention.q_lin", "layers.{}.attention.query"),
    ("distilbert.transformer.layer.{}.attention.k_lin", "layers.{}.attention.key"),
    ("distilbert.transformer.layer.{}.attention.v_lin", "layers.{}.attention.value"),
    ("distilbert.transformer.layer.{}.attention.out_lin", "layers.{}.attention.output"),
    ("distilbert.transformer.layer.{}.sa_layer_norm", "layers.{}.attention_norm"),
    ("distilbert.transformer.layer.{}.ffn.lin1", "layers.{}.ffn.up"),
    ("distilbert.transformer.layer.{}.ffn.lin2", "layers.{}.ffn.down"),
    ("distilbert.transformer.layer.{}.output_layer_norm", "layers.{}.ffn_norm"),
    *_QA_HEAD,
    ("vocab_transform", "lm_head.dense"),
    ("vocab_layer_norm", "lm_head.norm"),
    ("vocab_projector", "lm_head"),
]
TABLE = {
    "bert": _BERT,
    "distilbert": _DISTILBERT,
    "roberta": _ROBERTA,
    "electra": _ELECTRA,
    "mpnet": _MPNET,
}
"""model_type → rows of (Hugging Face module, our module)."""

_OUT = ("classifier", "classifier")
_TWO_LAYERS = [("classifier.dense", "pooler"), ("classifier.out_proj", "classifier")]
_BERT_POOLER = ("bert.pooler.dense", "pooler")
_ROBERTA_POOLER = ("roberta.pooler.dense", "pooler")
_MPNET_POOLER = ("mpnet.pooler.dense", "pooler")
_HEAD_ROWS: Mapping[str, Mapping[str, list[tuple[str, str]]]] = {
    "classification": {
        "bert": [_BERT_POOLER, _OUT],
        "distilbert": [("pre_classifier", "pooler"), _OUT],
        "roberta": _TWO_LAYERS,
        "electra": _TWO_LAYERS,
        "mpnet": _TWO_LAYERS,
    },
    "tagging": dict.fromkeys(TABLE, [_OUT]),
    "choice": {
        "bert": [_BERT_POOLER, _OUT],
        "distilbert": [("pre_classifier", "pooler"), _OUT],
        "roberta": [_ROBERTA_POOLER, _OUT],
        "electra": [("sequence_summary.summary", "pooler"), _OUT],
        "mpnet": [_MPNET_POOLER, _OUT],
    },
    "bare": {"bert": [_BERT_POOLER], "roberta": [_ROBERTA_POOLER], "mpnet": [_MPNET_POOLER]},
}
"""Head → model_type → the rows that hold only under that head: one name of Hugging Face's is
another layer under another head."""

_TENSORS = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
"""Last part of a name; ``gamma`` and ``beta`` are how TensorFlow checkpoints spell a norm's."""


def _pattern(module: str) -> re.Pattern[str]:
    return re.compile(re.escape(module).replace(r"\{\}", r"(\d+)"))


def _rows(model_type: str, head: HeadName | None) -> list[tuple[str, str]]:
    rows = _HEAD_ROWS.get(head, {}) if head else {}
    return [*TABLE[model_type], *rows.get(model_type, [])]


def from_hf(model_type: str, name: str, head: HeadName | None = None) -> str | None:
    """Our name of the parameter Hugging Face calls ``name``; ``None`` where we have no use for it.

    Names without the leading ``bert.`` and the like (a bare encoder's) are understood too.
    """
    module, _, tensor = name.rpartition(".")
    if tensor not in _TENSORS:
        return None
    for theirs, ours in _rows(model_type, head):
        for candidate in (module, f"{model_type}.{module}"):
            match = _pattern(theirs).fullmatch(candidate)
            if match:
                return f"{ours.format(*match.groups())}.{_TENSORS[tensor]}"
    return None


def to_hf(model_type: str, name: str, head: HeadName | None = None) -> str:
    """Hugging Face's name of our parameter ``name`` in a model with ``head``.

    Raises:
        KeyError: the table has no such parameter for this model type.
    """
    module, _, tensor = name.rpartition(".")
    for theirs, ours in _rows(model_type, head):
        match = _pattern(ours).fullmatch(module)
        if match:
            return f"{theirs.format(*match.groups())}.{tensor}"
    raise KeyError(name)


def split_known(
    model_type: str, names: Iterable[str], head: HeadName | None = None
) -> tuple[dict[str, str], list[str]]:
    """Sorts Hugging Face names into a map from ours to theirs, and those we have no use for."""
    known: dict[str, str] = {}
    unused: list[str] = []
    for name in names:
        ours = from_hf(model_type, name, head)
        if ours is None:
            unused.append(name)
        else:
            known[ours] = name
    return known, unused
