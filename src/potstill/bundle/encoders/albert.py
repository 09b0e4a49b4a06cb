"""ALBERT (Lan et al. 2020, https://arxiv.org/abs/1909.11942): one set of weights for all layers."""

from __future__ import annotations

from potstill.bundle.encoders.bert import FIELDS, ONLY, OUT, QA_ROWS
from potstill.bundle.encoders.spec import EncoderSpec, Rows

_LAYER = "encoder.albert_layer_groups.0.albert_layers.0"
_POOLER: Rows = (("albert.pooler", "pooler"),)
ALBERT = EncoderSpec(
    model_type="albert",
    title="An ALBERT",
    prefix="Albert",
    tokenizer="Albert",
    fields={
        **{theirs: ours for theirs, ours in FIELDS.items() if theirs != "classifier_dropout"},
        "embedding_size": "embedding_width",
        "classifier_dropout_prob": "classifier_dropout",
    },
    defaults={
        "vocab_size": 30000,
        "embedding_width": 128,
        "hidden_width": 4096,
        "n_heads": 64,
        "ffn_width": 16384,
        "activation": "gelu_new",
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "classifier_dropout": 0.1,
    },
    # Published models of all sizes have one group of one layer.
    only={**ONLY, "num_hidden_groups": 1, "inner_group_num": 1},
    base="albert",
    rows=(
        ("embeddings.word_embeddings", "embeddings.word"),
        ("embeddings.position_embeddings", "embeddings.position"),
        ("embeddings.token_type_embeddings", "embeddings.token_type"),
        ("embeddings.LayerNorm", "embeddings.norm"),
        ("encoder.embedding_hidden_mapping_in", "embedding_projection"),
        (f"{_LAYER}.attention.query", "layers.0.attention.query"),
        (f"{_LAYER}.attention.key", "layers.0.attention.key"),
        (f"{_LAYER}.attention.value", "layers.0.attention.value"),
        (f"{_LAYER}.attention.dense", "layers.0.attention.output"),
        (f"{_LAYER}.attention.LayerNorm", "layers.0.attention_norm"),
        (f"{_LAYER}.ffn", "layers.0.ffn.up"),
        (f"{_LAYER}.ffn_output", "layers.0.ffn.down"),
        (f"{_LAYER}.full_layer_layer_norm", "layers.0.ffn_norm"),
    ),
    shared_rows=(
        *QA_ROWS,
        ("predictions.dense", "lm_head.dense"),
        ("predictions.LayerNorm", "lm_head.norm"),
        ("predictions", "lm_head"),
        ("predictions.decoder", "lm_head"),
    ),
    head_rows={
        "classification": (*_POOLER, *OUT),
        "tagging": OUT,
        "choice": (*_POOLER, *OUT),
        "bare": _POOLER,
    },
    shares_layers=True,
    always_projects=True,
    engine=False,
    drops_behind_ffn=False,
    has_pooler=True,
)
