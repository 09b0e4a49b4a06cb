"""Question answering for the training loop: examples → labelled rows → loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from potstill.data.qa import load_qa
from potstill.evaluation.confidence import Calibration
from potstill.evaluation.readings import collect, score_predictions
from potstill.losses.span import span_cross_entropy
from potstill.models.qa import QAOutput, QuestionAnsweringModel
from potstill.records import QAExample
from potstill.runtime.qa import QAClient
from potstill.runtime.reading import ReadOptions
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Encoded, PairLayout, Tokenizer
from potstill.text.windows import Window, assemble, pad, windows
from potstill.training.calibrate import calibrate
from potstill.training.recipe import Recipe

_CHUNK = 2000
"""Examples tokenized at once."""


@dataclass(frozen=True, slots=True, eq=False)
class QARows:
    """Every training window with its label, packed into a few arrays.

    Attributes:
        ids: input ids of all rows one behind the other, int32 ``[n_tokens]``.
        bounds: row ``i`` is ``ids[bounds[i]:bounds[i + 1]]``, int64 ``[n_rows + 1]``.
        context_at: position of each row's first context token, int32 ``[n_rows]``.
        start: position of the answer's first token in its row, int64 ``[n_rows]``; 0 (``[CLS]``)
            where the row does not hold the whole answer.
        end: position of the answer's last token, int64 ``[n_rows]``.
        example: which example each row asks, int32 ``[n_rows]``.
        slices: first and one past the last context token of each row, int32 ``[n_rows, 2]``.
        pad_id: the padding token.
        layout: of the tokenizer that the tokens are of.
    """

    ids: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int64]
    context_at: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    example: npt.NDArray[np.int32]
    slices: npt.NDArray[np.int32]
    pad_id: int
    layout: PairLayout

    def __len__(self) -> int:
        return len(self.start)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each row."""
        return np.diff(self.bounds)

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Rows ``rows`` as padded tensors: the model's inputs, the labels and ``allowed``."""
        first = self.context_at[list(rows)]
        ids = [self.ids[self.bounds[i] : self.bounds[i + 1]] for i in rows]
        batch = pad(ids, first.tolist(), self.pad_id, self.layout)
        last = self.lengths[list(rows)] - 1  # the [SEP] behind the context
        at = np.arange(batch.input_ids.shape[1])
        allowed = (at >= first[:, None]) & (at < last[:, None])
        allowed[:, 0] = True
        arrays = {
            "input_ids": batch.input_ids,
            "attention_mask": batch.attention_mask,
            "token_type_ids": batch.token_type_ids,
            "start": self.start[list(rows)],
            "end": self.end[list(rows)],
            "allowed": allowed,
        }
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def label(context: Encoded, start: int, stop: int) -> tuple[int, int] | None:
    """The tokens that cover characters ``[start, stop)``: first and last, or ``None``."""
    first = int(np.searchsorted(context.offsets[:, 1], start, side="right"))
    last = int(np.searchsorted(context.offsets[:, 0], stop, side="left")) - 1
    return (first, last) if first <= last else None


def make_rows(
    examples: Sequence[QAExample], tokenizer: Tokenizer, *, seq_len: int = 384, stride: int = 128
) -> QARows:
    """Splits examples into labelled windows.

    The first answer of an example is its label. A window that holds it only in part is labelled
    as having none; a span at a window's very first or last token counts.

    Args:
        examples: with offsets that are right.
        tokenizer: of the model to train.
        seq_len: longest row, in tokens.
        stride: tokens that neighbouring windows share.

    Raises:
        QuestionTooLongError: a question leaves no room for context.
    """
    ids: list[npt.NDArray[np.int64]] = []
    facts: list[tuple[int, ...]] = []
    cut: dict[str, Any] = {"seq_len": seq_len, "stride": stride, "layout": tokenizer.layout}
    for at in range(0, len(examples), _CHUNK):
        chunk = examples[at : at + _CHUNK]
        texts = list(dict.fromkeys(example.context for example in chunk))
        contexts = dict(zip(texts, tokenizer.encode_batch(texts), strict=True))
        questions = tokenizer.encode_batch([example.question for example in chunk])
        for i, (example, question) in enumerate(zip(chunk, questions, strict=True)):
            context = contexts[example.context]
            gold = _gold(example, context)
            n = len(question), len(context)
            for window in windows(i, i, *n, **cut):
                ids.append(assemble(tokenizer, question, context, window))
                where = at + i, window.start, window.stop
                facts.append((window.context_at, *_within(window, gold), *where))
    columns = np.array(facts, np.int64).reshape(-1, 6)
    return QARows(
        np.concatenate(ids).astype(np.int32) if ids else np.empty(0, np.int32),
        np.cumsum([0, *map(len, ids)], dtype=np.int64),
        columns[:, 0].astype(np.int32),
        columns[:, 1],
        columns[:, 2],
        columns[:, 3].astype(np.int32),
        columns[:, 4:].astype(np.int32),
        tokenizer.pad_id,
        tokenizer.layout,
    )


