"""The classifier of tokens: a label for each position."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig
from potstill.models.dropout import Dropout
from potstill.models.encoder import Encoder, initialize
from potstill.models.layers import Transform
from potstill.models.output import ClassifierOutput, returned
from potstill.models.pretrained import Pretrained


class TaggingModel(Pretrained):
    """An encoder of any kind with the token-classification head."""

    head = "tagging"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        as_states = self.head in config.spec.hidden_dropout_heads
        rate = config.hidden_dropout if as_states else config.label_dropout
        self.encoder = Encoder(config)
        self.transform = Transform(config) if config.spec.head_transform else None
        self.head_dropout = Dropout(rate)
        self.classifier = nn.Linear(config.hidden_width, config.n_labels)
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
        """Scores every label of every token.

        Args:
            input_ids: int64 ``[batch, seq]``.
            attention_mask: 1 for real tokens, 0 for padding, ``[batch, seq]``.
            token_type_ids: int64 ``[batch, seq]``; ignored by models without token types.
            labels: int64 ``[batch, seq]``, -100 (as Hugging Face and torch mark it) where a token
                has none; with them the output has a loss.
            output_hidden_states: whether to return the states of every layer.
            return_dict: whether to return names with the values; otherwise a plain tuple.
        """
        states = self.encoder(input_ids, attention_mask, token_type_ids)
        last = states[-1] if self.transform is None else self.transform(states[-1])
        logits = self.classifier(self.head_dropout(last))
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        output = ClassifierOutput(loss, logits, states if output_hidden_states else None)
        return returned(output, return_dict)
