"""Encoders without a head, under the names that people import."""

from __future__ import annotations

from torch import Tensor

from potstill.bundle.config import ModelConfig
from potstill.models.encoder import Encoder, initialize
from potstill.models.layers import Pooler
from potstill.models.output import EncoderOutput, returned
from potstill.models.pretrained import Pretrained


class BareModel(Pretrained):
    """An encoder of any kind, with the pooler of those that have one."""

    head = "bare"

    def __init__(self, config: ModelConfig, add_pooling_layer: bool = True) -> None:
        """Makes the model with random weights.

        Args:
            config: its shape.
            add_pooling_layer: ``False`` leaves the pooler out.
        """
        super().__init__(config)
        self.encoder = Encoder(config)
        pooled = add_pooling_layer and config.spec.has_pooler
        self.pooler = Pooler(config) if pooled else None
        initialize(self, config.initializer_range)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        output_hidden_states: bool = False,
        return_dict: bool = True,
    ) -> EncoderOutput:
        """Reads rows of tokens.

        Args:
            input_ids: int64 ``[batch, seq]``.
            attention_mask: 1 for real tokens, 0 for padding, ``[batch, seq]``.
            token_type_ids: int64 ``[batch, seq]``; ignored by models without token types.
            output_hidden_states: whether to return the states of every layer.
            return_dict: whether to return names with the values; otherwise a plain tuple.
        """
        states = self.encoder(input_ids, attention_mask, token_type_ids)
        pooled = None if self.pooler is None else self.pooler(states[-1][:, 0])
        output = EncoderOutput(states[-1], pooled, states if output_hidden_states else None)
        return returned(output, return_dict)
