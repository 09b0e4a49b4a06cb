"""Multiple choice for the training loop: prompts with choices → rows of choices → loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from potstill.data.choice import fold, load_choices
from potstill.data.split import split_examples
from potstill.errors import DataError, RecipeError
from potstill.evaluation.choice import baselines, score_choices
from potstill.losses.choice import choice_cross_entropy, choice_kl
from potstill.models.choice import ChoiceModel
from potstill.records import ChoiceExample
from potstill.runtime.choice import ChoiceOptions, Chooser, make_rows
from potstill.runtime.session import Session
from potstill.runtime.texts import run_rows
from potstill.text.tokenizer import Tokenizer
from potstill.text.windows import pad
from potstill.training.labels.training import LabelTraining
from potstill.training.recipe.choice import ChoiceRecipe
from potstill.training.run.packed import INPUTS, PackedRows, packed
from potstill.training.run.task import FloatArray, TaskData, Taught

_CHUNK = 2000
"""Examples tokenized at once."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ChoiceRows(PackedRows):
    """Every training example: its choices behind its prompt, each a packed row.

    A row of a batch is an example with all its choices.

    Attributes:
        second_at: where each choice starts behind its prompt, int32 ``[n]``.
        choices: example ``i`` has the choices ``choices[i]`` to ``choices[i + 1]``, int64
            ``[n_rows + 1]``.
        labels: the right one of each example, int64 ``[n_rows]``.
        truncated: examples of which a choice, or its prompt, lost its end.
    """

    second_at: npt.NDArray[np.int32]
    choices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    truncated: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def example(self) -> npt.NDArray[np.int64]:
        """Which example each row is of: row and example are one."""
        return np.arange(len(self))

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each row: all its choices, each as long as its longest."""
        longest = np.maximum.reduceat(np.diff(self.bounds), self.choices[:-1])
        return longest * np.diff(self.choices)

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Rows ``rows`` as padded tensors: the model's inputs, ``labels`` and ``allowed``.

        Inputs are ``[batch, n_choices, seq]``; where an example has fewer choices than another,
        ``allowed`` (bool ``[batch, n_choices]``) is false for those it lacks.
        """
        counts = np.diff(self.choices)[list(rows)]
        shape = len(rows), int(counts.max())
        # A choice that is lacking is read as one padding token: a row of none has no softmax.
        nothing = np.array([self.pad_id], np.int32)
        ids: list[npt.NDArray[np.int32]] = []
        second_at: list[int] = []
        for row, count in zip(rows, counts, strict=True):
            first = self.choices[row]
            for j in range(first, first + count):
                ids.append(self.ids[self.bounds[j] : self.bounds[j + 1]])
                second_at.append(int(self.second_at[j]))
            ids += [nothing] * (shape[1] - count)
            second_at += [1] * (shape[1] - count)
        padded = pad(ids, second_at, self.pad_id, self.layout)
        arrays = {name: getattr(padded, name).reshape(*shape, -1) for name in INPUTS}
        arrays["labels"] = self.labels[list(rows)]
        arrays["allowed"] = np.arange(shape[1]) < counts[:, None]
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def targets(self, rows: list[int], said: Sequence[FloatArray]) -> Tensor:
        """Teachers' logits of each choice, ``[n, n_choices]``; 0 for choices that are lacking."""
        found = np.zeros((len(rows), max(len(logits) for logits in said)), np.float32)
        for at, logits in enumerate(said):
            found[at, : len(logits)] = logits
        return torch.from_numpy(found)


