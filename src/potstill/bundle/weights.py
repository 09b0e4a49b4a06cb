"""Weights of a model folder as numpy arrays under our names, read and written.

Reads, in this order: ``model.safetensors``, a sharded ``model.safetensors.index.json``,
``pytorch_model.bin`` (through torch's ``weights_only`` loader: nothing is ever unpickled), and the
ONNX file of a bundle that carries nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potstill.bundle import layout, names
from potstill.bundle.atomic import write_bytes
from potstill.bundle.config import ModelConfig
from potstill.bundle.encoders.mpnet import BUCKETS
from potstill.bundle.heads import (
    DEFAULT,
    HEADS,
    HeadName,
    Shapes,
    architecture,
    linear_shapes,
    norm_shapes,
)
from potstill.bundle.objects import read_object
from potstill.errors import MissingExtraError, WeightsError

Array: TypeAlias = NDArray[Any]
Weights: TypeAlias = dict[str, Array]
"""Our parameter name → array; a linear layer's weight is [out, in], as torch keeps it."""


def expected_shapes(config: ModelConfig, *, head: HeadName | None = DEFAULT) -> Shapes:
    """Name → shape of every parameter that a model of this config has.

    Args:
        config: the model's shape.
        head: the head on it; ``None`` for a bare encoder.
    """
    width = config.hidden_width
    narrow = config.table_width
    biased = config.spec.biases
    shapes: Shapes = {"embeddings.word.weight": (config.vocab_size, narrow)}
    if config.has_positions:
        rows = config.max_positions + config.position_offset
        shapes["embeddings.position.weight"] = (rows, narrow)
    if config.n_token_types:
        shapes["embeddings.token_type.weight"] = (config.n_token_types, narrow)
    first = config.spec.projects_first
    shapes |= norm_shapes("embeddings.norm", width if first else narrow, biased)
    if config.projects:
        shapes |= linear_shapes("embedding_projection", width, narrow, not first)
    if config.has_position_bias:
        shapes["embeddings.distance.weight"] = (BUCKETS, config.n_heads)
    known = config.distances
    if known is not None:
        shapes["embeddings.distance.weight"] = (2 * known.span, width)
        shapes |= norm_shapes("embeddings.distance_norm", width) if known.normed else {}
    for i in range(config.n_own_layers):
        heads, ffn = config.attention_width(i), config.ffn_of(i)
        for part in ("query", "key", "value"):
            shapes |= linear_shapes(f"layers.{i}.attention.{part}", heads, width, biased)
        for part in known.projections if known is not None else ():
            shapes |= linear_shapes(f"layers.{i}.attention.{part}", heads, width)
        shapes |= linear_shapes(f"layers.{i}.attention.output", width, heads, biased)
        if i or not config.spec.pre_norm:
            shapes |= norm_shapes(f"layers.{i}.attention_norm", width, biased)
        for part in ("up", "gate") if config.spec.gated else ("up",):
            shapes |= linear_shapes(f"layers.{i}.ffn.{part}", ffn, width, biased)
        shapes |= linear_shapes(f"layers.{i}.ffn.down", width, ffn, biased)
        shapes |= norm_shapes(f"layers.{i}.ffn_norm", width, biased)
    if config.spec.pre_norm:
        shapes |= norm_shapes("final_norm", width, biased)
    return shapes | HEADS[head].shapes(config) if head else shapes


def read_weights(
    folder: Path, config: ModelConfig, *, head: HeadName = DEFAULT, require_head: bool = True
) -> Weights:
    """Reads the weights of a model folder.

    Args:
        folder: a Hugging Face model folder or a bundle.
        config: what the weights must fit.
        head: the head to read; any other that the folder has is left where it is.
        require_head: refuse a folder without this head; ``False`` leaves those parameters of the
            head out of the result that the folder lacks or has in another shape (for other labels).

    Returns:
        Our name → array, floating point as stored (float32, float16; bfloat16 widened to float32).

    Raises:
        ConfigError: models of this type have no such head.
        WeightsError: missing, truncated or corrupt weights, or a shape that does not fit.
        MissingExtraError: the folder only has ``pytorch_model.bin`` and torch is not installed.
    """
    architecture(config, head)  # refuses a head that such models do not have
    stored = _parted(_read_any(folder, config, head))
    known = HEADS[head]
    of_head = known.shapes(config)
    missing = [name for name in of_head if name not in stored]
    shapes = expected_shapes(config, head=None)
    check_weights(stored, shapes, where=str(folder))
    if require_head and missing:
        raise WeightsError(f"{folder} has no {known.title}: {known.remedy}")
    if not require_head:
        fits = [n for n, shape in of_head.items() if n in stored and stored[n].shape == shape]
        of_head = {name: of_head[name] for name in fits}
    check_weights(stored, of_head, where=str(folder))
    if known.speaks_words(config) and not missing:
        _check_tied(stored, folder)
    return {name: stored[name] for name in (*shapes, *of_head)}


