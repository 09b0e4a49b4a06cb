"""Token classification for the training loop: words with tags → labelled tokens → loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from potstill.data.split import split_examples
from potstill.data.tagging import (
    OUTSIDE,
    Scheme,
    TagLayout,
    for_model,
    in_scheme_of,
    load_tags,
)
from potstill.errors import DataError
from potstill.evaluation.tagging import MostFrequentTag, score_tags
from potstill.losses.lm import IGNORE
from potstill.losses.tagging import token_cross_entropy, token_kl
from potstill.models.tagging import TaggingModel
from potstill.records import TagExample
from potstill.runtime.plans import TOKEN_BUDGET, run_plans
from potstill.runtime.session import Session
from potstill.runtime.tagging import Tagger, TagOptions
from potstill.runtime.tokenwise import best_slices, plan, rows_of, slices
from potstill.text.tokenizer import Encoded, IntArray, Tokenizer
from potstill.text.words import first_tokens, join_words, words_of
from potstill.training.labels.training import LabelTraining
from potstill.training.recipe.tagging import TaggingRecipe
from potstill.training.run.packed import PackedRows, packed
from potstill.training.run.task import FloatArray, TaskData, Taught

_CHUNK = 2000
"""Examples tokenized at once."""
_STRIDE = TagOptions(labels=()).stride
"""Long texts are cut for training as the reader cuts them."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TaggingRows(PackedRows):
    """Every training window with its labels.

    A word in several windows is labelled in one of them alone, that which a reader would read it
    from.

    Attributes:
        labels: of each token, int64 ``[n_tokens]``; -100 where it has none.
        words: which word of its example each token is the first of, int32 ``[n_tokens]``; -1 for
            tokens that are none, or are read from another window.
        example: which example each row is of, int64 ``[n_rows]``.
    """

    labels: npt.NDArray[np.int64]
    words: npt.NDArray[np.int32]
    example: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.example)

    @property
    def truncated(self) -> int:
        """Rows that lost their end: none, as long texts are cut into windows."""
        return 0

    @property
    def labelled_per_row(self) -> float:
        """Labelled tokens of a row, on average."""
        return float((self.labels != IGNORE).sum()) / max(1, len(self))

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Rows ``rows`` as padded tensors: the model's inputs and ``labels``.

        With them come ``taught``, true for the first token of each word, and ``share``: what the
        loss of a token counts for, so that rows count for one on average and tokens all alike.
        """
        lengths = self.lengths[list(rows)]
        shape = len(rows), int(lengths.max())
        ids = np.full(shape, self.pad_id, np.int64)
        labels = np.full(shape, IGNORE, np.int64)
        words = np.full(shape, -1, np.int32)
        for at, row in enumerate(rows):
            own = slice(self.bounds[row], self.bounds[row + 1])
            for padded, whole in ((ids, self.ids), (labels, self.labels), (words, self.words)):
                padded[at, : lengths[at]] = whole[own]
        arrays = {
            "input_ids": ids,
            "attention_mask": (np.arange(shape[1]) < lengths[:, None]).astype(np.int64),
            "token_type_ids": np.zeros(shape, np.int64),
            "labels": labels,
            "taught": words >= 0,
        }
        batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
        batch["share"] = torch.tensor(1.0 / max(1.0, self.labelled_per_row))
        return batch

    def targets(self, rows: list[int], said: Sequence[FloatArray]) -> Tensor:
        """Teachers' logits at the first token of each word, ``[n, seq, n_labels]``; 0 elsewhere."""
        longest = int(self.lengths[rows].max())
        found = np.zeros((len(rows), longest, said[0].shape[-1]), np.float32)
        for at, (row, logits) in enumerate(zip(rows, said, strict=True)):
            words = self.words[self.bounds[row] : self.bounds[row + 1]]
            first = np.flatnonzero(words >= 0)
            found[at, first] = logits[words[first]]
        return torch.from_numpy(found)


