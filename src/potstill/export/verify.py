"""Every exported file is run and held against the reference before anyone else sees it.

The inputs are made from the config and a fixed seed, so they need not be stored. What a file
answered on a small part of them is kept in the manifest, so that a bundle can be replayed later on
another machine, even where nothing but one int8 file is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potstill.bundle import layout
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.heads import HEADS, HeadName
from potstill.bundle.manifest import (
    FileRecord,
    has_own_digest,
    head_of_folder,
    read_manifest,
    sha256_of,
)
from potstill.bundle.weights import Weights
from potstill.errors import ExportError
from potstill.export.reference import forward
from potstill.export.targets import RUNTIMES
from potstill.runtime.session import Session
from potstill.text.windows import Batch

SEED = 20
_LENGTHS = ((5, 24, 13), (96,), (64, 1, 41))
"""Row lengths of each batch: ragged ones, one alone, and a row of a single token."""

TOLERANCE = {"fp32": 1e-4, "fp16": 0.02, "int8": 0.35, "uint8": 0.35}
"""Largest |Δ| of a logit that passes, as a part of the reference's `Reference.scale`.

A wrong graph is off by about the whole range; random ids, which these are, are harder on int8 than
text. How much quality int8 costs is for the gate to say, not for this."""
_TURNED = 0.01
"""Share of a head's logits by token that may be off by more where integers are multiplied.

A large model that was trained hard is of two minds about some places of random ids, and rounding
decides between them: MPNet taught on half of SQuAD turned over at the first token of one row of
seven, and kept all but 0.5 of its F1 on text."""
_REPLAY = {"fp32": 1e-3, "fp16": 0.05, "int8": 0.1, "uint8": 1e-3}
"""The same for a replay: rounding differs a little from one processor to the next."""

_KEPT = 16
"""Logits of a place that are kept for a replay: a language model has as many as its vocabulary."""

_WEIGHT_SUFFIXES = frozenset(
    ".safetensors .bin .pt .pth .ckpt .onnx .h5 .msgpack .tflite .pb .xml .mlmodel .npz".split()
)
"""Files that some library would read weights from."""

Logits: TypeAlias = "tuple[NDArray[Any], ...]"


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What a model says about `inputs`, by a plain numpy forward pass."""

    head: HeadName
    logits: list[Logits]
    """A tuple of outputs for each batch."""
    scale: float
    """What a difference is measured by: the range of the logits. Where a head gives one row a
    text, random ids may all be given nearly the same, so it is at least what its last layer makes
    of a vector of length 1."""


