"""`Tagger`: texts in, labelled spans out; or words in, a tag for each out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from potstill.bundle.config import read_config
from potstill.bundle.layout import find_model
from potstill.bundle.manifest import Manifest, head_of_folder, read_manifest
from potstill.data.tagging import OUTSIDE
from potstill.errors import EmptyInputError, InputError, ModelError
from potstill.records import Entity
from potstill.runtime.entities import AGGREGATIONS, Aggregation, entities
from potstill.runtime.many import each
from potstill.runtime.opening import Opened, Workers, open_model
from potstill.runtime.plans import TOKEN_BUDGET, Outputs, Plan, run_plans
from potstill.runtime.session import Logits, Session
from potstill.runtime.tokenwise import plan, softmax, token_logits
from potstill.text.tokenizer import Encoded, IntArray, Tokenizer
from potstill.text.words import first_tokens, join_words, words_of

_CHUNK = 256
"""Texts that are tokenized, sorted by length and run together."""
_SHORTEST = 3
"""Tokens of the shortest row: one, between the two special ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagOptions:
    """How texts are tagged; see `Tagger.from_options`."""

    seq_len: int = 384
    stride: int = 128
    aggregation: Aggregation = "first"
    token_budget: int = TOKEN_BUDGET
    """Most tokens of a batch, padding included; 0 runs every window alone."""


@dataclass(frozen=True, slots=True)
class _Words:
    """Texts that were cut into words already, tokenized."""

    sentences: Sequence[Sequence[str]]
    encoded: Sequence[Encoded]
    words: Sequence[IntArray]
    """Of each token of each text: which word it belongs to."""


