"""How the tokenizer of a model folder is opened: the reading that transformers 5 gives its files.

``tokenizer_config.json`` wins over ``tokenizer.json`` for what a class of transformers takes as
options: case, accents and Chinese characters of BERT's, the prefix space and trimmed offsets of
RoBERTa's. Special tokens may be named in ``special_tokens_map.json``, and tokens beside the
vocabulary stand in ``added_tokens_decoder`` or ``added_tokens.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers, processors

from potstill.bundle import layout
from potstill.bundle.encoders.table import ENCODERS
from potstill.bundle.objects import read_object
from potstill.errors import TokenizerError
from potstill.text import sentencepiece
from potstill.text.families import (
    as_bert,
    as_roberta,
    as_unigram,
    bert_normalizer,
    check_unigram,
    token_text,
)

Family: TypeAlias = Literal["wordpiece", "byte-level", "unigram", "as it is"]
"""What a class of transformers makes anew of its options; the rest comes from the file."""

CLASSES: Mapping[str, Family] = {
    **dict.fromkeys(
        "Bert DistilBert Electra MPNet MobileBert SqueezeBert RetriBert ConvBert LayoutLM".split(),
        "wordpiece",
    ),
    **dict.fromkeys("Roberta Longformer Bart".split(), "byte-level"),
    **dict.fromkeys("XLMRoberta Camembert Albert DebertaV2".split(), "unigram"),
    **dict.fromkeys(("PreTrained", "TokenizersBackend"), "as it is"),
}
"""Class of transformers, without ``Tokenizer`` and ``Fast`` → family."""
_MODELS: Mapping[Family, type[models.Model]] = {
    "wordpiece": models.WordPiece,
    "byte-level": models.BPE,
    "unigram": models.Unigram,
}
_WITHOUT_TYPES = frozenset(
    ("DistilBert", "MPNet", "Roberta", "Longformer", "Bart", "XLMRoberta", "Camembert")
)
"""Classes whose rows have no token types, whatever the model has."""
_UNUSED = ["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"]
"""Special tokens that CamemBERT's vocabulary has and no text needs."""
_FLAGS = (
    "do_lower_case",
    "tokenize_chinese_chars",
    "add_prefix_space",
    "trim_offsets",
    "split_by_punct",
    "keep_accents",
)
_ROLES = ("unk", "sep", "pad", "cls", "mask")
_OTHER_ROLES = ("bos", "eos")


@dataclass(frozen=True, slots=True)
class OpenedTokenizer:
    """The tokenizer of a folder and what its files say beside."""

    backend: tokenizers.Tokenizer
    options: Mapping[str, Any]
    """See `read_tokenizer_config`."""
    token_types: bool
    """Whether the second text of a pair is of token type 1 where the layout has types at all."""


def open_folder(folder: Path) -> OpenedTokenizer:
    """Opens the tokenizer of a model folder.

    Raises:
        TokenizerError: the files are missing, corrupt or contradict each other, or the tokenizer
            is of a class that is not known.
    """
    try:
        return _open(folder)
    except UnicodeEncodeError:
        raise TokenizerError(
            f"{folder}: a token of its tokenizer's files holds half a character, which is not text"
        ) from None


def _open(folder: Path) -> OpenedTokenizer:
    options = read_tokenizer_config(folder)
    name, own = _class_of(folder, options)
    pieces = _pieces_of(folder, name)
    if pieces is not None:
        backend, family = sentencepiece.unigram(pieces, name, options), CLASSES[name]
    else:
        if name == "Camembert":
            options.setdefault("additional_special_tokens", _UNUSED)
        backend, family = _open_backend(folder, options, name, own)
    if own == "PreTrained":  # as transformers, which takes no class that such a model names
        family = "as it is"
    if family == "wordpiece":
        as_bert(backend, options, folder, name)
    elif family == "byte-level":
        as_roberta(backend, options, folder)
    elif family == "unigram":
        as_unigram(backend, options, folder, name)
    _add_tokens(backend, folder, options, pieces)
    given = options.get("model_input_names")
    named = "token_type_ids" in given if isinstance(given, list) else name not in _WITHOUT_TYPES
    return OpenedTokenizer(backend, options, named)