def check_weights(
    weights: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]], *, where: str
) -> None:
    """Checks that every expected parameter is there, in its shape, and a float.

    Raises:
        WeightsError: names the first parameter that is wrong.
    """
    missing = [name for name in shapes if name not in weights]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise WeightsError(f"{where} lacks the weight {missing[0]}{more} that its config asks for")
    for name, shape in shapes.items():
        found = weights[name]
        if found.shape != shape:
            raise WeightsError(
                f"{where}: {name} has shape {_text(found.shape)}, "
                f"but config.json asks for {_text(shape)}"
            )
        if found.dtype.kind != "f":
            raise WeightsError(f"{where}: {name} holds {found.dtype}, not floating-point numbers")


def write_weights(
    path: Path, weights: Mapping[str, Array], config: ModelConfig, head: HeadName = DEFAULT
) -> None:
    """Writes weights to one safetensors file under Hugging Face's names, in one step.

    Args:
        path: the file.
        weights: of the encoder and its head.
        config: the model's shape.
        head: what the encoder carries; the names of some parameters depend on it.

    Raises:
        WeightsError: a name the table does not know.
        OutputError: the file could not be written; ``path`` is as it was before.
    """
    from safetensors.numpy import save

    # save_file is not used: it makes files that only their owner may read.
    write_bytes(path, save(to_hf(weights, config, head), metadata={"format": "pt"}))


def to_hf(weights: Mapping[str, Array], config: ModelConfig, head: HeadName = DEFAULT) -> Weights:
    """The same arrays under Hugging Face's names.

    Raises:
        WeightsError: a name the description of the encoder does not know.
    """
    found: dict[str, list[Array | None]] = {}
    for name, array in weights.items():
        try:
            theirs, at, n = names.placed(config.model_type, name, head)
        except KeyError:
            raise WeightsError(
                f"{name} is not a parameter of a {config.model_type} model"
            ) from None
        found.setdefault(theirs, [None] * n)[at] = array
    renamed: Weights = {}
    for theirs, several in found.items():
        whole = [array for array in several if array is not None]
        if len(whole) < len(several):
            raise WeightsError(f"{theirs} is held in {len(several)} parts, and some are missing")
        # A file holds the buffer as it lies in memory: a transposed view would be scrambled.
        renamed[theirs] = np.ascontiguousarray(
            whole[0] if len(whole) == 1 else np.concatenate(whole)
        )
    return renamed


def _parted(stored: Weights) -> Weights:
    """Matrices that a file holds one below the other, each under its own name."""
    found: Weights = {}
    for name, array in stored.items():
        ours = names.parts(name)
        if len(ours) > 1 and (not array.ndim or array.shape[0] % len(ours)):
            raise WeightsError(
                f"{' and '.join(ours)} have {_text(array.shape)} numbers in all: damaged"
            )
        found |= zip(ours, np.split(array, len(ours)) if len(ours) > 1 else [array], strict=True)
    return found


def weights_file(folder: Path) -> Path:
    """The file that a folder's weights are read from: the exactest it has.

    Raises:
        WeightsError: the folder has none.
    """
    named = [layout.WEIGHTS, layout.WEIGHTS_INDEX, layout.TORCH_WEIGHTS, layout.TORCH_INDEX]
    named += [layout.ONNX_FILES[precision] for precision in ("fp32", "fp16", "int8")]
    for name in named:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(
        f"{folder} has no weights: expected {layout.WEIGHTS}, {layout.WEIGHTS_INDEX}, "
        f"{layout.TORCH_WEIGHTS} or {layout.ONNX}"
    )