class Tagger:
    """Finds labelled spans in texts with one model. Safe to share between threads.

    Examples:
        >>> tagger = Tagger.from_options("runs/wnut-minilm")
        >>> tagger.tag("Empire State Building = ESB.")[0].text
        'Empire State Building'
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        session: Session,
        labels: Sequence[str],
        options: TagOptions | None = None,
        *,
        workers: int = 1,
    ) -> None:
        """Puts a tagger together from its parts; most callers want `from_options`."""
        self.tokenizer = tokenizer
        self.session = session
        self.workers = workers
        self.opened: Opened | None = None
        """How it was opened, by `from_options`."""
        self.labels = tuple(labels)
        self.options = _checked(options or TagOptions())

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
        stride: int | None = None,
        aggregation: Aggregation | None = None,
        token_budget: int | None = None,
    ) -> Tagger:
        """Opens a model.

        Args:
            model: a model folder or a hub id.
            revision: branch, tag or commit of a hub id.
            precision: which of the folder's ONNX files to run; by default the one it has, and
                where it has none a float32 file is written into the cache on first use.
            onnx_file: run this file instead of the folder's own.
            threads: threads of one text; by default one for each core.
            runtime: what runs the model, one of `potstill.runtime.runtimes.RUNTIMES`; ``"auto"``
                for the quickest here, which is measured once and remembered; by default what
                ``POTSTILL_RUNTIME`` says, or onnxruntime.
            workers: runs at the same time, of calls that read many texts; ``"auto"`` for as many
                as read most, and then ``threads`` too are chosen where they are not given.
            seq_len: longest window in tokens; by default the manifest's, or 384, but never more
                than the model has positions.
            stride: tokens that consecutive windows of a long text share; by default the
                manifest's, or 128.
            aggregation: how tokens become entities, ``first`` by default; see
                `potstill.runtime.entities.Aggregation`.
            token_budget: most tokens of one batch of windows, padding included.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelError: the model's files are damaged, or it is no model that tags.
            InputError: an option is out of range.
        """
        folder = find_model(model, revision=revision)
        config = read_config(folder)
        manifest = read_manifest(folder) or Manifest()
        head = head_of_folder(folder, config)
        if head != "tagging":
            raise ModelError(
                f"{folder} is no model for token classification: fine-tune one with a recipe of "
                "that task"
            )
        if seq_len is not None and seq_len > config.max_positions:
            raise InputError(
                f"seq_len {seq_len} is more than the {config.max_positions} positions of {folder}"
            )
        options = _checked(
            TagOptions(
                seq_len=min(manifest.seq_len, config.max_positions) if seq_len is None else seq_len,
                stride=manifest.stride if stride is None else stride,
                aggregation=aggregation or "first",
                token_budget=TOKEN_BUDGET if token_budget is None else token_budget,
            )
        )
        labels = config.labels or tuple(f"LABEL_{i}" for i in range(config.n_labels))
        tokenizer = Tokenizer.from_folder(folder)
        opened = open_model(
            folder,
            tokenizer,
            manifest,
            head="tagging",
            longest=options.seq_len,
            precision=precision,
            onnx_file=onnx_file,
            runtime=runtime,
            threads=threads,
            workers=workers,
        )
        options = replace(options, token_budget=opened.token_budget(token_budget))
        client = cls(tokenizer, opened.session, labels, options, workers=opened.layout.workers)
        client.opened = opened
        return client

    def tag(
        self,
        text: str,
        *,
        aggregation: Aggregation | None = None,
        ignore: Collection[str] = (OUTSIDE,),
    ) -> list[Entity]:
        """The labelled spans of a text of any length, in order; ``text[start:end]`` is each.

        Args:
            text: to be read.
            aggregation: how tokens become entities; by default as the tagger was opened.
            ignore: tags and types to leave out.

        Raises:
            EmptyInputError: the text is blank.
            InputError: there is no such aggregation.
            ModelError: the model gives logits that are no numbers.
        """
        return self.tag_many([text], aggregation=aggregation, ignore=ignore)[0]

    def tag_many(
        self,
        texts: Sequence[str],
        *,
        aggregation: Aggregation | None = None,
        ignore: Collection[str] = (OUTSIDE,),
        workers: int | None = None,
    ) -> list[list[Entity]]:
        """As `tag`, of many texts: windows of similar length run together.

        ``workers`` are threads that read different texts at the same time; by default as the
        tagger was opened.
        """
        if isinstance(texts, str):
            raise InputError("tag_many takes a list of texts: give one alone to tag")
        strategy = _known(aggregation or self.options.aggregation)
        for number, text in enumerate(texts):
            _check_text(text, "the text" if len(texts) == 1 else f"text {number}")

        def prepare(first: int, chunk: list[str]) -> list[Plan[list[Entity]]]:
            return [
                self._plan(text, tokens, strategy, ignore)
                for text, tokens in zip(chunk, self.tokenizer.encode_batch(chunk), strict=True)
            ]

        def run(plans: list[Plan[list[Entity]]]) -> list[list[Entity]]:
            return run_plans(
                self.session,
                plans,
                pad_id=self.tokenizer.pad_id,
                layout=self.tokenizer.layout,
                token_budget=self.options.token_budget,
            )

        workers = self.workers if workers is None else workers
        return list(
            each(
                prepare,
                run,
                texts,
                workers=workers,
                chunk=_CHUNK,
            )
        )

    def plan(
        self,
        text: str,
        *,
        aggregation: Aggregation | None = None,
        ignore: Collection[str] = (OUTSIDE,),
    ) -> Plan[list[Entity]]:
        """What has to be run for `tag`, which takes the same arguments and raises the same."""
        strategy = _known(aggregation or self.options.aggregation)
        _check_text(text, "the text")
        return self._plan(text, self.tokenizer.encode(text), strategy, ignore)

    def _plan(
        self, text: str, encoded: Encoded, strategy: Aggregation, ignore: Collection[str]
    ) -> Plan[list[Entity]]:
        options = self.options
        tokens = plan(
            self.tokenizer, encoded, encoded.words, seq_len=options.seq_len, stride=options.stride
        )

        def finish(said: Sequence[Outputs]) -> list[Entity]:
            scores = self._probabilities(tokens.finish(said))
            return entities(text, encoded, scores, self.labels, strategy, ignore)

        return Plan(tokens.rows, finish)

    def tag_words(self, words: Sequence[str]) -> list[str]:
        """A tag for every word of a text that is cut into words already.

        The tag of a word is that of its first token. A word that leaves the tokenizer no token (a
        control character) gets ``O``, or the first label where the model has no ``O``.

        Raises:
            EmptyInputError: there are no words, or one is blank.
            ModelError: the model gives logits that are no numbers.
        """
        return self.tag_words_many([words])[0]

    def tag_words_many(
        self, sentences: Sequence[Sequence[str]], *, workers: int | None = None
    ) -> list[list[str]]:
        """As `tag_words`, of many texts; ``workers`` as for `tag_many`."""
        for number, words in enumerate(sentences):
            name = "the list of words" if len(sentences) == 1 else f"sentence {number}"
            _check_words(words, name)

        def prepare(first: int, chunk: list[Sequence[str]]) -> _Words:
            joined = [join_words(words) for words in chunk]
            encoded = self.tokenizer.encode_batch([text for text, _ in joined])
            words = [words_of(e, starts) for e, (_, starts) in zip(encoded, joined, strict=True)]
            return _Words(chunk, encoded, words)

        workers = self.workers if workers is None else workers
        chunks = each(
            prepare,
            self._tag_chunk,
            sentences,
            workers=workers,
            chunk=_CHUNK,
        )
        return list(chunks)

    def _tag_chunk(self, asked: _Words) -> list[list[str]]:
        said = token_logits(self.session, self.tokenizer, asked.encoded, asked.words, **self._cut())
        otherwise = OUTSIDE if OUTSIDE in self.labels else self.labels[0]
        found: list[list[str]] = []
        for own, logits, sentence in zip(asked.words, said, asked.sentences, strict=True):
            best = self._probabilities(logits).argmax(-1)
            first = first_tokens(own, len(sentence)).tolist()
            found.append([self.labels[best[i]] if i >= 0 else otherwise for i in first])
        return found

    def _cut(self) -> dict[str, int]:
        options = self.options
        return {
            "seq_len": options.seq_len,
            "stride": options.stride,
            "token_budget": options.token_budget,
        }

    def _probabilities(self, logits: Logits) -> npt.NDArray[np.float64]:
        if logits.shape[-1] != len(self.labels):
            raise ModelError(
                f"the model gives {logits.shape[-1]} scores a token and names {len(self.labels)} "
                "labels: its files do not belong together"
            )
        return softmax(logits)


def _check_text(text: str, name: str) -> None:
    if not isinstance(text, str):
        raise InputError(f"{name} is a {type(text).__name__}, not a string")
    if not text.strip():
        raise EmptyInputError(f"{name} is empty: give one with words to tag")


def _check_words(words: Sequence[str], name: str) -> None:
    if isinstance(words, str):
        raise InputError(f"{name} is a string, not a list of words: give a text to tag")
    if not words:
        raise EmptyInputError(f"{name} is empty: give words to tag")
    for word in words:
        if not isinstance(word, str):
            raise InputError(f"{name} holds {word!r}, not a string")
        if not word.strip():
            raise EmptyInputError(f"{name} holds an empty word: drop it")


def _known(aggregation: str) -> Aggregation:
    if aggregation not in AGGREGATIONS:
        raise InputError(f"aggregation {aggregation!r} is none of {', '.join(AGGREGATIONS)}")
    return aggregation  # type: ignore[return-value]


def _checked(options: TagOptions) -> TagOptions:
    if options.seq_len < _SHORTEST:
        raise InputError(f"seq_len must be at least {_SHORTEST}, not {options.seq_len}")
    for name in ("stride", "token_budget"):
        if getattr(options, name) < 0:
            raise InputError(f"{name} must not be negative, not {getattr(options, name)}")
    _known(options.aggregation)
    return options
