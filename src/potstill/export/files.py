"""The text files of an exported folder: config, tokenizer and model card, as transformers wants."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import decoders, models, processors

from potstill.bundle import layout
from potstill.bundle.atomic import write_json, write_text
from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import HeadName, hf_config
from potstill.text.families import token_text
from potstill.text.opening import CLASSES, open_folder

_CLASSES = {"bert": "BertTokenizer", "distilbert": "DistilBertTokenizer"}
"""``model_type`` → class of its WordPiece tokenizer, where it has one of its own."""
_SPECIAL = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
_ANGLED = {
    "unk": "<unk>", "sep": "</s>", "pad": "<pad>", "cls": "<s>", "mask": "<mask>",
    "bos": "<s>", "eos": "</s>",
}  # fmt: skip


def write_config(out: Path, config: ModelConfig, head: HeadName) -> None:
    """Writes ``config.json`` of a float32 model with a head."""
    write_json(out / layout.CONFIG, hf_config(config, head))


def write_tokenizer(source: Path, out: Path, config: ModelConfig) -> None:
    """Writes all tokenizer files from whichever of them the source has.

    ``tokenizer.json`` is written without truncation and padding: MiniLM's own cuts every text at
    128 tokens, and whoever loads the folder sets both anyway.

    Raises:
        TokenizerError: the source has no tokenizer, or a broken or unknown one.
    """
    opened = open_folder(source)
    options, backend = opened.options, opened.backend
    _complete(backend, options)
    values: dict[str, Any] = json.loads(backend.to_str())
    values["truncation"] = values["padding"] = None
    write_text(out / layout.TOKENIZER, json.dumps(values, ensure_ascii=False))
    model: dict[str, Any] = values.get("model", {})
    is_byte_level, is_unigram = "merges" in model, isinstance(model.get("vocab"), list)
    roles = _ANGLED if is_byte_level or is_unigram else _SPECIAL
    own = CLASSES[config.spec.tokenizer]
    if is_unigram or is_byte_level and own != "byte-level":  # ALBERT's has both spellings
        known = {
            **_SPECIAL,
            **{r: t for r, t in roles.items() if backend.token_to_id(t) is not None},
        }
        roles = {r: t for r, t in known.items() if backend.token_to_id(t) is not None}
    special = {f"{role}_token": token for role, token in roles.items()}
    given = {name: value for name, value in options.items() if value is not None}
    fallback: dict[str, Any] = {"tokenizer_class": _CLASSES.get(config.model_type, "BertTokenizer")}
    if is_byte_level and own == "byte-level":
        cut = values.get("pre_tokenizer") or {}
        fallback = {
            "tokenizer_class": "RobertaTokenizer",
            "add_prefix_space": cut.get("add_prefix_space", False),
        }
    elif is_byte_level or is_unigram:
        named = f"{config.spec.tokenizer}Tokenizer"
        whole = "PreTrainedTokenizerFast"
        fallback = {"tokenizer_class": named if is_unigram and own == "unigram" else whole}
    write_json(
        out / layout.TOKENIZER_CONFIG,
        {**fallback, **special, **given, "model_max_length": config.max_positions},
    )
    if (source / layout.SPECIAL_TOKENS).is_file():
        shutil.copyfile(source / layout.SPECIAL_TOKENS, out / layout.SPECIAL_TOKENS)
    else:
        write_json(
            out / layout.SPECIAL_TOKENS,
            {name: _text(given.get(name, token)) for name, token in special.items()},
        )
    names = (layout.VOCAB_JSON, layout.MERGES) if is_byte_level else (layout.VOCAB,)
    if all((source / name).is_file() for name in names):
        for name in names:
            shutil.copyfile(source / name, out / name)
    elif is_byte_level:
        _write_pieces(out, model)
    elif isinstance(model.get("vocab"), dict):  # WordPiece; other models have no such file
        tokens = {number: token for token, number in model["vocab"].items()}
        # An id without a token keeps its line, or all that follow would shift.
        lines = [tokens.get(i, f"[unused-{i}]") for i in range(max(tokens, default=-1) + 1)]
        write_text(out / layout.VOCAB, "".join(f"{line}\n" for line in lines))


def _write_pieces(out: Path, model: dict[str, Any]) -> None:
    """``vocab.json`` and ``merges.txt``, as RoBERTa's were published."""
    write_text(out / layout.VOCAB_JSON, json.dumps(model["vocab"], ensure_ascii=False))
    # Older files hold a merge as "a b", newer ones as ["a", "b"].
    lines = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    write_text(out / layout.MERGES, "".join(f"{line}\n" for line in ["#version: 0.2", *lines]))


def _complete(backend: Any, options: Mapping[str, Any]) -> None:
    """Adds what files made by hand lack: special tokens around a text, and the way back to one."""
    if backend.post_processor is None:
        cls = token_text(options, "cls", "[CLS]")
        sep = token_text(options, "sep", "[SEP]")
        # Whoever loads the folder elsewhere lets the tokenizer add the special tokens.
        if None not in (backend.token_to_id(cls), backend.token_to_id(sep)):
            backend.post_processor = processors.TemplateProcessing(
                single=f"{cls} $A {sep}",
                pair=f"{cls} $A {sep} $B:1 {sep}:1",
                special_tokens=[(token, backend.token_to_id(token)) for token in (cls, sep)],
            )
    if backend.decoder is None and isinstance(backend.model, models.WordPiece):
        backend.decoder = decoders.WordPiece(prefix="##")


def _text(token: Any) -> str:
    """A special token's text; older configs keep it in a dictionary with its options."""
    return str(token["content"]) if isinstance(token, dict) else str(token)