def inputs(config: ModelConfig) -> list[Batch]:
    """The batches that files are verified on: random ids, ragged masks, several lengths."""
    random = np.random.default_rng(SEED)
    batches: list[Batch] = []
    for wanted in _LENGTHS:
        lengths = np.minimum(wanted, config.max_positions)
        shape = len(lengths), int(lengths.max())
        at = np.arange(shape[1])
        batches.append(
            Batch(
                random.integers(0, config.vocab_size, shape, dtype=np.int64),
                (at < lengths[:, None]).astype(np.int64),
                ((at >= lengths[:, None] // 3) * (config.n_token_types > 1)).astype(np.int64),
            )
        )
    return batches


def reference_of(config: ModelConfig, weights: Weights, head: HeadName) -> Reference:
    """Runs the plain forward pass of a model."""
    batches = inputs(config)
    logits = [
        forward(config, weights, b.input_ids, b.attention_mask, b.token_type_ids, head)
        for b in batches
    ]
    scale = max(_range(one, b, head) for one, b in zip(logits, batches, strict=True))
    if not HEADS[head].by_token:
        layer = weights[f"{HEADS[head].last(config).name}.weight"]
        last = np.linalg.norm(layer.astype(np.float64), axis=1)
        scale = max(scale, float(last.max()))
    return Reference(head, logits, scale)


def verify(
    file: Path, kind: str, config: ModelConfig, reference: Reference
) -> tuple[float, dict[str, Any]]:
    """Runs a file in its own runtime and compares it with the reference.

    Args:
        file: an ONNX file, or the main file of any other format.
        kind: of the file, as the manifest calls it; decides what runs it and how much may differ.
        config: of the model the file was made from.
        reference: from `reference_of`.

    Returns:
        The largest |Δ| of a logit at a position that is not masked, and what to keep for a replay.

    Raises:
        ExportError: the file differs by more than its precision explains.
        MissingExtraError: the runtime is not installed.
    """
    family, _, precision = kind.partition("-")
    head, largest, first = reference.head, 0.0, {}
    for opened in RUNTIMES[family].sessions:
        session = opened(file, head)
        found = _answers(session, config)
        if not found:  # a signature of a length below that of every batch
            continue
        off = compare(file.name, precision, found, reference)
        largest = max(largest, off)
        first = first or {
            name: np.round(logits[..., : _kept(head)].astype(np.float64), 5).tolist()
            for name, logits in zip(HEADS[head].outputs, found[0][2], strict=True)
        }
    return largest, {"seed": SEED, "scale": reference.scale, **first}


def compare(
    name: str, precision: str, found: list[tuple[int, Batch, Logits]], reference: Reference
) -> float:
    """The largest |Δ| of what was found for batches of `inputs`: number, batch, outputs.

    Raises:
        ExportError: it is more than the precision explains.
    """
    off = np.concatenate(
        [_differences(said, reference.logits[i], b, reference.head) for i, b, said in found]
    )
    turned = _TURNED if precision == "int8" and HEADS[reference.head].by_token else 0.0
    differs = float(np.quantile(off, 1 - turned))  # a nan stays one
    allowed = TOLERANCE[precision] * reference.scale
    if not differs <= allowed:
        raise ExportError(
            f"{name} is wrong: a logit differs from the reference by {differs:.3g}, "
            f"{precision} explains {allowed:.3g} at most"
        )
    return float(np.max(off))


def _answers(
    session: Session, config: ModelConfig, *, first_only: bool = False
) -> list[tuple[int, Batch, Logits]]:
    """What a session says to each batch that fits it: number, batch, outputs."""
    longest: int | None = getattr(session, "seq_len", None)  # of a signature of one length
    return [
        (i, batch, session.run(batch))
        for i, batch in enumerate(inputs(config)[: 1 if first_only else None])
        if longest is None or batch.input_ids.shape[1] <= longest
    ]


def check_bundle(folder: Path) -> list[str]:
    """Checks a bundle: its manifest, hashes of all files, and a replay of each that runs.

    The manifest is held against the digest of its own fields; weights that it does not name are
    refused, as a library might read them instead.

    A file whose runtime is not installed here is not replayed, which its line says.

    Returns:
        One line a file that was checked.

    Raises:
        ExportError: a file is missing, was changed or added, or answers differently.
        ModelError: the folder is no bundle.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise ExportError(f"{folder} has no {layout.MANIFEST}, so there is nothing to check it by")
    if not has_own_digest(folder):
        raise ExportError(
            f"{folder / layout.MANIFEST} was changed since it was written: its digest differs"
        )
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.suffix not in _WEIGHT_SUFFIXES or name.startswith("checkpoints/"):
            continue
        if file.is_file() and name not in manifest.files:
            raise ExportError(
                f"{file} is not in {layout.MANIFEST}: remove it, or export the folder again"
            )
    config = read_config(folder)
    head = head_of_folder(folder, config)
    lines: list[str] = []
    for name, record in manifest.files.items():
        file = folder / name
        if not file.is_file():
            raise ExportError(f"{file} is missing, but {layout.MANIFEST} names it")
        if file.stat().st_size != record.size or sha256_of(file) != record.sha256:
            raise ExportError(f"{file} was changed since it was written: its hash differs")
        replayed = _replay(file, record, config, head)
        lines.append(f"{name}: {record.size:,} bytes, hash as written{replayed}")
    return lines


def _replay(file: Path, record: FileRecord, config: ModelConfig, head: HeadName) -> str:
    family, _, precision = record.kind.partition("-")
    runtime = RUNTIMES.get(family)
    if runtime is None or not precision:
        return ""
    if not runtime.sessions:
        return ", not run: that takes a Mac"
    if runtime.missing is not None:
        return f", not replayed: pip install 'potstill[{runtime.extra}]'"
    kept: Mapping[str, Any] | None = record.info.get("replay")
    if not kept:
        return ""
    batch = inputs(config)[0]
    before = tuple(np.array(kept[name]) for name in HEADS[head].outputs)
    scale = kept.get("scale") or _range(before, batch, head)
    largest = 0.0
    for opened in runtime.sessions:
        for _, _, said in _answers(opened(file, head), config, first_only=True):
            now = tuple(logits[..., : _kept(head)] for logits in said)
            largest = float(np.maximum(largest, _differences(now, before, batch, head).max()))
            if not largest <= _REPLAY[precision] * scale:
                raise ExportError(
                    f"{file} answers differently here: a logit is off by {largest:.3g} from what "
                    f"{layout.MANIFEST} has"
                )
    return f", replayed within {largest:.2g}"


def _kept(head: HeadName) -> int | None:
    # Of several outputs each has one logit a place.
    return None if len(HEADS[head].outputs) > 1 else _KEPT


def _seen(logits: NDArray[Any], batch: Batch, head: HeadName) -> NDArray[Any]:
    """The logits of real tokens, or those of whole rows."""
    return logits[batch.attention_mask == 1] if HEADS[head].by_token else logits


def _differences(one: Logits, other: Logits, batch: Batch, head: HeadName) -> NDArray[Any]:
    """|Δ| of every logit that counts."""
    return np.concatenate(
        [
            np.abs(_seen(a, batch, head) - _seen(b, batch, head)).ravel()
            for a, b in zip(one, other, strict=True)
        ]
    )


def _range(logits: Logits, batch: Batch, head: HeadName) -> float:
    values = np.concatenate([_seen(part, batch, head).ravel() for part in logits])
    return float(values.max() - values.min())
