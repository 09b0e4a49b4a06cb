"""`Chooser`: a text and several ways to go on in, how probable each is out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from potstill.bundle.config import read_config
from potstill.bundle.layout import find_model
from potstill.bundle.manifest import Manifest, head_of_folder, read_manifest
from potstill.errors import EmptyInputError, InputError, ModelError
from potstill.records import ChoiceScore
from potstill.runtime.many import each
from potstill.runtime.opening import Opened, Workers, open_model
from potstill.runtime.plans import TOKEN_BUDGET
from potstill.runtime.session import Session
from potstill.runtime.texts import Row, join, run_rows
from potstill.runtime.tokenwise import softmax
from potstill.text.tokenizer import Tokenizer

Asked: TypeAlias = "tuple[str, Sequence[str]]"
"""A prompt and its choices."""

_CHUNK = 256
"""Prompts that are tokenized, sorted by length and run together."""
_SHORTEST = 8
"""Tokens of the shortest row: special ones, and a few of prompt and choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceOptions:
    """How choices are read; see `Chooser.from_options`."""

    seq_len: int = 384
    token_budget: int = TOKEN_BUDGET
    """Most tokens of a batch, padding included; 0 runs every row alone."""


class Chooser:
    """Says which of several texts goes on with another. Safe to share between threads.

    Examples:
        >>> chooser = Chooser.from_options("runs/codah-minilm")
        >>> chooser.choose("I feel sickly. I think I will", ["dance.", "rest."])[0].text
        'rest.'
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        session: Session,
        options: ChoiceOptions | None = None,
        *,
        workers: int = 1,
    ) -> None:
        """Puts a chooser together from its parts; most callers want `from_options`."""
        self.tokenizer = tokenizer
        self.session = session
        self.workers = workers
        self.opened: Opened | None = None
        """How it was opened, by `from_options`."""
        self.options = _checked(options or ChoiceOptions())

    @classmethod
    def from_options(
        cls,
        model: str | Path,
        *,
        revision: str | None = None,
        precision: Literal["fp32", "fp16", "int8"] | None = None,
        onnx_file: str | Path | None = None,
        threads: int | None = None,
        runtime: str | None = None,
        workers: Workers = None,
        seq_len: int | None = None,
        token_budget: int | None = None,
    ) -> Chooser:
        """Opens a model.

        Args:
            model: a model folder or a hub id.
            revision: branch, tag or commit of a hub id.
            precision: which of the folder's ONNX files to run; by default the one it has, and
                where it has none a float32 file is written into the cache on first use.
            onnx_file: run this file instead of the folder's own.
            threads: threads of one prompt; by default one for each core.
            runtime: what runs the model, one of `potstill.runtime.runtimes.RUNTIMES`; ``"auto"``
                for the quickest here, which is measured once and remembered; by default what
                ``POTSTILL_RUNTIME`` says, or onnxruntime.
            workers: runs at the same time, of calls that read many texts; ``"auto"`` for as many
                as read most, and then ``threads`` too are chosen where they are not given.
            seq_len: longest row in tokens, prompt and choice together; by default the manifest's,
                or 384, but never more than the model has positions.
            token_budget: most tokens of one batch of rows, padding included.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelError: the model's files are damaged, or it is no model that chooses.
            InputError: an option is out of range.
        """
        folder = find_model(model, revision=revision)
        config = read_config(folder)
        manifest = read_manifest(folder) or Manifest()
        if head_of_folder(folder, config) != "choice":
            raise ModelError(
                f"{folder} is no model for multiple choice: fine-tune one with a recipe of that "
                "task"
            )
        if seq_len is not None and seq_len > config.max_positions:
            raise InputError(
                f"seq_len {seq_len} is more than the {config.max_positions} positions of {folder}"
            )
        options = _checked(
            ChoiceOptions(
                seq_len=min(manifest.seq_len, config.max_positions) if seq_len is None else seq_len,
                token_budget=TOKEN_BUDGET if token_budget is None else token_budget,
            )
        )
        tokenizer = Tokenizer.from_folder(folder)
        opened = open_model(
            folder,
            tokenizer,
            manifest,
            head="choice",
            longest=options.seq_len,
            precision=precision,
            onnx_file=onnx_file,
            runtime=runtime,
            threads=threads,
            workers=workers,
        )
        options = replace(options, token_budget=opened.token_budget(token_budget))
        client = cls(tokenizer, opened.session, options, workers=opened.layout.workers)
        client.opened = opened
        return client

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

    def choose_many(self, asked: Sequence[Asked]) -> list[list[ChoiceScore]]:
        """As `choose`, of many prompts with their choices: rows of similar length run together."""
        for number, (prompt, choices) in enumerate(asked):
            _check(prompt, choices, "" if len(asked) == 1 else f" of prompt {number}")
        return [
            sorted(scores, key=lambda score: (-score.score, score.index))
            for scores in self.score_many(asked)
        ]

    def pick_many(self, asked: Sequence[Asked]) -> list[int]:
        """The number of the best choice of each prompt; blank choices compete too.

        Raises:
            ModelError: the model gives logits that are no numbers.
        """
        return [
            max(scores, key=lambda score: (score.score, -score.index)).index
            for scores in self.score_many(asked)
        ]

    def score_many(self, asked: Sequence[Asked]) -> list[list[ChoiceScore]]:
        """Every choice with its probability, in the order given; blank ones are scored too.

        Raises:
            ModelError: the model gives logits that are no numbers.
        """

        def prepare(first: int, chunk: list[Asked]) -> _Rows:
            return _Rows(chunk, *make_rows(self.tokenizer, chunk, self.options.seq_len))

        return list(each(prepare, self._score_chunk, asked, workers=self.workers, chunk=_CHUNK))

    def _score_chunk(self, rows: _Rows) -> list[list[ChoiceScore]]:
        said = run_rows(
            self.session,
            rows.rows,
            pad_id=self.tokenizer.pad_id,
            layout=self.tokenizer.layout,
            token_budget=self.options.token_budget,
        )
        logits = np.array([float(one.reshape(-1)[0]) for one in said])
        if not np.isfinite(logits).all():
            raise ModelError("the model gives logits that are no finite numbers: it is damaged")
        found: list[list[ChoiceScore]] = []
        at = 0
        for _, choices in rows.asked:
            own = slice(at, at + len(choices))
            scores = softmax(logits[own]).tolist()
            cut = rows.truncated[own]
            found.append(
                [
                    ChoiceScore(i, *facts)
                    for i, facts in enumerate(zip(choices, scores, cut, strict=True))
                ]
            )
            at = own.stop
        return found


@dataclass(frozen=True, slots=True)
class _Rows:
    """Prompts with their choices, tokenized: a row for every choice, one behind the other."""

    asked: Sequence[Asked]
    rows: Sequence[Row]
    truncated: Sequence[bool]


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


def _check(prompt: str, choices: Sequence[str], where: str) -> None:
    if not isinstance(prompt, str):
        raise InputError(f"the prompt is a {type(prompt).__name__}, not a string")
    if isinstance(choices, str):
        raise InputError(f"the choices{where} are a string: give a list of them")
    if not prompt.strip():
        raise EmptyInputError(f"the text{where} is empty: give a prompt to choose for")
    if len(choices) < 2:
        raise InputError(f"there are {len(choices)} choices{where}: give at least two")
    for number, choice in enumerate(choices):
        if not isinstance(choice, str):
            raise InputError(f"choice {number}{where} is a {type(choice).__name__}, not a string")
        if not choice.strip():
            raise EmptyInputError(f"choice {number}{where} is empty: give it a text, or drop it")


def _checked(options: ChoiceOptions) -> ChoiceOptions:
    if options.seq_len < _SHORTEST:
        raise InputError(f"seq_len must be at least {_SHORTEST}, not {options.seq_len}")
    if options.token_budget < 0:
        raise InputError(f"token_budget must not be negative, not {options.token_budget}")
    return options
