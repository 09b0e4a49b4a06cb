"""Strings → token ids with offsets into the caller's own string.

The work is done by the ``tokenizers`` library; this file decides how a model folder is opened and
guarantees that nothing about the shared tokenizer changes after that (no truncation, no padding),
so that any number of threads may call it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import decoders, models, processors

from potstill.errors import TokenizerError
from potstill.text.families import token_text
from potstill.text.opening import open_folder
from potstill.text.surrogates import without_surrogates

IntArray = npt.NDArray[np.int32]

_CHUNK = 100_000
"""Code points of a long text given to the tokenizer at once: its memory grows with the piece."""

_SPECIAL = {
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "pad": ("[PAD]", "<pad>"),
    "mask": ("[MASK]", "<mask>"),
}
_CONTINUES = "##"


@dataclass(frozen=True, slots=True)
class PairLayout:
    """How a question and a slice of its context stand in one row."""

    n_between: int
    """Separators between the two."""
    token_types: bool
    """Whether the context is of token type 1; otherwise all of the row is of type 0."""

    @property
    def n_special(self) -> int:
        """Tokens of a row that are neither question nor context."""
        return self.n_between + 2


BERT_PAIR = PairLayout(n_between=1, token_types=True)
"""``[CLS] question [SEP] context [SEP]``."""
ROBERTA_PAIR = PairLayout(n_between=2, token_types=False)
"""``<s> question </s></s> context </s>``."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Tokens of one text, without special tokens.

    Attributes:
        ids: token ids, int32 ``[n]``.
        offsets: half-open code-point range of each token in the caller's string, int32 ``[n, 2]``.
        words: index of the word (as the tokenizer splits words) each token belongs to,
            int32 ``[n]``.
    """

    ids: IntArray
    offsets: IntArray
    words: IntArray

    def __len__(self) -> int:
        return len(self.ids)


class Tokenizer:
    """A model's tokenizer, opened from its folder. Safe to share between threads."""

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        special: dict[str, str],
        *,
        token_types: bool = True,
    ) -> None:
        """Takes ``backend`` over: truncation and padding are switched off here, once.

        Args:
            backend: a tokenizer of the ``tokenizers`` library.
            special: the texts of the ``cls``, ``sep`` and ``pad`` tokens, of ``mask`` where there
                is one, and of ``unk`` where the vocabulary is Unigram's.
            token_types: ``False`` where rows are of type 0 throughout, though the layout has two.

        Raises:
            TokenizerError: a special token other than ``mask`` is not in the vocabulary, or word
                pieces have nothing for a word that they cannot spell.
        """
        backend.no_truncation()
        backend.no_padding()
        self._backend = backend
        self.vocab_size: int = backend.get_vocab_size()
        self.cls_id = _special_id(backend, "cls", special["cls"])
        self.sep_id = _special_id(backend, "sep", special["sep"])
        self.pad_id = _special_id(backend, "pad", special["pad"])
        self.mask_id: int | None = backend.token_to_id(special.get("mask", ""))
        """``None`` where the vocabulary has none: such a model cannot learn to fill in words."""
        unknown: str | None = getattr(backend.model, "unk_token", None)
        if isinstance(backend.model, models.Unigram):  # which does not tell
            unknown = special.get("unk", "<unk>")
        self.unk_id: int | None = None if unknown is None else backend.token_to_id(unknown)
        """What stands for a word the vocabulary cannot spell; ``None`` where it spells any."""
        # It would be asked for at the first such word, and not among the added tokens.
        if isinstance(backend.model, models.WordPiece):
            _special_id(backend.model, "unk", backend.model.unk_token)
        self.layout: PairLayout = self._find_layout()
        """How the model was trained to see a pair of texts."""
        if self.layout.token_types and not token_types:
            self.layout = replace(self.layout, token_types=False)
        self.processor: Any = self._backend.post_processor
        """What puts special tokens around texts, as the files have it."""
        self._trims = _leaves_blanks(self._backend)
        if self._trims:
            self._backend.post_processor = processors.TemplateProcessing("$A:0", "$A:0 $B:1")

    @property
    def backend(self) -> tokenizers.Tokenizer:
        """The library's tokenizer. Who opened this one for itself alone may change it."""
        return self._backend

    def _find_layout(self) -> PairLayout:
        # What transformers would do is settled by the post-processor. Files made by hand, and
        # `wordpiece` below, have none: then the special tokens tell.
        added = self._backend.num_special_tokens_to_add(True)
        for layout in (BERT_PAIR, ROBERTA_PAIR):
            if added == layout.n_special:
                return layout
        return ROBERTA_PAIR if self.tokens([self.cls_id]) == ["<s>"] else BERT_PAIR

    @classmethod
    def from_folder(cls, folder: str | Path) -> Tokenizer:
        """Opens the tokenizer of a model folder.

        ``tokenizer.json`` is used where there is one, otherwise ``vocab.txt`` (WordPiece) or
        ``vocab.json`` and ``merges.txt`` (byte-level BPE), with the options of
        ``tokenizer_config.json`` as transformers reads them, see `potstill.text.opening`.

        Raises:
            TokenizerError: the files are missing or corrupt, or of a class that is not known.
        """
        opened = open_folder(Path(folder))
        backend: Any = opened.backend
        special: dict[str, str] = {}
        # MPNet's vocabulary holds both spellings: what is put around a text tells which is meant.
        order = -1 if backend.encode("").tokens[:1] == ["<s>"] else 1
        for role, usual in _SPECIAL.items():
            known = [token for token in usual[::order] if backend.token_to_id(token) is not None]
            special[role] = token_text(opened.options, role, known[0] if known else usual[0])
        unknown = "<unk>" if backend.token_to_id("<unk>") is not None else "[UNK]"
        special["unk"] = token_text(opened.options, "unk", unknown)
        return cls(backend, special, token_types=opened.token_types)

    def encode(self, text: str) -> Encoded:
        """Tokenizes one text.

        Lone surrogates, which no encoding can carry, are read as U+FFFD: the offsets still fit.
        """
        if len(text) > _CHUNK:
            return self._encode_long(text)
        cleaned = without_surrogates(text)
        return self._encoded(self._backend.encode(cleaned, add_special_tokens=False), cleaned)

    def encode_batch(self, texts: Sequence[str]) -> list[Encoded]:
        """Tokenizes many texts, in parallel where the machine allows and there are several."""
        if len(texts) == 1 or any(len(text) > _CHUNK for text in texts):
            return [self.encode(text) for text in texts]
        cleaned = [without_surrogates(text) for text in texts]
        found = self._backend.encode_batch(cleaned, add_special_tokens=False)
        return [self._encoded(one, text) for one, text in zip(found, cleaned, strict=True)]

    def ids_batch(self, texts: Sequence[str]) -> list[IntArray]:
        """Token ids alone, for whole corpora: without offsets it is several times as fast."""
        cleaned = [without_surrogates(text) for text in texts]
        return [
            np.array(encoding.ids, np.int32)
            for encoding in self._backend.encode_batch_fast(cleaned, add_special_tokens=False)
        ]

    def fingerprint(self) -> str:
        """SHA-256 of everything that decides how this tokenizer cuts a text."""
        return hashlib.sha256(self._backend.to_str().encode("utf-8", "surrogatepass")).hexdigest()

    def special(self) -> npt.NDArray[np.bool_]:
        """True for tokens that are no text: ``[CLS]``, ``[UNK]`` and the like, ``[vocab_size]``."""
        found = np.zeros(self.vocab_size, np.bool_)
        for number, token in self._backend.get_added_tokens_decoder().items():
            if token.special and number < self.vocab_size:
                found[number] = True
        named = [self.cls_id, self.sep_id, self.pad_id, self.mask_id]
        found[[number for number in named if number is not None]] = True
        return found

    def continuations(self) -> npt.NDArray[np.bool_]:
        """True for tokens that go on with a word (``##ing``), ``[vocab_size]``.

        All false for a tokenizer that does not mark them so.
        """
        return np.array(
            [token.startswith(_CONTINUES) for token in self.tokens(range(self.vocab_size))]
        )

    def tokens(self, ids: Iterable[int] | IntArray) -> list[str]:
        """The vocabulary's own spelling of each id."""
        return [self._backend.id_to_token(int(number)) or "" for number in ids]

    @property
    def spaced(self) -> bool:
        """Whether the space before a word is part of its first token: byte-level BPE, Unigram."""
        return isinstance(self._backend.model, (models.BPE, models.Unigram))

    def token_id(self, token: str) -> int | None:
        """The id of a token in the vocabulary's own spelling; ``None`` where it has none."""
        return self._backend.token_to_id(token)

    def decode(self, ids: Iterable[int] | IntArray, *, skip_special: bool = False) -> str:
        """The text of tokens, as Hugging Face's ``decode`` writes it, with special ones or not."""
        special = self.special() if skip_special else None
        kept = [int(number) for number in ids if special is None or not special[number]]
        return self.to_text(self.tokens(kept))

    def to_text(self, tokens: Sequence[str]) -> str:
        """The text of tokens in the vocabulary's own spelling."""
        decoder: Any = self._backend.decoder
        # Files made by hand, and `wordpiece` below, name no decoder: the model's own is used.
        if decoder is None and self.spaced:
            bpe = isinstance(self._backend.model, models.BPE)
            decoder = decoders.ByteLevel() if bpe else decoders.Metaspace()
        return (decoder or decoders.WordPiece(prefix=_CONTINUES)).decode(list(tokens))

    def _encoded(self, encoding: tokenizers.Encoding, text: str) -> Encoded:
        n = len(encoding)
        words = [-1 if word is None else word for word in encoding.word_ids]
        offsets = np.fromiter(chain.from_iterable(encoding.offsets), np.int32, 2 * n).reshape(n, 2)
        if self._trims:
            offsets = _trimmed(offsets, text)
        return Encoded(np.array(encoding.ids, np.int32), offsets, np.array(words, np.int32))

    def _encode_long(self, text: str) -> Encoded:
        starts = _chunk_starts(text)
        ends = [*starts[1:], len(text)]
        pieces = [without_surrogates(text[a:b]) for a, b in zip(starts, ends, strict=True)]
        found = self._backend.encode_batch(pieces, add_special_tokens=False)
        parts = [self._encoded(one, piece) for one, piece in zip(found, pieces, strict=True)]
        n_words = 0
        words: list[IntArray] = []
        for part in parts:
            words.append(part.words + np.int32(n_words))
            n_words += int(part.words.max(initial=-1)) + 1
        return Encoded(
            np.concatenate([part.ids for part in parts]),
            np.concatenate(
                [part.offsets + np.int32(a) for part, a in zip(parts, starts, strict=True)]
            ),
            np.concatenate(words),
        )


