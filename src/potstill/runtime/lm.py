"""`Filler`: texts with masked places in, the tokens that fit there out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from potstill.bundle.config import read_config
from potstill.bundle.layout import find_model
from potstill.bundle.manifest import read_manifest
from potstill.errors import EmptyInputError, InputError, ModelError
from potstill.records import Fill
from potstill.runtime.many import each
from potstill.runtime.opening import Opened, Workers, open_model
from potstill.runtime.session import Session
from potstill.runtime.texts import Row, run_rows
from potstill.text.tokenizer import Encoded, Tokenizer

_CONTINUES = "##"
_CHUNK = 8
"""Rows whose logits are held at once: those of one token are as many as the vocabulary has."""


@dataclass(frozen=True, slots=True, eq=False)
class Masked:
    """A text with masked places, tokenized."""

    text: str
    encoded: Encoded
    places: npt.NDArray[np.intp]
    """Which of its tokens are masks, ``[n]``, at least one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """A row of one text, and the masks that are read from it."""

    text: int
    row: Row
    at: npt.NDArray[np.intp]
    """Their positions in the row."""
    places: range
    """Their numbers among the masks of the text."""


class Filler:
    """Fills in masked words with one model. Safe to share between threads.

    Examples:
        >>> filler = Filler.from_options("google-bert/bert-base-uncased")
        >>> filler.fill("The capital of France is [MASK].")[0][0].token
        'paris'
    """

    def __init__(
        self, tokenizer: Tokenizer, session: Session, *, seq_len: int = 512, workers: int = 1
    ) -> None:
        """Puts a filler together from its parts; most callers want `from_options`.

        Args:
            tokenizer: of the model.
            session: gives ``logits``, ``[batch, seq, vocab]``.
            seq_len: longest row in tokens.
            workers: rows that run at the same time, of many texts.

        Raises:
            ModelError: the tokenizer has no mask token.
            InputError: no token fits into so short a row.
        """
        if tokenizer.mask_id is None:
            raise ModelError("the tokenizer has no mask token, so its model cannot fill one in")
        if seq_len < 3:
            raise InputError(f"seq_len must be at least 3, not {seq_len}")
        self.tokenizer = tokenizer
        self.session = session
        self.seq_len = seq_len
        self.workers = workers
        self.opened: Opened | None = None
        """How it was opened, by `from_options`."""
        self._mask_id = tokenizer.mask_id

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
    ) -> Filler:
        """Opens a model.

        Args:
            model: a model folder or a hub id.
            revision: branch, tag or commit of a hub id.
            precision: which of the folder's ONNX files to run; by default the one it has, and
                where it has none a float32 file is written into the cache on first use.
            onnx_file: run this file instead of the folder's own.
            threads: threads of one run; by default one for each core.
            runtime: what runs the model, one of `potstill.runtime.runtimes.RUNTIMES`; ``"auto"``
                for the quickest here, which is measured once and remembered; by default what
                ``POTSTILL_RUNTIME`` says, or onnxruntime.
            workers: runs at the same time, of calls that read many texts; ``"auto"`` for as many
                as read most, and then ``threads`` too are chosen where they are not given.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelError: the model's files are damaged, or it is no masked language model.
        """
        folder = find_model(model, revision=revision)
        manifest = read_manifest(folder)
        if manifest is not None and manifest.task != "masked-lm":
            raise ModelError(f"{folder} was trained for {manifest.task}, not to fill in words")
        seq_len = read_config(folder).max_positions
        if manifest is not None:  # positions that no training row reached are as random as at first
            seq_len = min(seq_len, manifest.seq_len)
        tokenizer = Tokenizer.from_folder(folder)
        opened = open_model(
            folder,
            tokenizer,
            manifest,
            head="mlm",
            longest=seq_len,
            precision=precision,
            onnx_file=onnx_file,
            runtime=runtime,
            threads=threads,
            workers=workers,
        )
        client = cls(tokenizer, opened.session, seq_len=seq_len, workers=opened.layout.workers)
        client.opened = opened
        return client

    @property
    def mask(self) -> str:
        """How a masked place is written: ``[MASK]``, or ``<mask>`` for RoBERTa."""
        return self.tokenizer.tokens([self._mask_id])[0]

    def fill(
        self, text: str, *, top_k: int = 5, targets: str | Sequence[str] | None = None
    ) -> list[list[Fill]]:
        """The likeliest tokens for each masked place of a text.

        Each place is judged with the others left masked. Where a text is longer than a row, each
        place is read with the tokens nearest to it.

        Args:
            text: with one `mask` or several.
            top_k: most tokens for a place.
            targets: weigh only these; their scores stay shares of the whole vocabulary.

        Returns:
            For each place, in order, its tokens, best first.

        Raises:
            EmptyInputError: the text is empty.
            InputError: it has no masked place, or a target is no single token.
        """
        return self.fill_many([text], top_k=top_k, targets=targets)[0]

    def fill_many(
        self,
        texts: Sequence[str],
        *,
        top_k: int = 5,
        targets: str | Sequence[str] | None = None,
    ) -> list[list[list[Fill]]]:
        """`fill` for several texts.

        Raises:
            EmptyInputError: a text is empty.
            InputError: a text has no masked place, or a target is no single token.
        """
        ids = None if targets is None else self.target_ids(targets)
        return self.fill_masked([self.prepare(text) for text in texts], top_k=top_k, ids=ids)

    def prepare(self, text: str) -> Masked:
        """Tokenizes a text and finds its masked places.

        Raises:
            EmptyInputError: the text is empty.
            InputError: it is no string, or has no masked place.
        """
        if not isinstance(text, str):
            raise InputError(f"a text must be a string, not {type(text).__name__}")
        if not text.strip():
            raise EmptyInputError("the text is empty; give some text")
        encoded = self.tokenizer.encode(text)
        places = np.flatnonzero(encoded.ids == self._mask_id)
        if not len(places):
            raise InputError(f"write {self.mask} where a word is missing: {text!r:.60} has none")
        return Masked(text, encoded, places)

    def target_ids(self, targets: str | Sequence[str]) -> list[int]:
        """The token of each target, each one once.

        Raises:
            InputError: there are none, or one is no single token of the vocabulary.
        """
        wanted = [targets] if isinstance(targets, str) else list(targets)
        if not wanted:
            raise InputError("targets is an empty list: name at least one word")
        found: dict[int, None] = {}
        for target in wanted:
            pieces = self.target_pieces(target)
            if self.tokenizer.byte_level and not target[:1].isspace():
                word = self.target_pieces(f" {target}")  # as a word within a text
                pieces = word if len(word) == 1 else pieces
            if len(pieces) != 1:
                raise InputError(
                    f"target {target!r} is {len(pieces)} tokens of this vocabulary; "
                    "a masked place takes one"
                )
            found[pieces[0]] = None
        return list(found)

    def target_pieces(self, target: str) -> list[int]:
        """The tokens a target consists of: itself where the vocabulary has it so spelt."""
        if not isinstance(target, str):
            raise InputError(f"a target must be a string, not {type(target).__name__}")
        known = self.tokenizer.token_id(target)
        return [known] if known is not None else self.tokenizer.encode(target).ids.tolist()

    def fill_masked(
        self, texts: Sequence[Masked], *, top_k: int = 5, ids: Sequence[int] | None = None
    ) -> list[list[list[Fill]]]:
        """`fill_many` for texts that have been tokenized.

        Args:
            texts: from `prepare`.
            top_k: most tokens for a place.
            ids: weigh only these tokens.

        Raises:
            InputError: ``top_k`` is below 1.
        """
        if top_k < 1:
            raise InputError(f"top_k must be at least 1, not {top_k}")
        allowed = np.arange(self.tokenizer.vocab_size) if ids is None else np.array(ids, np.intp)
        windows = [
            window for number, text in enumerate(texts) for window in self._cut(number, text)
        ]
        found: list[list[list[Fill]]] = [[] for _ in texts]

        def read(chunk: list[_Window]) -> list[list[list[Fill]]]:
            logits = run_rows(
                self.session,
                [window.row for window in chunk],
                pad_id=self.tokenizer.pad_id,
                layout=self.tokenizer.layout,
            )
            return [
                [
                    [
                        self._fill(texts[window.text], place, *one)
                        for one in _best(own, allowed, top_k)
                    ]
                    for place, own in zip(window.places, row_logits[window.at], strict=True)
                ]
                for window, row_logits in zip(chunk, logits, strict=True)
            ]

        def prepared(first: int, chunk: list[_Window]) -> list[_Window]:
            return chunk

        filled = each(prepared, read, windows, workers=self.workers, chunk=_CHUNK)
        for window, fills in zip(windows, filled, strict=True):
            found[window.text] += fills
        return found

    def _cut(self, number: int, text: Masked) -> Iterator[_Window]:
        """The rows of a text: one, or where it is too long for one, one for each masked place."""
        room, n = self.seq_len - 2, len(text.encoded)
        if n <= room:
            yield self._window(number, text, 0, n, range(len(text.places)))
            return
        for place, at in enumerate(text.places):
            start = int(np.clip(at - room // 2, 0, n - room))
            yield self._window(number, text, start, start + room, range(place, place + 1))

    def _window(self, number: int, text: Masked, start: int, stop: int, places: range) -> _Window:
        tokenizer = self.tokenizer
        inner = text.encoded.ids[start:stop]
        ids = np.concatenate([[tokenizer.cls_id], inner, [tokenizer.sep_id]]).astype(np.int64)
        at = text.places[places.start : places.stop] - start + 1
        return _Window(number, Row(ids, len(ids)), at, places)

    def _fill(self, text: Masked, place: int, token_id: int, score: float) -> Fill:
        at = int(text.places[place])
        start, end = (int(bound) for bound in text.encoded.offsets[at])
        spelling = self.tokenizer.tokens([token_id])[0]
        if self.tokenizer.byte_level:  # a token that starts a word brings the space before it
            before = text.text[: int(text.encoded.offsets[at - 1, 1]) if at else 0]
            token = inside = self.tokenizer.decode([token_id])
            if not before or before[-1].isspace():
                inside = inside.lstrip()
        elif spelling.startswith(_CONTINUES):  # the rest of the word before it
            before, token = text.text[:start].rstrip(), spelling
            inside = spelling[len(_CONTINUES) :]
        else:
            before, token = text.text[:start], spelling
            inside = spelling
        return Fill(token, token_id, score, before + inside + text.text[end:])


def _best(
    logits: npt.NDArray[np.float32], allowed: npt.NDArray[np.intp], top_k: int
) -> list[tuple[int, float]]:
    """The likeliest of the allowed tokens and their probabilities, best first."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    allowed = allowed[allowed < len(powers)]
    scores = powers[allowed] / powers.sum()
    if top_k < len(scores):
        top = np.sort(np.argpartition(-scores, top_k - 1)[:top_k])
    else:
        top = np.arange(len(scores))
    top = top[np.argsort(-scores[top], kind="stable")]
    return [(int(allowed[i]), float(scores[i])) for i in top]
