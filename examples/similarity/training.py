"""Sentence similarity: its torch half. Pairs → two rows each → the squared error of their cosine.

As Sentence-BERT is trained on STS (Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084,
section 3), with a dense layer on the first token's state in place of a mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from similarity.recipe import SimilarityRecipe
from similarity.task import CompareOptions, Comparer, as_pair, load_pairs, score_pairs
from torch import Tensor, nn

from potstill.bundle.config import ModelConfig
from potstill.data.classification import gold_array
from potstill.data.split import split_examples
from potstill.models.encoder import Encoder, initialize
from potstill.models.layers import of_row
from potstill.models.output import ClassifierOutput
from potstill.models.pretrained import Pretrained
from potstill.records import TextExample
from potstill.runtime.session import Session
from potstill.text.tokenizer import Tokenizer
from potstill.training.labels.text_rows import TextRows, pack_texts
from potstill.training.labels.training import LabelTraining
from potstill.training.run.packed import INPUTS
from potstill.training.run.task import FloatArray, TaskData, Taught


class SimilarityModel(Pretrained):
    """An encoder of any kind with the similarity head: a vector for each row."""

    head = "similarity"

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config)
        self.projection = nn.Linear(config.hidden_width, config.hidden_width)
        initialize(self, config.initializer_range)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> ClassifierOutput:
        """Vectors ``[batch, width]`` of int64 rows ``[batch, seq]``, as the output's ``logits``."""
        states = self.encoder(input_ids, attention_mask, token_type_ids)
        pooled = of_row(self.config, states[-1], attention_mask)
        return ClassifierOutput(None, self.projection(pooled), None)


@dataclass(frozen=True, slots=True, eq=False)
class PairRows:
    """Every pair as two rows, one for each text; their numbers are the first one's labels."""

    first: TextRows
    second: TextRows

    def __len__(self) -> int:
        return len(self.first)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of both rows of each pair."""
        return self.first.lengths + self.second.lengths

    @property
    def example(self) -> npt.NDArray[np.int64]:
        """Which example each pair is of: they are one to one."""
        return self.first.example

    @property
    def truncated(self) -> int:
        """Texts that lost their end."""
        return self.first.truncated + self.second.truncated

    def batch(self, rows: list[int]) -> dict[str, Tensor]:
        """Pairs as padded tensors; the inputs of the second texts are called ``second_…``."""
        second = self.second.batch(rows)
        return {**self.first.batch(rows), **{f"second_{name}": second[name] for name in INPUTS}}

    def targets(self, rows: list[int], said: Sequence[FloatArray]) -> Tensor:
        """The teachers' cosines, ``[n, 1]``."""
        return self.first.targets(rows, said)


class SimilarityTraining(LabelTraining):
    """The task: how alike two sentences are."""

    model_class = SimilarityModel

    def load(self, recipe: SimilarityRecipe, taught: Taught | None = None) -> TaskData:
        """Reads the data of a recipe; labels that teachers alone say need not be there."""
        golds = taught is None or taught.golds or bool(recipe.split)
        columns = {"text": recipe.text, "pair": recipe.pair, "label": recipe.label}
        examples = load_pairs(recipe.train, columns, labelled=golds)
        train, dev = split_examples(examples, recipe.split, recipe.split_seed)
        if recipe.dev and not dev:
            dev = load_pairs(recipe.dev, columns)
        return TaskData(train=train[: recipe.examples or None], dev=dev, golds=golds)

    def rows(
        self,
        examples: Sequence[TextExample],
        tokenizer: Tokenizer,
        recipe: SimilarityRecipe,
        data: TaskData,
    ) -> PairRows:
        """Examples as tokens, and their labels as parts of the highest."""
        gold = np.zeros(len(examples), np.float32)
        if data.golds:
            gold = gold_array(examples, (), "regression") / np.float32(recipe.highest)
        texts = zip(*map(as_pair, examples), strict=True)
        both = (pack_texts(own, gold, tokenizer, seq_len=recipe.seq_len) for own in texts)
        return PairRows(*both)

    def logits(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        """The cosine of each pair, ``[n]``."""
        one = model(*(batch[name] for name in INPUTS)).logits
        other = model(*(batch[f"second_{name}"] for name in INPUTS)).logits
        return F.cosine_similarity(one.float(), other.float())

    def loss(self, logits: Tensor, batch: dict[str, Tensor], data: TaskData) -> Tensor:
        """Squared error, summed over the pairs; scalar."""
        return F.mse_loss(logits, batch["labels"], reduction="sum")

    def soft_loss(
        self, logits: Tensor, batch: dict[str, Tensor], data: TaskData, temperature: float
    ) -> Tensor:
        """Squared error to the teachers' cosines, summed over the pairs; scalar."""
        return F.mse_loss(logits, batch["teacher"][:, 0], reduction="sum")

    def texts(self, example: TextExample) -> tuple[str, ...]:
        """All that a teacher reads of an example."""
        return as_pair(example)

    def teach(
        self,
        session: Session,
        tokenizer: Tokenizer,
        examples: Sequence[TextExample],
        *,
        seq_len: int,
    ) -> list[FloatArray]:
        """A teacher's cosine of each pair, ``[1]``."""
        client = Comparer(tokenizer, session, CompareOptions(seq_len=seq_len))
        cosines = client.compare_many(map(as_pair, examples))
        return list(np.array(cosines, np.float32)[:, None])

    def score(
        self,
        session: Session,
        tokenizer: Tokenizer,
        examples: Sequence[TextExample],
        recipe: SimilarityRecipe,
        data: TaskData,
    ) -> dict[str, float]:
        """Scores through the client; see `score_pairs`."""
        options = CompareOptions(seq_len=recipe.seq_len, token_budget=recipe.batch_tokens)
        client = Comparer(tokenizer, session, options)
        return score_pairs(examples, client.compare_many(map(as_pair, examples)))
