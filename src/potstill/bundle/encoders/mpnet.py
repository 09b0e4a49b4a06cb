"""MPNet (Song et al. 2020, https://arxiv.org/abs/2004.09297): attention that knows distances."""

from __future__ import annotations

from potstill.bundle.encoders.bert import FIELDS, LM_ROWS, ONLY, OUT, QA_ROWS, TWO_LAYERS
from potstill.bundle.encoders.spec import EncoderSpec, Rows

BUCKETS = 32
"""Distances that its table tells apart; transformers knows no other number."""

_POOLER: Rows = (("mpnet.pooler.dense", "pooler"),)
MPNET = EncoderSpec(
    model_type="mpnet",
    title="An MPNet",
    prefix="MPNet",
    tokenizer="MPNet",
    fields={theirs: ours for theirs, ours in FIELDS.items() if ours != "n_token_types"},
    defaults={"vocab_size": 30527, "n_token_types": 0, "pad_id": 1},
    only={**ONLY, "relative_attention_num_buckets": BUCKETS},
    pad_id=1,
    base="mpnet",
    rows=(
        ("embeddings.word_embeddings", "embeddings.word"),
        ("embeddings.position_embeddings", "embeddings.position"),
        ("embeddings.LayerNorm", "embeddings.norm"),
        ("encoder.relative_attention_bias", "embeddings.distance"),
        ("encoder.layer.{}.attention.attn.q", "layers.{}.attention.query"),
        ("encoder.layer.{}.attention.attn.k", "layers.{}.attention.key"),
        ("encoder.layer.{}.attention.attn.v", "layers.{}.attention.value"),
        ("encoder.layer.{}.attention.attn.o", "layers.{}.attention.output"),
        ("encoder.layer.{}.attention.LayerNorm", "layers.{}.attention_norm"),
        ("encoder.layer.{}.intermediate.dense", "layers.{}.ffn.up"),
        ("encoder.layer.{}.output.dense", "layers.{}.ffn.down"),
        ("encoder.layer.{}.output.LayerNorm", "layers.{}.ffn_norm"),
    ),
    shared_rows=(*QA_ROWS, *LM_ROWS),
    head_rows={
        "classification": TWO_LAYERS,
        "tagging": OUT,
        "choice": (*_POOLER, *OUT),
        "bare": _POOLER,
    },
    skips_padding=True,
    position_bias=True,
    has_pooler=True,
    lm_activation="gelu",
    hidden_dropout_heads=("choice",),
    drops_twice=True,
)
