"""What each class of transformers makes anew of a tokenizer, by the options of its files.

As the constructors of transformers 5 do: a class keeps a file's vocabulary and merges, and has its
own say on how texts are normalised, cut and put between special tokens.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors

from potstill.errors import TokenizerError

_BERT = {"cls": "[CLS]", "sep": "[SEP]"}
_BLOCK = 1024
"""Bytes of a table of characters by which it grows."""
_ANGLED = {"cls": "<s>", "sep": "</s>"}
_NO_CHARACTER = "\ufdd0"


def as_bert(backend: Any, options: Mapping[str, Any], folder: Path, name: str) -> None:
    """BERT's word pieces, and MPNet's, with their normalizer and template.

    Args:
        backend: is changed.
        options: of ``tokenizer_config.json``.
        folder: as messages call it.
        name: of the class, without ``Tokenizer``.

    Raises:
        TokenizerError: a special token is not in the vocabulary.
    """
    wanted = bert_normalizer(options)
    if _state(backend.normalizer) != _state(wanted):
        backend.normalizer = wanted
    if _state(backend.pre_tokenizer).get("type") != "BertPreTokenizer":
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    usual = _ANGLED if name == "MPNet" else _BERT
    cls, sep = _tokens(backend, options, folder, **usual)
    if name == "MPNet":
        backend.post_processor = processors.RobertaProcessing(sep, cls)
        return
    backend.post_processor = processors.BertProcessing(sep, cls)


def bert_normalizer(options: Mapping[str, Any]) -> Any:
    """BERT's normalizer by ``do_lower_case``, ``strip_accents``, ``tokenize_chinese_chars``."""
    lower, chinese = options.get("do_lower_case"), options.get("tokenize_chinese_chars")
    return normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=True if chinese is None else chinese,
        strip_accents=options.get("strip_accents"),
        lowercase=True if lower is None else lower,
    )


def as_roberta(backend: Any, options: Mapping[str, Any], folder: Path) -> None:
    """RoBERTa's byte-level BPE, by ``add_prefix_space`` and ``trim_offsets``; see `as_bert`."""
    prefix = bool(options.get("add_prefix_space", False))
    state = _state(backend.pre_tokenizer)
    if state.get("type") != "ByteLevel" or state.get("add_prefix_space") != prefix:
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    cls, sep = _tokens(backend, options, folder, **_ANGLED)
    trims = options.get("trim_offsets")
    backend.post_processor = processors.RobertaProcessing(
        sep, cls, trim_offsets=True if trims is None else trims, add_prefix_space=prefix
    )


def as_unigram(backend: Any, options: Mapping[str, Any], folder: Path, name: str) -> None:
    """Unigram as XLM-RoBERTa, CamemBERT, ALBERT and DeBERTa use it; see `as_bert`.

    Of a file's normalizer only SentencePiece's own table of characters stays. ALBERT's has case
    and accents of its own, by ``do_lower_case`` and ``keep_accents``. None spells what is unknown
    by its bytes, whatever the file says.
    """
    if _spells_bytes(backend):
        model: dict[str, Any] = json.loads(backend.to_str())["model"]
        pieces = [(piece, score) for piece, score in model["vocab"]]
        backend.model = models.Unigram(pieces, model["unk_id"], False)
    if name == "DebertaV2":
        _as_deberta(backend, options, folder)
        return
    given = options.get("add_prefix_space")
    scheme = "always" if given is None or given else "never"
    table = _precompiled(backend.normalizer)
    backend.normalizer = _albert_normalizer(options, table) if name == "Albert" else table
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme=scheme)]
    )
    backend.decoder = decoders.Metaspace(prepend_scheme=scheme)
    if name == "Albert":
        if backend.post_processor is None:
            backend.post_processor = _with_types(*_tokens(backend, options, folder, **_BERT))
        return
    (bos, first), (eos, last) = _tokens(backend, options, folder, bos="<s>", eos="</s>")
    backend.post_processor = processors.TemplateProcessing(
        single=[bos, "$A", eos],
        pair=[bos, "$A", eos, eos, "$B", eos],
        special_tokens=[(bos, first), (eos, last)],
    )


def _as_deberta(backend: Any, options: Mapping[str, Any], folder: Path) -> None:
    """DeBERTa's has nothing of SentencePiece's table, and a say on case and punctuation."""
    given = options.get("add_prefix_space")
    scheme = "always" if given is None or given else "first"
    lowers = [normalizers.Lowercase()] if options.get("do_lower_case") else []
    blanks = normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " ")
    backend.normalizer = normalizers.Sequence(
        [*lowers, blanks, normalizers.NFC(), normalizers.Strip(left=False, right=True)]
    )
    cuts = [pre_tokenizers.Punctuation("isolated")] if options.get("split_by_punct") else []
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [*cuts, pre_tokenizers.Metaspace(prepend_scheme=scheme)]
    )
    backend.decoder = decoders.Metaspace(prepend_scheme=scheme)
    backend.post_processor = _with_types(*_tokens(backend, options, folder, **_BERT))