def read_tokenizer_config(folder: Path) -> dict[str, Any]:
    """``tokenizer_config.json``, with the special tokens that older folders name beside it.

    Raises:
        TokenizerError: a file is not a JSON object, or an option is of the wrong kind.
    """
    options = read_options(folder / layout.TOKENIZER_CONFIG)
    if "added_tokens_decoder" not in options:  # as transformers reads them: the map wins
        options |= read_options(folder / layout.SPECIAL_TOKENS)
    for name in _FLAGS:
        if not isinstance(options.get(name, True), (bool, type(None))):
            raise TokenizerError(
                f"{folder / layout.TOKENIZER_CONFIG}: {name} is {options[name]!r:.60}, not true or "
                "false"
            )
    if not isinstance(options.get("strip_accents"), (bool, type(None))):
        raise TokenizerError(
            f"{folder / layout.TOKENIZER_CONFIG}: strip_accents is "
            f"{options['strip_accents']!r:.60}, not true, false or null"
        )
    return options


def _class_of(folder: Path, options: Mapping[str, Any]) -> tuple[str, str]:
    """The class that transformers would open, and that of the model's type, empty where unknown.

    Both without ``Tokenizer`` and ``Fast``.
    """
    config: dict[str, Any] = {}
    if (folder / layout.CONFIG).is_file():
        with suppress(TokenizerError):  # whoever needs the config says what is wrong with it
            config = read_object(folder / layout.CONFIG, TokenizerError)
    named = options.get("tokenizer_class") or config.get("tokenizer_class")
    spec = ENCODERS.get(str(config.get("model_type")))
    own = "" if spec is None else spec.tokenizer
    name = str(named or own or "PreTrained").removesuffix("Fast").removesuffix("Tokenizer")
    if name not in CLASSES:
        known = ", ".join(f"{one}Tokenizer" for one in ("Bert", "Roberta", "MPNet", "XLMRoberta"))
        raise TokenizerError(
            f"{folder}: tokenizer_class {str(named)!r:.60} is not supported; supported: {known} "
            "and their kin, and PreTrainedTokenizerFast with a tokenizer.json"
        )
    return name, own


def _pieces_of(folder: Path, name: str) -> sentencepiece.Pieces | None:
    """What SentencePiece's file of a folder holds, where that is all there is of its tokenizer."""
    file = sentencepiece.FILES.get(name)
    if file is None or (folder / layout.TOKENIZER).is_file() or not (folder / file).is_file():
        return None
    return sentencepiece.read_pieces(folder / file, name)


def _open_backend(
    folder: Path, options: Mapping[str, Any], name: str, own: str
) -> tuple[tokenizers.Tokenizer, Family]:
    """The backend as its files have it, and what is to be made anew by the options."""
    path, family = folder / layout.TOKENIZER, CLASSES[name]
    if path.is_file():
        backend = _from_file(path)
        if isinstance(backend.model, models.Unigram):
            check_unigram(backend, path)
        fits = _MODELS.get(family)
        if fits is None or isinstance(backend.model, fits):
            return backend, family
        # A class of word pieces that only repeats the model's type says nothing: multilingual
        # MiniLMs are BERTs with a Unigram. All others are not of the file's kind, and transformers
        # 5 would make unknown tokens of nearly every word.
        if name != own or family != "wordpiece":
            raise TokenizerError(
                f"{path} holds a {type(backend.model).__name__} tokenizer, and {name}Tokenizer is "
                "of another kind: put the model's own in its place, or, if this is it, set "
                f"tokenizer_class to PreTrainedTokenizerFast in {layout.TOKENIZER_CONFIG}"
            )
        return backend, "as it is"
    vocabulary = folder / layout.VOCAB
    if vocabulary.is_file() and family in ("wordpiece", "as it is"):
        return wordpiece(read_vocabulary(vocabulary), options), family
    pieces = folder / layout.VOCAB_JSON, folder / layout.MERGES
    if all(file.is_file() for file in pieces) and family in ("byte-level", "as it is"):
        return byte_level(*pieces, options), "as it is"
    others = (layout.VOCAB_JSON,) if family in ("wordpiece", "unigram") else ()
    for file in (layout.VOCAB, *others, *layout.SENTENCEPIECE):
        if (folder / file).is_file():
            raise TokenizerError(
                f"{folder} has {file} and no tokenizer.json, and {name}Tokenizer does not read "
                f"{file}: put the model's own tokenizer beside it, or name the right "
                f"tokenizer_class in {layout.TOKENIZER_CONFIG}"
            )
    raise TokenizerError(
        f"{folder} has neither tokenizer.json nor vocab.txt, nor vocab.json with merges.txt, nor "
        "a SentencePiece model"
    )