class ChoiceTraining(LabelTraining):
    """The task: which of several texts goes on with another."""

    model_class = ChoiceModel

    def load(self, recipe: ChoiceRecipe, taught: Taught | None = None) -> TaskData:
        """Reads what is trained and scored on.

        Raises:
            DataError: a file is wrong.
            RecipeError: there are more folds than rows.
        """
        # Whether a row is right is asked of its label where it is scored, too.
        golds = taught is None or taught.golds or bool(recipe.split or recipe.folds)
        examples = load_choices(recipe.train, labelled=golds)
        facts: dict[str, Any] = {}
        if recipe.folds:
            if recipe.folds > len(examples):
                raise RecipeError(
                    f"folds is {recipe.folds}, but {recipe.train} has {len(examples)} rows: "
                    "take fewer folds"
                )
            train, dev = fold(examples, recipe.folds, recipe.fold)
            facts = {"folds": recipe.folds, "fold": recipe.fold}
        else:
            train, dev = split_examples(examples, recipe.split, recipe.split_seed)
        if recipe.dev and not (recipe.folds or recipe.split):
            dev = load_choices(recipe.dev)
        known = all(example.label is not None for example in examples)
        return TaskData(train=train[: recipe.examples or None], dev=dev, golds=known, facts=facts)

    def rows(
        self,
        examples: Sequence[ChoiceExample],
        tokenizer: Tokenizer,
        recipe: ChoiceRecipe,
        data: TaskData,
    ) -> ChoiceRows:
        """Examples as tokens: each choice behind its prompt."""
        if not data.golds:  # never read: the loss is that of the teachers alone
            examples = [replace(example, label=example.label or 0) for example in examples]
        return pack(examples, tokenizer, seq_len=recipe.seq_len)

    def loss(self, logits: Tensor, batch: dict[str, Tensor], data: TaskData) -> Tensor:
        """Loss on the right choices, summed over the rows; scalar."""
        return choice_cross_entropy(logits, batch["labels"], batch["allowed"]).sum()

    def soft_loss(
        self, logits: Tensor, batch: dict[str, Tensor], data: TaskData, temperature: float
    ) -> Tensor:
        """Loss on what teachers said of the choices, summed over the rows; scalar."""
        return choice_kl(logits, batch["teacher"], batch["allowed"], temperature).sum()

    def texts(self, example: ChoiceExample) -> tuple[str, ...]:
        """All that a teacher reads of an example."""
        return (example.prompt, *example.choices)

    def teach(
        self,
        session: Session,
        tokenizer: Tokenizer,
        examples: Sequence[ChoiceExample],
        *,
        seq_len: int,
    ) -> list[FloatArray]:
        """A teacher's logits of each example, ``[n_choices]``."""
        found: list[FloatArray] = []
        for chunk in _chunks(examples):
            rows, _ = make_rows(tokenizer, [(e.prompt, e.choices) for e in chunk], seq_len)
            said = run_rows(session, rows, pad_id=tokenizer.pad_id, layout=tokenizer.layout)
            every = np.array([one.reshape(-1)[0] for one in said], np.float32)
            ends = np.cumsum([len(example.choices) for example in chunk])
            found += np.split(every, ends[:-1])
        return found

    def score(
        self,
        session: Session,
        tokenizer: Tokenizer,
        examples: Sequence[ChoiceExample],
        recipe: ChoiceRecipe,
        data: TaskData,
    ) -> dict[str, float]:
        """Scores through the chooser that ships; see `score_choices`."""
        options = ChoiceOptions(seq_len=recipe.seq_len, token_budget=recipe.batch_tokens)
        chooser = Chooser(tokenizer, session, options)
        return score_choices(examples, chooser.pick_many([(e.prompt, e.choices) for e in examples]))

    def baselines(self, recipe: ChoiceRecipe, data: TaskData) -> dict[str, dict[str, float]]:
        """A guess, the commonest position, and a linear model of the endings' words."""
        if not data.golds:
            return {}
        return baselines(data.train, data.dev, seed=recipe.seed)


def pack(examples: Sequence[ChoiceExample], tokenizer: Tokenizer, *, seq_len: int) -> ChoiceRows:
    """Examples as rows of token ids.

    Args:
        examples: with their labels.
        tokenizer: of the model to train.
        seq_len: longest row, prompt and choice together, in tokens; what is longer loses its end.

    Raises:
        DataError: an example has no label.
    """
    ids: list[npt.NDArray[np.int64]] = []
    second_at: list[int] = []
    cut: list[bool] = []
    for chunk in _chunks(examples):
        rows, truncated = make_rows(tokenizer, [(e.prompt, e.choices) for e in chunk], seq_len)
        ids += [row.ids for row in rows]
        second_at += [row.second_at for row in rows]
        cut += truncated
    choices = np.cumsum([0, *(len(example.choices) for example in examples)], dtype=np.int64)
    return ChoiceRows(
        **packed(ids, tokenizer),
        second_at=np.array(second_at, np.int32),
        choices=choices,
        labels=np.array([_label(example) for example in examples], np.int64),
        truncated=sum(any(cut[a:b]) for a, b in zip(choices[:-1], choices[1:], strict=True)),
    )


def _label(example: ChoiceExample) -> int:
    if example.label is None:
        raise DataError(f"row {example.id!r} has no label: add the number of the right choice")
    return example.label


def _chunks(examples: Sequence[ChoiceExample]) -> Iterator[Sequence[ChoiceExample]]:
    for at in range(0, len(examples), _CHUNK):
        yield examples[at : at + _CHUNK]