class TaggingTraining(LabelTraining):
    """The task: a tag for every word."""

    model_class = TaggingModel

    def load(self, recipe: TaggingRecipe, taught: Taught | None = None) -> TaskData:
        """Reads what is trained and scored on; the tags of the one are those of the model.

        A student of teachers has their tags, and their scheme: BIOES teachers teach BIOES.

        Raises:
            DataError: a file is wrong, or ``dev`` has a tag that ``train`` has not.
        """
        layout = layout_in(recipe)
        golds = taught is None or taught.golds or bool(recipe.split)
        data = load_tags(recipe.train, layout, labelled=golds)
        labels, scheme = data.labels, data.scheme
        if taught:
            labels = taught.labels
            data = for_model(data, labels, "the teacher")
            # What is not labelled is of the scheme that the teacher's tags look like.
            scheme = data.scheme if golds else _scheme_of(labels)
        train, dev = split_examples(data.examples, recipe.split, recipe.split_seed)
        if taught and scheme == "spans":
            train = [replace(e, tags=tuple(in_scheme_of(e.tags, labels))) for e in train]
        notes = [data.note]
        if recipe.dev and not recipe.split:
            scored = load_tags(recipe.dev, replace(layout, scheme=scheme))
            scored = for_model(scored, labels, recipe.train)
            dev = scored.examples
            notes.append(scored.note)
        return TaskData(
            train=train[: recipe.examples or None],
            dev=dev,
            golds=golds,
            labels=labels,
            notes=tuple(note for note in notes if note),
            facts={"scheme": scheme, "words": sum(len(example.words) for example in train)},
        )

    def rows(
        self,
        examples: Sequence[TagExample],
        tokenizer: Tokenizer,
        recipe: TaggingRecipe,
        data: TaskData,
    ) -> TaggingRows:
        """Examples as windows of tokens with their labels; see `make_rows`."""
        if not data.golds:  # never read: the loss is that of the teachers alone
            examples = [replace(e, tags=(data.labels[0],) * len(e.words)) for e in examples]
        return make_rows(
            examples, tokenizer, data.labels, seq_len=recipe.seq_len, pieces=recipe.pieces
        )

    def loss(self, logits: Tensor, batch: dict[str, Tensor], data: TaskData) -> Tensor:
        """Loss on the gold tags, summed over the rows; scalar."""
        return token_cross_entropy(logits, batch["labels"]).sum() * batch["share"]

    def soft_loss(
        self, logits: Tensor, batch: dict[str, Tensor], data: TaskData, temperature: float
    ) -> Tensor:
        """Loss on what teachers said of the first token of each word, summed; scalar."""
        losses = token_kl(logits, batch["teacher"], batch["taught"], temperature)
        return losses.sum() * batch["share"]

    def texts(self, example: TagExample) -> tuple[str, ...]:
        """All that a teacher reads of an example."""
        return example.words

    def teach(
        self,
        session: Session,
        tokenizer: Tokenizer,
        examples: Sequence[TagExample],
        *,
        seq_len: int,
    ) -> list[FloatArray]:
        """A teacher's logits of each word of each example, ``[n_words, n_labels]``.

        They are those of the word's first token; 0 for a word that has none.
        """
        found: list[FloatArray] = []
        for chunk in _chunks(examples):
            encoded, words = _tokenized(chunk, tokenizer)
            plans = [
                plan(tokenizer, text, own, seq_len=seq_len, stride=_STRIDE)
                for text, own in zip(encoded, words, strict=True)
            ]
            said = run_plans(
                session,
                plans,
                pad_id=tokenizer.pad_id,
                layout=tokenizer.layout,
                token_budget=TOKEN_BUDGET,
            )
            for example, own, logits in zip(chunk, words, said, strict=True):
                first = first_tokens(own, len(example.words))
                known = np.flatnonzero(first >= 0)
                of_words = np.zeros((len(first), logits.shape[-1]), np.float32)
                of_words[known] = logits[first[known]]
                found.append(of_words)
        return found

    def score(
        self,
        session: Session,
        tokenizer: Tokenizer,
        examples: Sequence[TagExample],
        recipe: TaggingRecipe,
        data: TaskData,
    ) -> dict[str, float]:
        """Scores through the tagger that ships; see `score_tags`."""
        options = TagOptions(
            labels=data.labels,
            seq_len=recipe.seq_len,
            stride=_STRIDE,
            token_budget=recipe.batch_tokens,
        )
        tagger = Tagger(tokenizer, session, options)
        found = tagger.tag_words_many([example.words for example in examples])
        return score_tags([example.tags for example in examples], found, _scheme(data))

    def baselines(self, recipe: TaggingRecipe, data: TaskData) -> dict[str, dict[str, float]]:
        """Every word's most frequent tag, scored on ``data.dev``."""
        if not data.golds:
            return {}
        usual = MostFrequentTag(data.train)
        found = [usual.tag_words(example.words) for example in data.dev]
        golds = [example.tags for example in data.dev]
        return {"the most frequent tag of each word": score_tags(golds, found, _scheme(data))}