def _leaves_blanks(backend: Any) -> bool:
    """Whether offsets hold the blank before a word, or lose its first letter.

    Byte-level ones hold it where the files switch trimming off. Where something else cuts words
    before ``ByteLevel`` adds a blank to each (RobBERT), trimming takes a letter for that blank.
    ``Metaspace`` takes the blank into the token unless words have been cut at blanks before.
    """
    cut = backend.pre_tokenizer
    state = {} if cut is None else json.loads(cut.__getstate__())
    parts = state.get("pretokenizers", [state])
    kinds = [part.get("type") for part in parts]
    if "Metaspace" in kinds:
        return "WhitespaceSplit" not in kinds
    if "ByteLevel" not in kinds:
        return False
    ends = backend.post_processor
    trims = {} if ends is None else json.loads(ends.__getstate__())
    steps = trims.get("processors", [trims])
    trimming = any(step.get("trim_offsets") for step in steps)
    return not trimming or any(part.get("add_prefix_space") for part in parts[1:])


def _trimmed(offsets: IntArray, text: str) -> IntArray:
    """Offsets without white space at the ends of tokens; of a token of it alone, its end."""
    blank = np.fromiter((char.isspace() for char in text), np.bool_, len(text))
    blank = np.append(blank, False)
    start, end = offsets[:, 0].copy(), offsets[:, 1].copy()
    while (leading := (start < end) & blank[start]).any():
        start[leading] += 1
    while (trailing := (start < end) & blank[end - 1]).any():
        end[trailing] -= 1
    return np.stack([start, end], axis=1)


def _special_id(backend: Any, role: str, token: str) -> int:
    number = backend.token_to_id(token)
    if number is None:
        raise TokenizerError(f"the {role} token {token!r} is not in the tokenizer's vocabulary")
    return number


def _chunk_starts(text: str) -> list[int]:
    """Where to cut a long text: before white space, so that no token can straddle a cut."""
    starts = [0]
    space = re.compile(r"\s\S")
    while len(text) - starts[-1] > _CHUNK:
        match = space.search(text, starts[-1] + _CHUNK)
        if match is None:
            break
        starts.append(match.start())
    return starts
