"""The masked language model: an encoder and a head that names the token at every position."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig
from potstill.models.encoder import Encoder, initialize
from potstill.models.layers import Transform
from potstill.models.output import Output, returned
from potstill.models.pretrained import Pretrained


class LMOutput(Output):
    """What a masked language model returns."""

    loss: Tensor | None
    """Mean cross-entropy of the labelled positions, where labels were given; scalar."""
    logits: Tensor
    """``[batch, seq, vocab]``, or ``[n, vocab]`` where positions were chosen."""
    hidden_states: tuple[Tensor, ...] | None
    """Embeddings and every layer, each ``[batch, seq, width]``, where asked for."""


class LMHead(nn.Module):
    """Dense, activation, norm, and the bias of a decoder whose matrix is the word table."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        first = Transform(config)
        self.dense, self.activation, self.norm = first.dense, first.activation, first.norm
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden: Tensor, words: Tensor) -> Tensor:
        """``[…, width]`` states, ``[vocab, table_width]`` word table → ``[…, vocab]`` logits."""
        return F.linear(self.norm(self.activation(self.dense(hidden))), words, self.bias)


class MaskedLM(Pretrained):
    """An encoder with the masked-LM head: of any kind but ELECTRA's."""

    head = "mlm"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config)
        self.lm_head = LMHead(config)
        initialize(self, config.initializer_range)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool = False,
        return_dict: bool = True,
        *,
        positions: Tensor | None = None,
    ) -> LMOutput:
        """Scores every token of the vocabulary at every position, or at chosen ones.

        Args:
            input_ids: int64 ``[batch, seq]``.
            attention_mask: 1 for real tokens, 0 for padding, ``[batch, seq]``.
            token_type_ids: int64 ``[batch, seq]``; ignored by models without token types.
            labels: the tokens to predict, int64 ``[batch, seq]``, -100 (as Hugging Face and torch
                mark it) where there is none; with them the output has a loss.
            output_hidden_states: whether to return the states of every layer.
            return_dict: whether to return names with the values; otherwise a plain tuple.
            positions: True where logits are wanted, bool ``[batch, seq]``. Logits of all
                positions are most of a small model's cost, and training needs a seventh of them.
        """
        states = self.encode(input_ids, attention_mask, token_type_ids)
        hidden = states[-1]
        if positions is not None:
            hidden = hidden[positions]  # (n, width)
            labels = None if labels is None else labels[positions]
        logits = self.lm_logits(hidden)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten())
        output = LMOutput(loss, logits, states if output_hidden_states else None)
        return returned(output, return_dict)

    def encode(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Hidden states ``[batch, seq, width]``: the embeddings', then one for each layer."""
        return self.encoder(input_ids, attention_mask, token_type_ids)

    def lm_logits(self, hidden: Tensor) -> Tensor:
        """``[…, width]`` states of the last layer → ``[…, vocab]``."""
        return self.lm_head(hidden, self.encoder.embeddings.word.weight)
