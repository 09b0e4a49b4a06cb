"""BERT and the encoders that are BERT with other names or options.

Files differ in whether they keep the bias of the masked-LM head as its own, as the decoder's, or as
both: where two rows have one name of ours, the first is the one that is written.
"""

from __future__ import annotations

from dataclasses import replace

from potstill.bundle.encoders.spec import EncoderSpec, Rows

FIELDS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_width",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "ffn_width",
    "max_position_embeddings": "max_positions",
    "type_vocab_size": "n_token_types",
    "hidden_act": "activation",
    "layer_norm_eps": "norm_eps",
    "hidden_dropout_prob": "hidden_dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "classifier_dropout": "classifier_dropout",
    "initializer_range": "initializer_range",
    "pad_token_id": "pad_id",
}
ONLY = {
    "position_embedding_type": "absolute",
    "is_decoder": False,  # every token would see only those before it
    "add_cross_attention": False,
}

ROWS: Rows = (
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
)
QA_ROWS: Rows = (("qa_outputs", "qa_head"),)
LM_ROWS: Rows = (
    ("lm_head.dense", "lm_head.dense"),
    ("lm_head.layer_norm", "lm_head.norm"),
    ("lm_head", "lm_head"),
    ("lm_head.decoder", "lm_head"),
)
OUT: Rows = (("classifier", "classifier"),)
TWO_LAYERS: Rows = (("classifier.dense", "pooler"), ("classifier.out_proj", "classifier"))

_BERT_POOLER: Rows = (("bert.pooler.dense", "pooler"),)
BERT = EncoderSpec(
    model_type="bert",
    title="A BERT",
    prefix="Bert",
    tokenizer="Bert",
    fields=FIELDS,
    only=ONLY,
    base="bert",
    rows=ROWS,
    shared_rows=(
        *QA_ROWS,
        ("cls.predictions.transform.dense", "lm_head.dense"),
        ("cls.predictions.transform.LayerNorm", "lm_head.norm"),
        ("cls.predictions", "lm_head"),
        ("cls.predictions.decoder", "lm_head"),
    ),
    head_rows={
        "classification": (*_BERT_POOLER, *OUT),
        "tagging": OUT,
        "choice": (*_BERT_POOLER, *OUT),
        "bare": _BERT_POOLER,
    },
    has_pooler=True,
)

_PRE_CLASSIFIER: Rows = (("pre_classifier", "pooler"), *OUT)
DISTILBERT = EncoderSpec(
    model_type="distilbert",
    title="A DistilBERT",
    prefix="DistilBert",
    tokenizer="Bert",
    fields={
        "vocab_size": "vocab_size",
        "dim": "hidden_width",
        "n_layers": "n_layers",
        "n_heads": "n_heads",
        "hidden_dim": "ffn_width",
        "max_position_embeddings": "max_positions",
        "activation": "activation",
        "dropout": "hidden_dropout",
        "attention_dropout": "attention_dropout",
        "qa_dropout": "qa_dropout",
        "seq_classif_dropout": "classifier_dropout",
        "initializer_range": "initializer_range",
        "pad_token_id": "pad_id",
    },
    defaults={"n_layers": 6, "n_token_types": 0, "qa_dropout": 0.1},
    only={"position_embedding_type": "absolute"},
    base="distilbert",
    rows=(
        ("embeddings.word_embeddings", "embeddings.word"),
        ("embeddings.position_embeddings", "embeddings.position"),
        ("embeddings.LayerNorm", "embeddings.norm"),
        ("transformer.layer.{}.attention.q_lin", "layers.{}.attention.query"),
        ("transformer.layer.{}.attention.k_lin", "layers.{}.attention.key"),
        ("transformer.layer.{}.attention.v_lin", "layers.{}.attention.value"),
        ("transformer.layer.{}.attention.out_lin", "layers.{}.attention.output"),
        ("transformer.layer.{}.sa_layer_norm", "layers.{}.attention_norm"),
        ("transformer.layer.{}.ffn.lin1", "layers.{}.ffn.up"),
        ("transformer.layer.{}.ffn.lin2", "layers.{}.ffn.down"),
        ("transformer.layer.{}.output_layer_norm", "layers.{}.ffn_norm"),
    ),
    shared_rows=(
        *QA_ROWS,
        ("vocab_transform", "lm_head.dense"),
        ("vocab_layer_norm", "lm_head.norm"),
        ("vocab_projector", "lm_head"),
    ),
    head_rows={"classification": _PRE_CLASSIFIER, "tagging": OUT, "choice": _PRE_CLASSIFIER},
    drops_behind_attention=False,
    pooler_activation="relu",
    label_dropout=0.2,
    hidden_dropout_heads=("tagging",),
)

_ROBERTA_POOLER: Rows = (("roberta.pooler.dense", "pooler"),)
ROBERTA = EncoderSpec(
    model_type="roberta",
    title="A RoBERTa",
    prefix="Roberta",
    tokenizer="Roberta",
    fields=FIELDS,
    defaults={"vocab_size": 50265, "pad_id": 1},
    only=ONLY,
    base="roberta",
    rows=ROWS,
    shared_rows=(*QA_ROWS, *LM_ROWS),
    head_rows={
        "classification": TWO_LAYERS,
        "tagging": OUT,
        "choice": (*_ROBERTA_POOLER, *OUT),
        "bare": _ROBERTA_POOLER,
    },
    skips_padding=True,
    has_pooler=True,
    lm_activation="gelu",
    hidden_dropout_heads=("choice",),
    drops_twice=True,
)

# RoBERTa on another language or on a hundred, with a Unigram tokenizer.
CAMEMBERT = replace(
    ROBERTA,
    model_type="camembert",
    title="A CamemBERT",
    prefix="Camembert",
    tokenizer="Camembert",
    defaults={"pad_id": 1},
)
XLM_ROBERTA = replace(
    ROBERTA,
    model_type="xlm-roberta",
    title="An XLM-RoBERTa",
    prefix="XLMRoberta",
    tokenizer="XLMRoberta",
    defaults={"pad_id": 1},
)

ELECTRA = EncoderSpec(
    model_type="electra",
    title="An ELECTRA",
    prefix="Electra",
    tokenizer="Bert",
    fields={**FIELDS, "embedding_size": "embedding_width"},
    defaults={"embedding_width": 128, "hidden_width": 256, "n_heads": 4, "ffn_width": 1024},
    only=ONLY,
    base="electra",
    rows=(*ROWS, ("embeddings_project", "embedding_projection")),
    shared_rows=QA_ROWS,
    head_rows={
        "classification": TWO_LAYERS,
        "tagging": OUT,
        "choice": (("sequence_summary.summary", "pooler"), *OUT),
    },
    pooler_activation="gelu",
    # Its generator's head is another, and its discriminator learned something else.
    masked_lm=False,
    drops_twice=True,
    summary=True,
)