def _read_any(folder: Path, config: ModelConfig, head: HeadName) -> Weights:
    file = weights_file(folder)
    if file.name == layout.WEIGHTS:
        return _read_safetensors([file], config, head)
    if file.name == layout.WEIGHTS_INDEX:
        return _read_safetensors(_shards(file), config, head)
    if file.name in (layout.TORCH_WEIGHTS, layout.TORCH_INDEX):
        files = [file] if file.name == layout.TORCH_WEIGHTS else _shards(file)
        parts = [_read_torch(one, config, head) for one in files]
        return {name: array for part in parts for name, array in part.items()}
    # Imported late: onnx costs a light start about 0.1 s and most folders do not need it.
    from potstill.bundle.onnx_weights import read_onnx_weights

    return read_onnx_weights(file)


def _shards(index: Path) -> list[Path]:
    try:
        values = read_object(index, WeightsError)
        files = sorted(set(values["weight_map"].values()))
    except (KeyError, TypeError, AttributeError, OSError) as error:
        raise WeightsError(f"{index} is not an index of weight files: {error}") from None
    shards: list[Path] = []
    for name in files:
        # A plain file name only: an index must not reach outside its folder.
        if not isinstance(name, str) or Path(name).name != name:
            raise WeightsError(f"{index} names {name!r}, which is not a file of its folder")
        if not (index.parent / name).is_file():
            raise WeightsError(f"{index.parent} lacks {name}, which its index names")
        shards.append(index.parent / name)
    return shards


def read_tensors(file: Path, choose: Callable[[list[str]], Mapping[str, str]]) -> Weights:
    """Reads tensors of one safetensors file.

    Args:
        file: the file.
        choose: the names in the file → those that are wanted, each under the name to have here.

    Returns:
        Name → array, floating point as stored (bfloat16 widened to float32).

    Raises:
        WeightsError: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    weights: Weights = {}
    try:
        with safe_open(file, framework="numpy") as tensors:
            for ours, theirs in choose(list(tensors.keys())).items():
                # numpy has no bfloat16 of its own, so get_tensor cannot be relied on for it.
                is_bfloat16 = tensors.get_slice(theirs).get_dtype() == "BF16"
                weights[ours] = (
                    _bfloat16(file, theirs) if is_bfloat16 else tensors.get_tensor(theirs)
                )
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{file} is truncated or not a safetensors file ({error}); download or save it again"
        ) from None
    return weights


def _read_safetensors(files: list[Path], config: ModelConfig, head: HeadName) -> Weights:
    parts = [
        read_tensors(file, lambda found: names.split_known(config.model_type, found, head)[0])
        for file in files
    ]
    return {name: array for part in parts for name, array in part.items()}


def _bfloat16(file: Path, name: str) -> Array:
    """Widens a stored bfloat16 tensor to float32: its bits are the upper half of a float32's."""
    with file.open("rb") as handle:
        header_len = int.from_bytes(handle.read(8), "little")
        entry = json.loads(handle.read(header_len))[name]
        start, stop = entry["data_offsets"]
        handle.seek(8 + header_len + start)
        bits = np.frombuffer(handle.read(stop - start), dtype="<u2")
    return (bits.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def _read_torch(file: Path, config: ModelConfig, head: HeadName) -> Weights:
    try:
        import torch
    except ImportError:
        raise MissingExtraError(
            "torch",
            "train",
            f"{file.parent} only has {file.name}, which is not a safetensors file: "
            "converting it once "
            f"with `potstill export {file.parent} OUT --format hf`",
        ) from None
    import pickle

    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=False)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        says = f"{file} is truncated or not a file of plain tensors ({reason})"
        raise WeightsError(says) from None
    if not isinstance(state, dict):
        raise WeightsError(f"{file} holds a {type(state).__name__}, not a dictionary of tensors")
    found = [name for name in state if isinstance(name, str)]
    known, _ = names.split_known(config.model_type, found, head)
    weights: Weights = {}
    for ours, theirs in known.items():
        tensor = state[theirs]
        if not isinstance(tensor, torch.Tensor):
            raise WeightsError(f"{file}: {theirs} is not a tensor")
        if tensor.dtype == torch.bfloat16:
            tensor = tensor.float()
        weights[ours] = tensor.detach().contiguous().numpy()
    return weights


def _check_tied(stored: Weights, folder: Path) -> None:
    decoder = stored.get("lm_head.weight")  # older files repeat the word table under this name
    if decoder is not None and not np.array_equal(decoder, stored["embeddings.word.weight"]):
        raise WeightsError(
            f"{folder} has a masked-LM decoder of its own, which is not supported: "
            "tie it to the word embeddings (tie_word_embeddings) and save the model again"
        )


def _text(shape: tuple[int, ...]) -> str:
    return "×".join(str(n) for n in shape) or "scalar"
