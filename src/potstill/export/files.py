"""The text files of an exported folder: config, tokenizer and model card, as transformers wants."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tokenizers import decoders, processors

from potstill.bundle import layout
from potstill.bundle.atomic import write_json, write_text
from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import hf_config
from potstill.errors import TokenizerError
from potstill.text.tokenizer import read_options, read_vocabulary, wordpiece

_TOKENIZERS = {"bert": "BertTokenizer", "distilbert": "DistilBertTokenizer"}
_SPECIAL = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}


def write_config(out: Path, config: ModelConfig) -> None:
    """Writes ``config.json`` of a question-answering model in float32."""
    write_json(out / layout.CONFIG, hf_config(config, "qa"))


def write_tokenizer(source: Path, out: Path, config: ModelConfig) -> None:
    """Writes all four tokenizer files from whichever of them the source has.

    ``tokenizer.json`` is written without truncation and padding: MiniLM's own cuts every text at
    128 tokens, and whoever loads the folder sets both anyway.

    Raises:
        TokenizerError: the source has no ``tokenizer.json`` or ``vocab.txt``, or a broken one.
    """
    options = read_options(source / layout.TOKENIZER_CONFIG)
    fast = source / layout.TOKENIZER
    if fast.is_file():
        values = read_options(fast)
    elif (source / layout.VOCAB).is_file():
        values = _from_vocabulary(source / layout.VOCAB, options)
    else:
        raise TokenizerError(
            f"{source} has neither {layout.TOKENIZER} nor {layout.VOCAB}: "
            "copy the tokenizer of the model it was made from into it"
        )
    values["truncation"] = values["padding"] = None
    write_text(out / layout.TOKENIZER, json.dumps(values, ensure_ascii=False))
    special = {f"{role}_token": token for role, token in _SPECIAL.items()}
    given = {name: value for name, value in options.items() if value is not None}
    fallback = {"tokenizer_class": _TOKENIZERS[config.model_type], **special}
    write_json(
        out / layout.TOKENIZER_CONFIG,
        {**fallback, **given, "model_max_length": config.max_positions},
    )
    if (source / layout.SPECIAL_TOKENS).is_file():
        shutil.copyfile(source / layout.SPECIAL_TOKENS, out / layout.SPECIAL_TOKENS)
    else:
        write_json(
            out / layout.SPECIAL_TOKENS,
            {name: _text(given.get(name, token)) for name, token in special.items()},
        )
    vocabulary = values.get("model", {}).get("vocab")
    if (source / layout.VOCAB).is_file():
        shutil.copyfile(source / layout.VOCAB, out / layout.VOCAB)
    elif isinstance(vocabulary, dict):  # WordPiece; other models have no such file
        tokens = {number: token for token, number in vocabulary.items()}
        # An id without a token keeps its line, or all that follow would shift.
        lines = [tokens.get(i, f"[unused-{i}]") for i in range(max(tokens, default=-1) + 1)]
        write_text(out / layout.VOCAB, "".join(f"{line}\n" for line in lines))


def _from_vocabulary(path: Path, options: dict[str, Any]) -> dict[str, Any]:
    backend = wordpiece(read_vocabulary(path), options)
    cls = _text(options.get("cls_token", "[CLS]"))
    sep = _text(options.get("sep_token", "[SEP]"))
    # Whoever loads the folder elsewhere lets the tokenizer add the special tokens.
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(token, backend.token_to_id(token)) for token in (cls, sep)],
    )
    backend.decoder = decoders.WordPiece(prefix="##")
    return json.loads(backend.to_str())


def _text(token: Any) -> str:
    """A special token's text; older configs keep it in a dictionary with its options."""
    return str(token["content"]) if isinstance(token, dict) else str(token)
