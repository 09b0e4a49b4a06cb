"""Adapters in PEFT's folders: what a model has learned, apart from the model it started from.

Source: ``adapter_config.json`` and ``adapter_model.safetensors`` as the ``peft`` library has them
(https://huggingface.co/docs/peft/developer_guides/checkpoint), for LoRA. Read, an adapter is folded
into its base's weights, and the model lies in the cache as a folder like any other.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from potstill.bundle import layout, names
from potstill.bundle.atomic import replacing_folder, write_bytes, write_json
from potstill.bundle.cache import cache_folder, source_hash
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.heads import HEADS, HeadName, hf_config
from potstill.bundle.manifest import sha256_of
from potstill.bundle.objects import read_object
from potstill.bundle.weights import Weights, read_tensors, read_weights, write_weights
from potstill.errors import ModelError, WeightsError

_PREFIX = "base_model.model."
_UNSUPPORTED = ("use_dora", "fan_in_fan_out", "layer_replication", "rank_pattern", "alpha_pattern")


def base_of(folder: Path) -> str:
    """The model that an adapter was trained on, a hub id or a folder.

    Raises:
        ModelError: its config names none.
    """
    base = read_object(folder / layout.ADAPTER, ModelError).get("base_model_name_or_path")
    if not isinstance(base, str) or not base.strip():
        raise ModelError(
            f"{folder / layout.ADAPTER} names no base_model_name_or_path: give it the base"
        )
    return base


def merged(folder: Path, base: Path) -> Path:
    """The folder of the whole model: made in the cache where it is not there yet.

    Args:
        folder: of the adapter.
        base: of the model that it was trained on.

    Raises:
        ModelError: the adapter is of a kind that cannot be folded in.
        WeightsError: its weights are damaged or do not fit the base.
        OutputError: the cache could not be written.
    """
    values = read_object(folder / layout.ADAPTER, ModelError)
    head, scale = _kind(folder, values)
    if not (folder / layout.ADAPTER_WEIGHTS).is_file():
        raise WeightsError(
            f"{folder} lacks {layout.ADAPTER_WEIGHTS}: save the adapter as safetensors"
        )
    own = [folder / name for name in (layout.ADAPTER, layout.ADAPTER_WEIGHTS, layout.MANIFEST)]
    stamp = ":".join([source_hash(base), *(sha256_of(file) for file in own if file.is_file())])
    made = cache_folder() / "adapters" / hashlib.sha256(stamp.encode()).hexdigest()
    if made.is_dir():
        return made
    config = read_config(base)
    weights = read_weights(base, config, head=head, require_head=False)
    _fold(weights, folder / layout.ADAPTER_WEIGHTS, config, head, scale)
    with replacing_folder(made) as temporary:
        write_weights(temporary / layout.WEIGHTS, weights, config, head)
        write_json(temporary / layout.CONFIG, hf_config(config, head, dtype="float32"))
        for name in (*layout.TEXT_FILES, layout.MANIFEST):
            source = next((at / name for at in (folder, base) if (at / name).is_file()), None)
            if source and (name != layout.MANIFEST or source.parent == folder):
                shutil.copyfile(source, temporary / name)
    return made


def write_adapter(
    folder: Path,
    matrices: dict[str, tuple[np.ndarray, np.ndarray]],
    head_weights: Weights,
    config: ModelConfig,
    head: HeadName,
    *,
    base: str,
    scale: float,
) -> None:
    """Writes an adapter as PEFT does, in float16.

    Args:
        folder: made where it is missing.
        matrices: our name of a dense layer's weight → ``down`` [rank, in] and ``up`` [out, rank].
        head_weights: of the head, which is trained whole.
        config: of the base.
        head: what it carries.
        base: hub id or folder of the model that it was trained on.
        scale: weight of what the adapter adds.

    Raises:
        OutputError: a file could not be written.
    """
    from safetensors.numpy import save

    tensors: Weights = {}
    modules: set[str] = set()
    rank = 0
    for ours, (down, up) in matrices.items():
        module = names.to_hf(config.model_type, ours, head).removesuffix(".weight")
        modules.add(module.partition(".layer.")[2].partition(".")[2])
        tensors[f"{_PREFIX}{module}.lora_A.weight"] = down
        tensors[f"{_PREFIX}{module}.lora_B.weight"] = up
        rank = len(down)
    kept: set[str] = set()
    for ours, array in head_weights.items():
        theirs = names.to_hf(config.model_type, ours, head)
        kept.add(theirs.rpartition(".")[0])
        tensors[_PREFIX + theirs] = array
    halves = {name: np.ascontiguousarray(a, np.float16) for name, a in tensors.items()}
    write_bytes(folder / layout.ADAPTER_WEIGHTS, save(halves, metadata={"format": "pt"}))
    write_json(
        folder / layout.ADAPTER,
        {
            "peft_type": "LORA",
            "task_type": HEADS[head].peft,
            "base_model_name_or_path": base,
            "r": rank,
            "lora_alpha": scale * rank,
            "target_modules": sorted(modules),
            "modules_to_save": sorted(kept),
            "bias": "none",
            "inference_mode": True,
        },
    )


def _kind(folder: Path, values: dict[str, Any]) -> tuple[HeadName, float]:
    """An adapter's head, and the weight of what it adds."""
    where = folder / layout.ADAPTER
    if values.get("peft_type") != "LORA":
        raise ModelError(f"{where}: peft_type is {values.get('peft_type')!r}; only LORA is read")
    for key in _UNSUPPORTED:
        if values.get(key):
            raise ModelError(f"{where}: {key} is not supported: merge it with peft and save again")
    tasks = {known.peft: name for name, known in HEADS.items() if known.peft}
    head = tasks.get(str(values.get("task_type")))
    if head is None:
        known = ", ".join(tasks)
        raise ModelError(f"{where}: task_type is {values.get('task_type')!r}, not one of {known}")
    rank, alpha = values.get("r"), values.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, (int, float)):
        raise ModelError(f"{where}: r {rank!r} and lora_alpha {alpha!r} are not numbers of a LoRA")
    return head, alpha / rank**0.5 if values.get("use_rslora") else alpha / rank


def _fold(weights: Weights, file: Path, config: ModelConfig, head: HeadName, scale: float) -> None:
    """Adds an adapter to a base's weights, in place."""
    stored = read_tensors(file, lambda found: {name: name for name in found})
    of_head = HEADS[head].shapes(config)
    for name in sorted(stored):
        module, _, part = name.removeprefix(_PREFIX).partition(".lora_")
        if part == "B.weight":
            continue  # taken with its A
        theirs = f"{module}.weight" if part else module
        ours = names.from_hf(config.model_type, theirs, head)
        if ours is None or (part and (part != "A.weight" or ours not in weights)):
            raise WeightsError(f"{file}: {name} is not a weight of the base, a {config.model_type}")
        if not part:
            weights[ours] = stored[name].astype(np.float32)
            continue
        down, up = stored[name], stored.get(name.replace(".lora_A.", ".lora_B."))
        if up is None or (up.shape[0], down.shape[1]) != weights[ours].shape:
            raise WeightsError(f"{file}: {name} and its lora_B do not fit the base's {theirs}")
        added = scale * up.astype(np.float32) @ down.astype(np.float32)
        weights[ours] = weights[ours].astype(np.float32) + added
    missing = [name for name in of_head if name not in weights]
    if missing:
        raise WeightsError(f"{file} lacks {missing[0]}, which the base does not have either")