def _with_types(cls: tuple[str, int], sep: tuple[str, int]) -> Any:
    return processors.TemplateProcessing(
        single=f"{cls[0]}:0 $A:0 {sep[0]}:0",
        pair=f"{cls[0]}:0 $A:0 {sep[0]}:0 $B:1 {sep[0]}:1",
        special_tokens=[cls, sep],
    )


def _albert_normalizer(options: Mapping[str, Any], table: Any) -> Any:
    steps: list[Any] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not options.get("keep_accents"):
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if options.get("do_lower_case", True):
        steps.append(normalizers.Lowercase())
    return normalizers.Sequence(steps if table is None else [*steps, table])


def check_unigram(backend: Any, path: Path) -> None:
    """Refuses what the library would only stumble over in the middle of a text.

    Args:
        backend: with a Unigram.
        path: of its file, for messages.

    Raises:
        TokenizerError: its table of characters is cut short, or it has no piece for the unknown.
    """
    state = _state(backend.normalizer)
    for step in state.get("normalizers", [state]):
        check_table(b64decode(step.get("precompiled_charsmap") or ""), path)
    try:
        backend.model.tokenize(_NO_CHARACTER)
    except Exception as error:  # the library raises no other
        raise TokenizerError(f"{path} cannot read every text: {error!s:.100}") from None


def check_table(table: bytes, path: Path) -> None:
    """Refuses a table of characters that would lead its reader out of it.

    That is a double array (Aoe 1989) as darts-clone writes it, 4 bytes a unit, behind its length,
    and strings: a unit leads on to a block of 256 units, and where a text ends, to a string.

    Raises:
        TokenizerError: names the file, ``path``.
    """
    if table and not _leads_nowhere_else(table):
        raise TokenizerError(f"{path} has a damaged table of characters (precompiled_charsmap)")


def _leads_nowhere_else(table: bytes) -> bool:
    size = int.from_bytes(table[:4], "little")
    if not 0 < size <= len(table) - 4 or size % _BLOCK:
        return False
    units, strings = np.frombuffer(table, "<u4", size // 4, 4).astype(np.int64), table[4 + size :]
    at = np.arange(len(units))
    base = at ^ (units >> 10) << ((units & 1 << 9) >> 6)
    inner = (units < 1 << 31) & ((units & 255 > 0) | (at == 0))
    if (base[inner] | 255 >= len(units)).any():
        return False
    places = units[base[inner & (units & 1 << 8 > 0)]] & ~(1 << 31)
    starts = np.frombuffer(strings + b"\0", np.uint8)[np.minimum(places, len(strings))]
    if (places > len(strings)).any() or (starts & 0xC0 == 0x80).any():
        return False
    with suppress(UnicodeDecodeError):
        strings.decode("utf-8")
        return True
    return False


def _spells_bytes(backend: Any) -> bool:
    """Whether a Unigram has pieces for bytes and uses them."""
    return any(token.value.startswith("<0x") for token in backend.model.tokenize(_NO_CHARACTER))


def _precompiled(normalizer: Any) -> Any:
    """SentencePiece's table of characters out of a file's normalizer: all that is kept of it."""
    state = _state(normalizer)
    for step in state.get("normalizers", [state]):
        if step.get("type") == "Precompiled" and step.get("precompiled_charsmap"):
            return normalizers.Precompiled(b64decode(step["precompiled_charsmap"]))
    return None


def _tokens(
    backend: Any, options: Mapping[str, Any], folder: Path, **usual: str
) -> list[tuple[str, int]]:
    """Special tokens, each with its id.

    Args:
        backend: whose vocabulary has them.
        options: which may name others.
        folder: as messages call it.
        usual: role → the token where nothing else is named.
    """
    found: list[tuple[str, int]] = []
    for role, otherwise in usual.items():
        token = token_text(options, role, otherwise)
        number = backend.token_to_id(token)
        if number is None:
            raise TokenizerError(
                f"{folder}: the {role} token {token!r:.60} is not in the tokenizer's vocabulary"
            )
        found.append((token, number))
    return found


def _state(part: Any) -> dict[str, Any]:
    """What ``tokenizer.json`` holds of a part."""
    return {} if part is None else json.loads(part.__getstate__())


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
