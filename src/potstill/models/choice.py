"""The chooser: which of several texts goes on best from a prompt."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import HeadName
from potstill.errors import ConfigError
from potstill.models.dropout import Dropout
from potstill.models.encoder import Encoder, initialize
from potstill.models.layers import Pooler, Transform, of_row
from potstill.models.output import ClassifierOutput, returned
from potstill.models.pretrained import Pretrained

_SUMMARY = {"summary_type": "first", "summary_use_proj": True, "summary_activation": "gelu"}
"""ELECTRA's options of the head, each with the one value that is supported: its own."""


class ChoiceModel(Pretrained):
    """An encoder of any kind with the multiple-choice head: one score a row, prompt and choice."""

    head = "choice"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config)
        transforms = config.spec.head_transform
        self.transform = Transform(config) if transforms else None
        self.pooler = None if transforms else Pooler(config)
        self.head_dropout = Dropout(_dropout(config, self.head))
        self.classifier = nn.Linear(config.hidden_width, 1)
        initialize(self, config.initializer_range)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> ClassifierOutput:
        """Scores every choice of every question.

        Args:
            input_ids: int64 ``[batch, n_choices, seq]``.
            attention_mask: 1 for real tokens, 0 for padding, ``[batch, n_choices, seq]``.
            token_type_ids: int64 ``[batch, n_choices, seq]``; ignored by models without token
                types.
            labels: number of the right choice, int64 ``[batch]``; with them the output has a loss.
            output_hidden_states: whether to return the states of every layer.
            return_dict: whether to return names with the values; otherwise a plain tuple.
        """
        n_choices = input_ids.shape[1]
        rows = [
            None if part is None else part.flatten(0, 1)  # (batch · n_choices, seq)
            for part in (attention_mask, token_type_ids)
        ]
        states = self.encoder(input_ids.flatten(0, 1), *rows)
        pooled = of_row(self.config, states[-1], rows[0])
        if self.pooler is not None:
            pooled = self.pooler(pooled)
        if self.transform is not None:
            pooled = self.transform(pooled)
        scores = self.classifier(self.head_dropout(pooled))
        logits = scores.view(-1, n_choices)
        loss = None if labels is None else F.cross_entropy(logits, labels)
        output = ClassifierOutput(loss, logits, states if output_hidden_states else None)
        return returned(output, return_dict)


def _dropout(config: ModelConfig, head: HeadName) -> float:
    if head in config.spec.hidden_dropout_heads:
        return config.hidden_dropout
    if not config.spec.summary:
        return config.label_dropout
    for name, supported in _SUMMARY.items():
        if config.extra.get(name, supported) != supported:
            raise ConfigError(f"{name} {config.extra[name]!r} is not supported; {supported!r} is")
    return float(config.extra.get("summary_last_dropout", 0.1))
