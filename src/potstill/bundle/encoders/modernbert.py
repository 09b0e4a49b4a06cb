"""ModernBERT (Warner et al. 2024, https://arxiv.org/abs/2412.13663), and with it Ettin.

Norms stand before attention and feed-forward, which have no biases; positions turn queries and keys
(Su et al. 2021, https://arxiv.org/abs/2104.09864); feed-forward layers are gated; most layers see
only what is near.
"""

from __future__ import annotations

from potstill.bundle.encoders.spec import EncoderSpec, Rows

_TRANSFORM: Rows = (("head.dense", "transform.dense"), ("head.norm", "transform.norm"))
_LABELS: Rows = (*_TRANSFORM, ("classifier", "classifier"))
MODERNBERT = EncoderSpec(
    model_type="modernbert",
    title="A ModernBERT",
    prefix="ModernBert",
    tokenizer="PreTrained",
    fields={
        "vocab_size": "vocab_size",
        "hidden_size": "hidden_width",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "ffn_width",
        "max_position_embeddings": "max_positions",
        "hidden_activation": "activation",
        "norm_eps": "norm_eps",
        "mlp_dropout": "hidden_dropout",
        "attention_dropout": "attention_dropout",
        "classifier_dropout": "classifier_dropout",
        "initializer_range": "initializer_range",
        "pad_token_id": "pad_id",
    },
    defaults={
        "vocab_size": 50368,
        "n_layers": 22,
        "ffn_width": 1152,
        "max_positions": 8192,
        "n_token_types": 0,
        "norm_eps": 1e-5,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "classifier_dropout": 0.0,
        "pad_id": 50283,
    },
    # As every published model has them.
    only={
        "attention_bias": False,
        "mlp_bias": False,
        "norm_bias": False,
        "classifier_bias": False,
        "decoder_bias": True,
        "classifier_activation": "gelu",
        "embedding_dropout": 0.0,
        "rope_scaling": None,
    },
    base="model",
    rows=(
        ("embeddings.tok_embeddings", "embeddings.word"),
        ("embeddings.norm", "embeddings.norm"),
        ("layers.{}.attn_norm", "layers.{}.attention_norm"),
        (
            "layers.{}.attn.Wqkv",
            "layers.{}.attention.query|layers.{}.attention.key|layers.{}.attention.value",
        ),
        ("layers.{}.attn.Wo", "layers.{}.attention.output"),
        ("layers.{}.mlp_norm", "layers.{}.ffn_norm"),
        ("layers.{}.mlp.Wi", "layers.{}.ffn.up|layers.{}.ffn.gate"),
        ("layers.{}.mlp.Wo", "layers.{}.ffn.down"),
        ("final_norm", "final_norm"),
    ),
    shared_rows=(),
    head_rows={
        "qa": (*_TRANSFORM, ("classifier", "qa_head")),
        "mlm": (
            ("head.dense", "lm_head.dense"),
            ("head.norm", "lm_head.norm"),
            ("decoder", "lm_head"),
        ),
        "classification": _LABELS,
        "tagging": _LABELS,
        "choice": _LABELS,
    },
    pre_norm=True,
    rotary=True,
    gated=True,
    biases=False,
    head_transform=True,
    engine=False,
    lm_activation="gelu",
)
