"""Names of the files of a model folder, and where a model named by the user lies.

A bundle is a Hugging Face model folder with a manifest; see docs/architecture.md.
"""

from __future__ import annotations

import importlib.resources
import re
from pathlib import Path

from potstill.errors import ModelNotFoundError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
TORCH_WEIGHTS = "pytorch_model.bin"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
VOCAB = "vocab.txt"
VOCAB_JSON = "vocab.json"
MERGES = "merges.txt"
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

TEXT_FILES = (TOKENIZER, TOKENIZER_CONFIG, SPECIAL_TOKENS, VOCAB, VOCAB_JSON, MERGES)
"""Files of a tokenizer: ``tokenizer.json``, or what it can be made from, or both.

That is ``vocab.txt`` of WordPiece (BERT, ELECTRA), ``vocab.json`` with ``merges.txt`` of byte-level
BPE (RoBERTa)."""

DEFAULT = "default"
"""Name of the reader that ships inside the package and is meant where none is named."""
SMALL = "small"
"""Name of the smaller and quicker reader that ships beside it."""
EMBEDDED = (DEFAULT, SMALL)

# "owner/name" or the old bare "name"; the hub's own rule for what a repository may be called.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w][\w.-]*)?", re.ASCII)


def embedded_folder(name: str = DEFAULT) -> Path:
    """The folder inside the package that holds an embedded bundle.

    Raises:
        ModelNotFoundError: this installation carries no such bundle.
    """
    folder = Path(str(importlib.resources.files("potstill"))) / "embedded" / name
    if not (folder / CONFIG).is_file():
        raise ModelNotFoundError(
            f"this installation carries no embedded model {name!r}: "
            "reinstall potstill or name a model folder or hub id"
        )
    return folder


def find_model(model: str | Path, *, revision: str | None = None, weights: bool = True) -> Path:
    """The local folder of the model the user named.

    Args:
        model: ``"default"`` or ``"small"`` (the embedded readers), a folder, or a hub id such as
            ``"owner/name"``, which is downloaded into the hub's cache where it is not there yet.
        revision: branch, tag or commit of a hub id; ignored for folders.
        weights: download them too; a config or a tokenizer does without.

    Raises:
        ModelNotFoundError: no such folder or hub id.
        HubError: the hub could not be reached.
    """
    if not str(model).strip():
        raise ModelNotFoundError("the model's name is empty; give 'default', a folder or a hub id")
    if model in EMBEDDED and isinstance(model, str):
        return embedded_folder(model)
    folder = Path(model).expanduser()
    if _is_folder(folder):
        return folder
    if not _is_hub_id(model):
        raise ModelNotFoundError(
            f"{str(model)!r} is no model: there is no such folder"
            + (", it is a file" if _is_file(folder) else "")
            + "; give a folder, a hub id such as owner/name, 'default' or 'small'"
        )
    # Imported late: a local model must not pay for the hub client's import.
    from potstill.bundle.hub import download

    return download(str(model), revision=revision, weights=weights)


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


def _is_hub_id(model: str | Path) -> bool:
    return isinstance(model, str) and _HUB_ID.fullmatch(model) is not None and ".." not in model


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long for the file system, or with a NUL in it
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
