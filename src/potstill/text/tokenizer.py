"""Strings → token ids with offsets into the caller's own string.

The work is done by the ``tokenizers`` library; this file decides how a model folder is opened and
guarantees that nothing about the shared tokenizer changes after that (no truncation, no padding),
so that any number of threads may call it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors

from potstill.errors import TokenizerError
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

    def __init__(self, backend: tokenizers.Tokenizer, special: dict[str, str]) -> None:
        """Takes ``backend`` over: truncation and padding are switched off here, once.

        Args:
            backend: a tokenizer of the ``tokenizers`` library.
            special: the texts of the ``cls``, ``sep`` and ``pad`` tokens, and of ``mask`` where
                there is one.

        Raises:
            TokenizerError: a special token other than ``mask`` is not in the vocabulary.
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
        self.unk_id: int | None = None if unknown is None else backend.token_to_id(unknown)
        """What stands for a word the vocabulary cannot spell; ``None`` where it spells any."""
        self.layout: PairLayout = self._find_layout()
        """How the model was trained to see a pair of texts."""

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
        ``vocab.json`` and ``merges.txt`` (byte-level BPE) with the options of
        ``tokenizer_config.json``.

        Raises:
            TokenizerError: the files are missing or corrupt.
        """
        folder = Path(folder)
        config = read_options(folder / "tokenizer_config.json")
        backend = _open_backend(folder, config)
        special: dict[str, str] = {}
        # MPNet's vocabulary holds both spellings: what is put around a text tells which is meant.
        order = -1 if backend.encode("").tokens[:1] == ["<s>"] else 1
        for role, usual in _SPECIAL.items():
            known = [token for token in usual[::order] if backend.token_to_id(token) is not None]
            special[role] = token_text(config, role, known[0] if known else usual[0])
        return cls(backend, special)

    def encode(self, text: str) -> Encoded:
        """Tokenizes one text.

        Lone surrogates, which no encoding can carry, are read as U+FFFD: the offsets still fit.
        """
        if len(text) > _CHUNK:
            return self._encode_long(text)
        return _encoded(self._backend.encode(without_surrogates(text), add_special_tokens=False))

    def encode_batch(self, texts: Sequence[str]) -> list[Encoded]:
        """Tokenizes many texts, in parallel where the machine allows and there are several."""
        if len(texts) == 1 or any(len(text) > _CHUNK for text in texts):
            return [self.encode(text) for text in texts]
        cleaned = [without_surrogates(text) for text in texts]
        return [
            _encoded(encoding)
            for encoding in self._backend.encode_batch(cleaned, add_special_tokens=False)
        ]

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
    def byte_level(self) -> bool:
        """Whether the space before a word is part of its first token (RoBERTa)."""
        return isinstance(self._backend.model, models.BPE)

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
        if decoder is None and self.byte_level:
            decoder = decoders.ByteLevel()
        return (decoder or decoders.WordPiece(prefix=_CONTINUES)).decode(list(tokens))

    def _encode_long(self, text: str) -> Encoded:
        starts = _chunk_starts(text)
        ends = [*starts[1:], len(text)]
        pieces = [without_surrogates(text[a:b]) for a, b in zip(starts, ends, strict=True)]
        parts = [_encoded(e) for e in self._backend.encode_batch(pieces, add_special_tokens=False)]
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


def _special_id(backend: tokenizers.Tokenizer, role: str, token: str) -> int:
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


def _encoded(encoding: tokenizers.Encoding) -> Encoded:
    n = len(encoding)
    words = [-1 if word is None else word for word in encoding.word_ids]
    return Encoded(
        np.array(encoding.ids, np.int32),
        np.fromiter(chain.from_iterable(encoding.offsets), np.int32, 2 * n).reshape(n, 2),
        np.array(words, np.int32),
    )


def read_options(path: Path) -> dict[str, Any]:
    """``tokenizer_config.json`` or a file like it, empty where there is none.

    Raises:
        TokenizerError: the file is no JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise TokenizerError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise TokenizerError(f"{path} holds a {type(values).__name__}, not a JSON object")
    return values