def layout_in(recipe: TaggingRecipe) -> TagLayout:
    """Where words and tags stand in a recipe's files."""
    scheme = cast("Scheme | None", recipe.scheme or None)
    return TagLayout(word=recipe.word, tag=recipe.tag, labels=recipe.labels, scheme=scheme)


def make_rows(
    examples: Sequence[TagExample],
    tokenizer: Tokenizer,
    labels: Sequence[str],
    *,
    seq_len: int,
    pieces: str = "first",
) -> TaggingRows:
    """Splits examples into labelled windows.

    Args:
        examples: with their tags.
        tokenizer: of the model to train.
        labels: of the model, in order.
        seq_len: longest row, in tokens.
        pieces: ``first`` for a label on the first token of each word, ``all`` for one on every
            token; a token that is not its word's first then has ``I-`` where the tag has ``B-``.

    Raises:
        DataError: an example has a tag that is none of the labels, or no words that the tokenizer
            knows.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    within = {
        number: numbers.get("I" + label[1:], number)
        for label, number in numbers.items()
        if label == "B" or label.startswith("B-")
    }
    ids: list[npt.NDArray[np.int64]] = []
    golds: list[npt.NDArray[np.int64]] = []
    firsts: list[npt.NDArray[np.int32]] = []
    of: list[int] = []
    at = 0
    for chunk in _chunks(examples):
        for example, encoded, words in zip(chunk, *_tokenized(chunk, tokenizer), strict=True):
            tags = _numbers(example, numbers)
            first = first_tokens(words, len(tags))
            gold, begins = _labelled(tags, words, first, within if pieces == "all" else None)
            cuts = slices(len(encoded), seq_len=seq_len, stride=_STRIDE)
            chosen = best_slices(words, cuts)
            for number, row in enumerate(rows_of(tokenizer, encoded, cuts)):
                own = chosen[slice(*cuts[number])] == number
                ids.append(row.ids)
                golds.append(_between(np.where(own, gold[slice(*cuts[number])], IGNORE), IGNORE))
                firsts.append(_between(np.where(own, begins[slice(*cuts[number])], -1), -1))
                of.append(at)
            at += 1
    return TaggingRows(
        **packed(ids, tokenizer),
        labels=_joined(golds, np.int64),
        words=_joined(firsts, np.int32),
        example=np.array(of, np.int64),
    )


def _numbers(example: TagExample, numbers: Mapping[str, int]) -> IntArray:
    for word, tag in zip(example.words, example.tags, strict=True):
        if tag not in numbers:
            raise DataError(
                f"{example.id}: the tag {tag!r} of {word!r} is none of the labels "
                f"{', '.join(numbers)}: correct it"
            )
    return np.array([numbers[tag] for tag in example.tags], np.int32)


def _labelled(
    tags: IntArray, words: IntArray, first: IntArray, within: Mapping[int, int] | None
) -> tuple[npt.NDArray[np.int64], IntArray]:
    """The label of each token, and which word it is the first of (-1 for none)."""
    known = np.flatnonzero(first >= 0)
    begins = np.full(len(words), -1, np.int32)
    begins[first[known]] = known
    if within is None:
        gold = np.full(len(words), IGNORE, np.int64)
    else:
        gold = np.array([within.get(tag, tag) for tag in tags.tolist()], np.int64)[words]
    gold[first[known]] = tags[known]
    return gold, begins


def _between(values: npt.NDArray[Any], edge: int) -> npt.NDArray[Any]:
    """With ``edge`` for the special tokens before and behind."""
    return np.pad(values, 1, constant_values=edge)


def _joined(parts: Sequence[npt.NDArray[Any]], dtype: type[np.integer[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(parts).astype(dtype) if parts else np.empty(0, dtype)


def _chunks(examples: Sequence[TagExample]) -> Iterator[Sequence[TagExample]]:
    for at in range(0, len(examples), _CHUNK):
        yield examples[at : at + _CHUNK]


def _tokenized(
    examples: Sequence[TagExample], tokenizer: Tokenizer
) -> tuple[list[Encoded], list[IntArray]]:
    """The tokens of each example, and the word that each of them belongs to."""
    joined = [join_words(example.words) for example in examples]
    encoded = tokenizer.encode_batch([text for text, _ in joined])
    return encoded, [words_of(e, starts) for e, (_, starts) in zip(encoded, joined, strict=True)]


def _scheme(data: TaskData) -> Scheme:
    return data.facts.get("scheme", _scheme_of(data.labels))


def _scheme_of(labels: Sequence[str]) -> Scheme:
    return "spans" if OUTSIDE in labels else "plain"
