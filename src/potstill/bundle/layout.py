"""Names of the files of a model folder.

A bundle is a Hugging Face model folder with a manifest; see docs/architecture.md.
"""

from __future__ import annotations

from pathlib import Path

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
TORCH_WEIGHTS = "pytorch_model.bin"
TORCH_INDEX = "pytorch_model.bin.index.json"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
VOCAB = "vocab.txt"
VOCAB_JSON = "vocab.json"
MERGES = "merges.txt"
ADDED_TOKENS = "added_tokens.json"
ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
SENTENCEPIECE = ("sentencepiece.bpe.model", "spiece.model", "spm.model")
"""SentencePiece's own file of a Unigram vocabulary, by the names it is published under."""
CARD = "README.md"
MANIFEST = "potstill.json"
METRICS = "metrics.jsonl"
COMMANDS = "commands.jsonl"
LOGGED_AS = "logged-as.txt"
EVALUATIONS = "evaluations"
ONNX = "onnx/model.onnx"
ONNX_FP16 = "onnx/model_fp16.onnx"
ONNX_INT8 = "onnx/model_quantized.onnx"

ONNX_FILES = {"fp32": ONNX, "fp16": ONNX_FP16, "int8": ONNX_INT8}
"""Precision → file, as transformers.js names them."""

TEXT_FILES = (
    TOKENIZER,
    TOKENIZER_CONFIG,
    SPECIAL_TOKENS,
    ADDED_TOKENS,
    VOCAB,
    VOCAB_JSON,
    MERGES,
    *SENTENCEPIECE,
)
"""Files of a tokenizer: ``tokenizer.json``, or what it can be made from, or both.

That is ``vocab.txt`` of WordPiece (BERT, ELECTRA), ``vocab.json`` with ``merges.txt`` of byte-level
BPE (RoBERTa), SentencePiece's file of Unigram (XLM-R, CamemBERT, ALBERT, DeBERTa)."""


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no model of its own."""
    return (folder / ADAPTER).is_file() and not (folder / CONFIG).is_file()


def onnx_file(folder: Path, precision: str | None = None) -> Path | None:
    """The ONNX file of a folder.

    Args:
        folder: a model folder.
        precision: ``fp32``, ``fp16`` or ``int8``; ``None`` takes the first there is in the order
            fp32, int8, fp16.

    Returns:
        The file, or ``None`` where the folder has none of that precision.
    """
    wanted = (precision,) if precision else ("fp32", "int8", "fp16")
    for name in wanted:
        file = folder / ONNX_FILES[name]
        if file.is_file():
            return file
    return None


def precision_of(file: Path) -> str:
    """The precision of an ONNX file, by its name; one made in the cache is float32."""
    return next((name for name, path in ONNX_FILES.items() if Path(path).name == file.name), "fp32")
