"""DeBERTa-v2 and -v3 (He et al. 2021, https://arxiv.org/abs/2006.03654 and 2111.09543).

Contents and distances are kept apart in attention; see `potstill.bundle.disentangled`.
"""

from __future__ import annotations

from potstill.bundle.encoders.bert import FIELDS, OUT, QA_ROWS, ROWS
from potstill.bundle.encoders.spec import EncoderSpec, Rows

_SELF = "encoder.layer.{}.attention.self"
_OURS = "layers.{}.attention"
_POOLED: Rows = (("pooler.dense", "pooler"), *OUT)
DEBERTA = EncoderSpec(
    model_type="deberta-v2",
    title="A DeBERTa",
    prefix="DebertaV2",
    tokenizer="DebertaV2",
    fields={
        **{theirs: ours for theirs, ours in FIELDS.items() if theirs != "classifier_dropout"},
        "embedding_size": "embedding_width",
        "cls_dropout": "classifier_dropout",
    },
    defaults={
        "vocab_size": 128100,
        "hidden_width": 1536,
        "n_layers": 24,
        "n_heads": 24,
        "ffn_width": 6144,
        "n_token_types": 0,
        "norm_eps": 1e-7,
    },
    # Of the published models only v2-xlarge and v2-xxlarge have a convolution.
    only={"conv_kernel_size": 0, "pooler_hidden_act": "gelu", "pooler_dropout": 0},
    implied={"pooler_hidden_size": "hidden_width", "attention_head_size": "head_width"},
    # Which of two names the masked-LM head's weights have in a file; both are read.
    needless=("legacy",),
    base="deberta",
    rows=(
        *(row for row in ROWS if ".self." not in row[0]),
        ("embeddings.embed_proj", "embedding_projection"),
        ("encoder.rel_embeddings", "embeddings.distance"),
        ("encoder.LayerNorm", "embeddings.distance_norm"),
        (f"{_SELF}.query_proj", f"{_OURS}.query"),
        (f"{_SELF}.key_proj", f"{_OURS}.key"),
        (f"{_SELF}.value_proj", f"{_OURS}.value"),
        (f"{_SELF}.pos_key_proj", f"{_OURS}.distance_key"),
        (f"{_SELF}.pos_query_proj", f"{_OURS}.distance_query"),
    ),
    shared_rows=(
        *QA_ROWS,
        ("cls.predictions.transform.dense", "lm_head.dense"),
        ("cls.predictions.transform.LayerNorm", "lm_head.norm"),
        ("cls.predictions", "lm_head"),
        ("cls.predictions.decoder", "lm_head"),
        ("lm_predictions.lm_head.dense", "lm_head.dense"),
        ("lm_predictions.lm_head.LayerNorm", "lm_head.norm"),
        ("lm_predictions.lm_head", "lm_head"),
    ),
    head_rows={"classification": _POOLED, "tagging": OUT, "choice": _POOLED},
    disentangled=True,
    projects_first=True,
    engine=False,
    pooler_activation="gelu",
    hidden_dropout_heads=("tagging",),
)
