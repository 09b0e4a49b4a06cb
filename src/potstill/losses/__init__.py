"""Losses of training and distillation: pure functions of tensors, with their papers."""

from potstill.losses.lm import hidden_cosine, masked_lm_cross_entropy, soft_target_kl
from potstill.losses.span import span_cross_entropy, span_distillation, span_kl
from potstill.losses.transfer import attention_mse, attention_scores, hidden_mse, relation_kl

__all__ = [
    "attention_mse",
    "attention_scores",
    "hidden_cosine",
    "hidden_mse",
    "masked_lm_cross_entropy",
    "relation_kl",
    "soft_target_kl",
    "span_cross_entropy",
    "span_distillation",
    "span_kl",
]
