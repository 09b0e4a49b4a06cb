"""The question-answering model: an encoder and a head that scores starts and ends."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig
from potstill.models.dropout import Dropout
from potstill.models.encoder import Encoder, initialize
from potstill.models.layers import Transform
from potstill.models.output import Output, returned
from potstill.models.pretrained import Pretrained


class QAOutput(Output):
    """What a question-answering model returns."""

    loss: Tensor | None
    """Mean of the start and the end cross-entropy, where positions were given; scalar."""
    start_logits: Tensor
    """``[batch, seq]``."""
    end_logits: Tensor
    """``[batch, seq]``."""
    hidden_states: tuple[Tensor, ...] | None
    """Embeddings and every layer, each ``[batch, seq, width]``, where asked for."""


class QuestionAnsweringModel(Pretrained):
    """An encoder of any kind with the question-answering head."""

    head = "qa"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config)
        transforms = config.spec.head_transform
        self.transform = Transform(config) if transforms else None
        self.head_dropout = Dropout(config.label_dropout if transforms else config.qa_dropout)
        self.qa_head = nn.Linear(config.hidden_width, 2)
        initialize(self, config.initializer_range)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> QAOutput:
        """Scores every position as a start and as an end of the answer.

        Args:
            input_ids: int64 ``[batch, seq]``.
            attention_mask: 1 for real tokens, 0 for padding, ``[batch, seq]``.
            token_type_ids: int64 ``[batch, seq]``; ignored by models without token types.
            start_positions: gold starts, int64 ``[batch]``; with ``end_positions`` the output has
                a loss. Positions outside the row are ignored, as Hugging Face does.
            end_positions: gold ends (the last token, not one past it), int64 ``[batch]``.
            output_hidden_states: whether to return the states of every layer.
            return_dict: whether to return names with the values; otherwise a plain tuple.
        """
        states = self.encoder(input_ids, attention_mask, token_type_ids)
        last = states[-1] if self.transform is None else self.transform(states[-1])
        logits = self.qa_head(self.head_dropout(last))
        start, end = logits.unbind(-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            seq_len = input_ids.shape[1]
            losses = [
                F.cross_entropy(scores, gold.clamp(0, seq_len), ignore_index=seq_len)
                for scores, gold in ((start, start_positions), (end, end_positions))
            ]
            loss = (losses[0] + losses[1]) / 2
        output = QAOutput(loss, start, end, states if output_hidden_states else None)
        return returned(output, return_dict)
