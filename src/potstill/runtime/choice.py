"""`Chooser`: a text and several ways to go on in, how probable each is out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from potstill.bundle.config import ModelConfig
from potstill.bundle.manifest import Manifest
from potstill.errors import InputError
from potstill.records import ChoiceScore
from potstill.runtime.client import SHORTEST_PAIR, Client, ClientOptions, check_text, names
from potstill.runtime.opening import Opening
from potstill.runtime.plans import Outputs, Plan, Row, check_finite
from potstill.runtime.texts import join
from potstill.runtime.tokenwise import softmax
from potstill.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

Asked: TypeAlias = "tuple[str, Sequence[str]]"
"""A prompt and its choices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceOptions(ClientOptions):
    """How choices are read; see `Chooser.from_options`."""

    least: ClassVar[Mapping[str, int]] = {"seq_len": SHORTEST_PAIR, "token_budget": 1}


class Chooser(Client[ChoiceOptions]):
    """Says which of several texts goes on with another. Safe to share between threads.

    Examples:
        >>> chooser = Chooser.from_options("runs/codah-minilm")
        >>> chooser.choose("I feel sickly. I think I will", ["dance.", "rest."])[0].text
        'rest.'
    """

    head = "choice"
    chunk = 256

    @classmethod
    def from_options(
        cls, model: str | Path, *, seq_len: int | None = None, **opening: Unpack[Opening]
    ) -> Chooser:
        """Opens a model.

        Args:
            model: a model folder or a hub id.
            seq_len: longest row in tokens, prompt and choice together; by default the manifest's,
                or 384, but never more than the model has positions.
            **opening: what every client takes; see `Opening`.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelError: the model's files are damaged, or it is not a model that chooses.
            InputError: an option is out of range.
        """
        return cls._open(model, {"seq_len": seq_len}, opening)

    @classmethod
    def own_options(cls, config: ModelConfig, manifest: Manifest | None) -> ChoiceOptions:
        manifest = manifest or Manifest()
        return ChoiceOptions(seq_len=min(manifest.seq_len, config.max_positions))

    def choose(self, prompt: str, choices: Sequence[str]) -> list[ChoiceScore]:
        """Every choice with its probability among them, the best first.

        Where prompt and choice are longer together than the model reads, the end of the longer is
        left out and ``truncated`` says so.

        Args:
            prompt: what comes before.
            choices: at least two ways to go on.

        Raises:
            EmptyInputError: the prompt or a choice is blank.
            InputError: there are fewer than two choices.
            ModelError: the model gives logits that are no numbers.
        """
        return self.choose_many([(prompt, choices)])[0]

    def choose_many(
        self, asked: Iterable[Asked], *, workers: int | None = None
    ) -> list[list[ChoiceScore]]:
        """As `choose`, of many prompts with their choices: rows of similar length run together.

        ``workers`` are threads that read different prompts at the same time; by default as the
        chooser was opened.
        """
        return list(self._many("choose_many", asked, workers, _check, _best_first))

    def pick_many(self, asked: Iterable[Asked], *, workers: int | None = None) -> list[int]:
        """The number of the best choice of each prompt; blank choices compete too.

        Raises:
            ModelError: the model gives logits that are no numbers.
        """
        return [best(scores) for scores in self.score_many(asked, workers=workers)]

    def score_many(
        self, asked: Iterable[Asked], *, workers: int | None = None
    ) -> list[list[ChoiceScore]]:
        """Every choice with its probability, in the order given; blank ones are scored too.

        Raises:
            ModelError: the model gives logits that are no numbers.
        """
        return list(self._many("score_many", asked, workers))

    def _many(
        self,
        call: str,
        asked: Iterable[Asked],
        workers: int | None,
        check: Callable[[Asked, str], None] | None = None,
        finish: Callable[[list[list[ChoiceScore]]], list[list[ChoiceScore]]] | None = None,
    ) -> Iterable[list[ChoiceScore]]:
        def plans(first: int, chunk: list[Asked]) -> list[Plan[list[ChoiceScore]]]:
            for name, one in zip(names("prompt", first, len(chunk)), chunk, strict=True):
                if check is not None:
                    check(one, name)
            rows, truncated = make_rows(self.tokenizer, chunk, self.options.seq_len)
            found: list[Plan[list[ChoiceScore]]] = []
            at = 0
            for _, choices in chunk:
                own = slice(at, at + len(choices))
                found.append(Plan(rows[own], _scored(choices, truncated[own])))
                at = own.stop
            return found

        return self.many(call, asked, plans, workers=workers, finish=finish)


def _scored(
    choices: Sequence[str], truncated: Sequence[bool]
) -> Callable[[Sequence[Outputs]], list[ChoiceScore]]:
    """Makes scores of the logit of each choice's row."""

    def scored(said: Sequence[Outputs]) -> list[ChoiceScore]:
        logits = np.array([float(one.reshape(-1)[0]) for (one,) in said], np.float32)
        check_finite(logits)
        facts = zip(choices, softmax(logits).tolist(), truncated, strict=True)
        return [ChoiceScore(i, *own) for i, own in enumerate(facts)]

    return scored


def _best_first(found: list[list[ChoiceScore]]) -> list[list[ChoiceScore]]:
    return [sorted(scores, key=lambda score: (-score.score, score.index)) for scores in found]


def best(scores: Sequence[ChoiceScore]) -> int:
    """The number of the most probable choice, of equal ones the first."""
    return max(scores, key=lambda score: (score.score, -score.index)).index


def make_rows(
    tokenizer: Tokenizer, asked: Sequence[Asked], seq_len: int
) -> tuple[list[Row], list[bool]]:
    """A row for every choice of every prompt, one behind the other, and which were truncated."""
    prompts = tokenizer.encode_batch([prompt for prompt, _ in asked])
    endings = iter(tokenizer.encode_batch([choice for _, own in asked for choice in own]))
    pairs = [
        join(tokenizer, prompt, next(endings), seq_len=seq_len)
        for prompt, (_, choices) in zip(prompts, asked, strict=True)
        for _ in choices
    ]
    return [row for row, _ in pairs], [cut for _, cut in pairs]


def _check(asked: Any, name: str) -> None:
    if not isinstance(asked, (tuple, list)) or len(asked) != 2:
        raise InputError(f"{name} is a {type(asked).__name__}: give a prompt and its choices")
    prompt, choices = asked
    check_text(prompt, name)
    if isinstance(choices, str) or not isinstance(choices, Sequence):
        raise InputError(
            f"the choices of {name} are a {type(choices).__name__}: give a list of strings"
        )
    if len(choices) < 2:
        raise InputError(f"there are {len(choices)} choices for {name}: give at least two")
    for number, choice in enumerate(choices):
        check_text(choice, f"choice {number} of {name}")
