"""`Filler`: texts with masked places in, the tokens that fit there out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from potstill.bundle.config import ModelConfig
from potstill.bundle.manifest import Manifest
from potstill.errors import InputError, ModelError
from potstill.records import Fill
from potstill.runtime.client import Client, ClientOptions, check_items, check_text, names
from potstill.runtime.opening import Opening
from potstill.runtime.plans import Outputs, Plan, Row, check_finite
from potstill.runtime.session import Session
from potstill.text.tokenizer import Encoded, Tokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

_CONTINUES = "##"


@dataclass(frozen=True, slots=True, kw_only=True)
class FillOptions(ClientOptions):
    """How masks are filled in; see `Filler.from_options`."""

    seq_len: int = 512


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


class Filler(Client[FillOptions]):
    """Fills in masked words with one model. Safe to share between threads.

    Examples:
        >>> filler = Filler.from_options("google-bert/bert-base-uncased")
        >>> filler.fill("The capital of France is [MASK].")[0][0].token
        'paris'
    """

    head = "mlm"
    chunk = 8
    """Rows whose logits are held at once: those of one token are as many as the vocabulary has."""

    def __init__(
        self, tokenizer: Tokenizer, session: Session, options: FillOptions, *, workers: int = 1
    ) -> None:
        """Puts a filler together from its parts; most callers want `from_options`.

        Raises:
            ModelError: the tokenizer has no mask token.
        """
        super().__init__(tokenizer, session, options, workers=workers)
        if tokenizer.mask_id is None:
            raise ModelError("the tokenizer has no mask token, so its model cannot fill one in")
        self._mask_id = tokenizer.mask_id

    @classmethod
    def from_options(
        cls, model: str | Path, *, seq_len: int | None = None, **opening: Unpack[Opening]
    ) -> Filler:
        """Opens a model.

        Args:
            model: a model folder or a hub id.
            seq_len: longest row in tokens; by default the manifest's, or as many as the model has
                positions.
            **opening: what every client takes; see `Opening`.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelError: the model's files are damaged, or it is not a masked language model.
        """
        return cls._open(model, {"seq_len": seq_len}, opening)

    @classmethod
    def own_options(cls, config: ModelConfig, manifest: Manifest | None) -> FillOptions:
        # Positions that no training row reached are as random as they were at first.
        trained = manifest.seq_len if manifest else config.max_positions
        return FillOptions(seq_len=min(trained, config.max_positions))

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
        texts: Iterable[str],
        *,
        top_k: int = 5,
        targets: str | Sequence[str] | None = None,
        workers: int | None = None,
    ) -> list[list[list[Fill]]]:
        """`fill` for several texts; ``workers`` are threads that read different rows at once.

        Raises:
            EmptyInputError: a text is empty.
            InputError: a text has no masked place, or a target is no single token.
        """
        check_items(texts, "fill_many")
        ids = None if targets is None else self.target_ids(targets)
        listed = list(texts)
        prepared = map(self.prepare, listed, names("text", 0, len(listed)))
        return self.fill_masked(list(prepared), top_k=top_k, ids=ids, workers=workers)

    def prepare(self, text: str, name: str = "the text") -> Masked:
        """Tokenizes a text and finds its masked places; messages call it ``name``.

        Raises:
            EmptyInputError: the text is empty.
            InputError: it is not a string, or has no masked place.
        """
        check_text(text, name)
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
            if self.tokenizer.spaced and not target[:1].isspace():
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
        self,
        texts: Sequence[Masked],
        *,
        top_k: int = 5,
        ids: Sequence[int] | None = None,
        workers: int | None = None,
    ) -> list[list[list[Fill]]]:
        """`fill_many` for texts that have been tokenized.

        Args:
            texts: from `prepare`.
            top_k: most tokens for a place.
            ids: weigh only these tokens.
            workers: as for `fill_many`.

        Raises:
            InputError: ``top_k`` is below 1.
        """
        if top_k < 1:
            raise InputError(f"top_k must be at least 1, not {top_k}")
        allowed = np.arange(self.tokenizer.vocab_size) if ids is None else np.array(ids, np.intp)
        windows = [
            window for number, text in enumerate(texts) for window in self._cut(number, text)
        ]

        def plans(first: int, chunk: list[_Window]) -> list[Plan[list[list[Fill]]]]:
            return [self._plan(window, texts[window.text], allowed, top_k) for window in chunk]

        found: list[list[list[Fill]]] = [[] for _ in texts]
        filled = self.many("fill_masked", windows, plans, workers=workers)
        for window, fills in zip(windows, filled, strict=True):
            found[window.text] += fills
        return found

    def _plan(
        self, window: _Window, text: Masked, allowed: npt.NDArray[np.intp], top_k: int
    ) -> Plan[list[list[Fill]]]:
        def finish(said: Sequence[Outputs]) -> list[list[Fill]]:
            ((logits,),) = said
            check_finite(logits[window.at])
            return [
                [self._fill(text, place, *one) for one in _best(own, allowed, top_k)]
                for place, own in zip(window.places, logits[window.at], strict=True)
            ]

        return Plan([window.row], finish)

    def _cut(self, number: int, text: Masked) -> Iterator[_Window]:
        """The rows of a text: one, or where it is too long for one, one for each masked place."""
        room, n = self.options.seq_len - 2, len(text.encoded)
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
        if self.tokenizer.spaced:  # a token that starts a word brings the space before it
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