def _open_backend(folder: Path, config: dict[str, Any]) -> tokenizers.Tokenizer:
    path = folder / "tokenizer.json"
    if path.is_file():
        try:
            return tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception for any damage
            raise TokenizerError(f"{path} is not a usable tokenizer: {error}") from None
    vocabulary = folder / "vocab.txt"
    if vocabulary.is_file():
        return wordpiece(read_vocabulary(vocabulary), config)
    pieces = folder / "vocab.json", folder / "merges.txt"
    if all(file.is_file() for file in pieces):
        return byte_level(*pieces, config)
    raise TokenizerError(
        f"{folder} has neither tokenizer.json nor vocab.txt, nor vocab.json with merges.txt"
    )


def token_text(config: Mapping[str, Any], role: str, otherwise: str) -> str:
    """A special token as ``tokenizer_config.json`` names it; older ones keep it with its options.

    Args:
        config: the file's values.
        role: ``cls``, ``sep``, ``pad``, ``mask`` or ``unk``.
        otherwise: what it is where the file does not say.
    """
    named = config.get(f"{role}_token")
    if isinstance(named, dict):
        named = named.get("content")
    return str(named or otherwise)


def read_vocabulary(path: Path) -> dict[str, int]:
    """Token → id of a ``vocab.txt``, one token a line.

    Raises:
        TokenizerError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{path} cannot be read as UTF-8 text: {error}") from None
    tokens = [line.rstrip("\r") for line in lines]
    while tokens and not tokens[-1]:
        tokens.pop()
    return {token: number for number, token in enumerate(tokens)}


def wordpiece(vocabulary: dict[str, int], config: dict[str, Any]) -> tokenizers.Tokenizer:
    """BERT's own tokenizer from its vocabulary.

    Args:
        vocabulary: token → id.
        config: ``do_lower_case`` (default true), ``strip_accents`` (default: as lower-casing),
            ``tokenize_chinese_chars``, ``unk_token`` and the special tokens, as in
            ``tokenizer_config.json``.

    Raises:
        TokenizerError: the vocabulary lacks the unknown token.
    """
    unknown = token_text(config, "unk", "[UNK]")
    if unknown not in vocabulary:
        raise TokenizerError(f"the unknown token {unknown!r} is not in the vocabulary")
    backend = tokenizers.Tokenizer(
        models.WordPiece(vocabulary, unk_token=unknown, max_input_chars_per_word=100)
    )
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
        strip_accents=config.get("strip_accents"),
        lowercase=config.get("do_lower_case", True),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [t for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if t in vocabulary]
    backend.add_special_tokens(special)
    return backend


def byte_level(vocabulary: Path, merges: Path, config: Mapping[str, Any]) -> tokenizers.Tokenizer:
    """RoBERTa's own tokenizer from its vocabulary: byte-level BPE, a space part of the next token.

    Args:
        vocabulary: ``vocab.json``, token → id.
        merges: ``merges.txt``, a pair of tokens a line.
        config: ``add_prefix_space`` (default false), ``trim_offsets`` (default true) and the
            special tokens, as in ``tokenizer_config.json``.

    Raises:
        TokenizerError: the files are damaged, or do not belong together.
    """
    try:
        backend = tokenizers.Tokenizer(
            models.BPE(*models.BPE.read_file(str(vocabulary), str(merges)))
        )
    except Exception as error:  # the library raises bare Exception for any damage
        raise TokenizerError(
            f"{vocabulary} and {merges.name} are no usable tokenizer: {error}"
        ) from None
    prefix = bool(config.get("add_prefix_space", False))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    backend.decoder = decoders.ByteLevel()
    usual = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
    named = {role: token_text(config, role, token) for role, token in usual.items()}
    # The mask takes the space before it, as a word would.
    special = [AddedToken(t, lstrip=r == "mask", normalized=False) for r, t in named.items()]
    backend.add_special_tokens([t for t in special if backend.token_to_id(t.content) is not None])
    sep, cls = ((named[role], _special_id(backend, role, named[role])) for role in ("sep", "cls"))
    backend.post_processor = processors.RobertaProcessing(
        sep, cls, trim_offsets=bool(config.get("trim_offsets", True)), add_prefix_space=prefix
    )
    return backend