def _from_file(path: Path) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except BaseException as error:  # bare Exception for damage, PanicException for a bad pattern
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        raise TokenizerError(f"{path} is not a usable tokenizer: {error!s:.200}") from None


def _add_tokens(
    backend: Any,
    folder: Path,
    options: Mapping[str, Any],
    pieces: sentencepiece.Pieces | None,
) -> None:
    """Adds what the files name beside the vocabulary, as transformers' base class does."""
    found = _numbered(folder, options)
    known = {repr(token) for token in backend.get_added_tokens_decoder().values()}
    # In the order of their numbers, which themselves do not count: new tokens follow the others.
    backend.add_tokens([token for _, token in sorted(found.items()) if repr(token) not in known])
    added = {token.content for token in backend.get_added_tokens_decoder().values()}
    for role in (*_OTHER_ROLES, *_ROLES):
        named = options.get(f"{role}_token")
        text = token_text(options, role, "")
        # One that is not in the vocabulary would be a row that the model has not got, except in
        # SentencePiece's file: DeBERTa's has no piece for the mask.
        known = pieces is not None or backend.token_to_id(text) is not None
        if text and text not in added and known:
            said = named if isinstance(named, dict) else {}
            how = {name: bool(said.get(name)) for name in _ADDED - {"content", "special"}}
            backend.add_special_tokens([AddedToken(text, **how)])
            added.add(text)
    if pieces is not None:
        others = sentencepiece.added_tokens(pieces)
        backend.add_tokens([token for token in others if token.content not in added])
        return
    for name in ("additional_special_tokens", "extra_special_tokens"):
        others = options.get(name)
        for one in others if isinstance(others, list) else ():
            text = one.get("content") if isinstance(one, dict) else one
            if isinstance(text, str) and backend.token_to_id(text) is not None:
                backend.add_special_tokens([text])


def _numbered(folder: Path, options: Mapping[str, Any]) -> dict[int, AddedToken]:
    """Tokens beside the vocabulary by their number."""
    source = folder / layout.TOKENIZER_CONFIG
    found: dict[int, AddedToken] = {}
    try:
        decoder = options.get("added_tokens_decoder")
        if decoder is not None:
            for number, values in decoder.items():
                kept = {k: v for k, v in values.items() if k in _ADDED}
                found[int(number)] = AddedToken(**kept)
            return found
        source = folder / layout.ADDED_TOKENS
        others = [options.get("additional_special_tokens"), options.get("extra_special_tokens")]
        special = {token_text(options, role, "") for role in (*_ROLES, *_OTHER_ROLES)}
        special |= {str(one) for other in others if isinstance(other, list) for one in other}
        for text, number in read_options(source).items():
            is_special = text in special
            found[int(number)] = AddedToken(text, normalized=not is_special, special=is_special)
    except (AttributeError, TypeError, ValueError) as error:
        raise TokenizerError(f"{source}: an added token cannot be read: {error!s:.120}") from None
    return found


_ADDED = frozenset(("content", "single_word", "lstrip", "rstrip", "normalized", "special"))
_BYTE_LEVEL = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}


def read_options(path: Path) -> dict[str, Any]:
    """``tokenizer_config.json`` or a file like it, empty where there is none.

    Raises:
        TokenizerError: the file is no JSON object.
    """
    try:
        return read_object(path, TokenizerError)
    except FileNotFoundError:
        return {}


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


def wordpiece(vocabulary: dict[str, int], config: Mapping[str, Any]) -> tokenizers.Tokenizer:
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
    backend.normalizer = bert_normalizer(config)
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
    named = {role: token_text(config, role, token) for role, token in _BYTE_LEVEL.items()}
    # The mask takes the space before it, as a word would.
    special = [AddedToken(t, lstrip=r == "mask", normalized=False) for r, t in named.items()]
    backend.add_special_tokens([t for t in special if backend.token_to_id(t.content) is not None])
    sep, cls = ((named[role], _number(backend, role, named[role])) for role in ("sep", "cls"))
    backend.post_processor = processors.RobertaProcessing(
        sep, cls, trim_offsets=bool(config.get("trim_offsets", True)), add_prefix_space=prefix
    )
    return backend


def _number(backend: Any, role: str, token: str) -> int:
    number = backend.token_to_id(token)
    if number is None:
        raise TokenizerError(f"the {role} token {token!r:.60} is not in the vocabulary")
    return number
