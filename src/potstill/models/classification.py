"""The classifier of texts, or of pairs of texts: one label, several at once, or a number."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig
from potstill.models.dropout import Dropout
from potstill.models.encoder import Encoder, initialize
from potstill.models.layers import Pooler, Transform, of_row
from potstill.models.output import ClassifierOutput, returned
from potstill.models.pretrained import Pretrained


class ClassificationModel(Pretrained):
    """An encoder of any kind with the text-classification head."""

    head = "classification"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        rate = config.label_dropout
        self.encoder = Encoder(config)
        self.pooler_dropout = Dropout(rate if config.spec.drops_twice else 0.0)
        transforms = config.spec.head_transform
        self.transform = Transform(config) if transforms else None
        self.pooler = None if transforms else Pooler(config)
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
        """Scores every label of every row.

        Args:
            input_ids: int64 ``[batch, seq]``.
            attention_mask: 1 for real tokens, 0 for padding, ``[batch, seq]``.
            token_type_ids: int64 ``[batch, seq]``; ignored by models without token types.
            labels: with them the output has a loss: int64 ``[batch]`` for one label a row, floats
                ``[batch, n_labels]`` for several, floats ``[batch]`` or ``[batch, n_labels]`` for a
                regression. Which of the three it is, the config's ``problem`` says; where it does
                not, the first labels settle it, as in Hugging Face's models: regression where there
                is one label, one label a row where they are integers, several otherwise.
            output_hidden_states: whether to return the states of every layer.
            return_dict: whether to return names with the values; otherwise a plain tuple.
        """
        states = self.encoder(input_ids, attention_mask, token_type_ids)
        pooled = of_row(self.config, states[-1], attention_mask)
        if self.pooler is not None:
            pooled = self.pooler(self.pooler_dropout(pooled))
        if self.transform is not None:
            pooled = self.transform(pooled)
        logits = self.classifier(self.head_dropout(pooled))
        loss = None
        if labels is not None:
            if not self.config.problem:
                self.config = replace(self.config, problem=infer_problem(logits, labels))
            loss = classification_loss(logits, labels, self.config.problem)
        output = ClassifierOutput(loss, logits, states if output_hidden_states else None)
        return returned(output, return_dict)


def infer_problem(logits: Tensor, labels: Tensor) -> str:
    """What labels are to a text, judged by their number and dtype: see `ModelConfig.problem`.

    As ``problem_type`` is inferred in transformers 5, ``ForSequenceClassificationLoss``.

    Args:
        logits: ``[batch, n_labels]``.
        labels: of any of the three kinds.
    """
    if logits.shape[1] == 1:
        return "regression"
    return "single-label" if labels.dtype in (torch.int64, torch.int32) else "multi-label"


def classification_loss(logits: Tensor, labels: Tensor, problem: str) -> Tensor:
    """Cross-entropy, binary cross-entropy or squared error, a mean over all that is labelled.

    Args:
        logits: ``[batch, n_labels]``.
        labels: ``[batch]`` or ``[batch, n_labels]``, as ``problem`` asks for.
        problem: see `ModelConfig.problem`.
    """
    if problem == "single-label":
        return F.cross_entropy(logits, labels.flatten().long())
    wanted = labels.to(logits.dtype)
    if problem == "multi-label":
        return F.binary_cross_entropy_with_logits(logits, wanted)
    return F.mse_loss(logits, wanted.view_as(logits))