def _gold(example: QAExample, context: Encoded) -> tuple[int, int] | None:
    if example.is_impossible or not example.answers or example.starts[0] is None:
        return None
    start = example.starts[0]
    return label(context, start, start + len(example.answers[0]))


def _within(window: Window, gold: tuple[int, int] | None) -> tuple[int, int]:
    if gold is None or gold[0] < window.start or gold[1] >= window.stop:
        return 0, 0
    shift = window.context_at - window.start
    return gold[0] + shift, gold[1] + shift


def batch_loss(model: QuestionAnsweringModel, batch: dict[str, Tensor], _: float) -> Tensor:
    """Fine-tuning loss of one batch, summed over its rows; scalar."""
    output: QAOutput = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
    return span_cross_entropy(
        output.start_logits, output.end_logits, batch["start"], batch["end"], batch["allowed"]
    ).sum()


@dataclass(frozen=True, slots=True, kw_only=True)
class QASplit:
    """The training data of a run."""

    warning: str | None = None
    """What the file says and cannot mean."""

    train: list[QAExample]
    """What is trained on, mined negatives at the end."""
    held_out: list[QAExample]
    """Of other contexts, with negatives of their own; empty where nothing is held out."""
    n_labelled: int
    """Examples of ``train`` that the file itself holds."""
    no_answer: bool
    """Whether the model learns to say that there is no answer."""


class Scorer:
    """Scores and calibrates a model as it stands, through the reader that ships."""

    def __init__(
        self, recipe: Recipe, tokenizer: Tokenizer, data: QASplit, note: Callable[[str], None]
    ) -> None:
        """Loads what to score on: what was held out, or else ``recipe.dev``.

        Raises:
            DataError: ``recipe.dev`` cannot be read.
        """
        self._tokenizer = tokenizer
        self._data = data
        self._answers_kept = recipe.answers_kept
        self._examples, self._rules_v2 = data.held_out, data.no_answer
        if recipe.dev and not data.held_out:
            dev = load_qa(recipe.dev)
            dev.check_golds(recipe.dev)
            self._examples, self._rules_v2 = dev.examples, dev.no_answer
            if dev.warning:
                note(f"{recipe.dev}: {dev.warning}")
        self._options = ReadOptions(
            seq_len=recipe.seq_len,
            stride=recipe.stride,
            max_answer_tokens=recipe.max_answer_tokens,
            no_answer=data.no_answer,
            token_budget=recipe.batch_tokens,
        )

    @property
    def n_examples(self) -> int:
        """Questions that are scored."""
        return len(self._examples)

    def score(self, model: QuestionAnsweringModel) -> dict[str, float]:
        """``exact``, ``f1``, ``total`` and what v2.0 adds; empty where there is nothing to ask."""
        if not self._examples:
            return {}
        asked = ((example.question, example.context) for example in self._examples)
        found = collect(self._examples, self._client(model).read_many(asked))
        return score_predictions(
            self._examples,
            found,
            rules_v2=self._rules_v2,
            null_threshold=self._options.threshold,
        )

    def calibration(self, model: QuestionAnsweringModel) -> Calibration | None:
        """Null threshold and temperature, fitted on what was held out; ``None`` without it."""
        if not self._data.held_out:
            return None
        return calibrate(
            self._client(model),
            self._data.held_out,
            no_answer=self._data.no_answer,
            answers_kept=self._answers_kept,
        )

    def _client(self, model: QuestionAnsweringModel) -> QAClient:
        return QAClient(self._tokenizer, TorchSession(model), self._options)
