"""``potstill.json``: what a bundle is, how it was made, how good it is, and hashes of its files."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from potstill.bundle.atomic import write_json
from potstill.bundle.config import ModelConfig
from potstill.bundle.encoders.spec import HeadName
from potstill.bundle.heads import DEFAULT, HEADS, head_of, head_of_task
from potstill.bundle.layout import MANIFEST
from potstill.bundle.objects import read_object
from potstill.errors import ModelError

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One file of a bundle as it was when it was written."""

    sha256: str
    size: int
    """Bytes."""
    kind: str = "file"
    """``weights``, ``tokenizer``, ``file``, or of what computes the family and precision:
    ``onnx-fp32``, ``onnx-fp16``, ``onnx-int8``, ``savedmodel-fp32``, ``tfjs-uint8``, …"""
    max_abs_diff: float | None = None
    """Largest |Δ| of a logit against the source on the stored inputs, for files that were run."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else is known: tool versions, the quantisation scheme, scores of this very file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The values of ``potstill.json``."""

    format_version: int = FORMAT_VERSION
    task: str = "question-answering"
    no_answer: bool = False
    """True where the model was trained with unanswerable questions, so that null competes."""
    null_threshold: float = 0.0
    """Null is answered where its score exceeds the best span's by more than this (SQuAD v2.0)."""
    tidy_questions: bool = False
    """Whether a question is mended before it is read: its mark, and words mistyped. True where
    nearly all questions that the model was taught with have a mark."""
    seq_len: int = 384
    stride: int = 128
    """Tokens of context that two neighbouring windows share."""
    max_windows: int = 1
    """Windows of ``seq_len`` tokens in which a text classifier reads a long text, from its
    beginning to its end; 0 for as many as it takes."""
    max_answer_tokens: int = 30
    name: str = ""
    licence: str = ""
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    """Path inside the folder, with forward slashes → record."""
    data: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    """What the card says of where the model comes from: ``base_model`` (hub id), ``licence`` and
    ``language`` of the base, ``datasets`` (hub ids)."""
    scores: Mapping[str, Any] = field(default_factory=dict)
    hardware: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    """How ``null_threshold`` and ``temperature`` (what logits are divided by before they become
    probabilities) were fitted, and how well."""
    tools: Mapping[str, str] = field(default_factory=dict)
    """Package → version that wrote the bundle."""


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; ``None`` where it has none (any Hugging Face folder).

    Keys that this version does not know are ignored, so that a newer bundle still answers.

    Raises:
        ModelError: the file is not a manifest.
    """
    path = folder / MANIFEST
    try:
        values = read_object(path, ModelError)
    except FileNotFoundError:
        return None
    version = values.get("format_version")
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise ModelError(
            f"{path} has format_version {version!r}; this potstill reads up to {FORMAT_VERSION}: "
            "upgrade potstill"
        )
    try:
        records = {
            name: FileRecord(**_known(FileRecord, record))
            for name, record in values.pop("files", {}).items()
        }
        manifest = Manifest(files=records, **_known(Manifest, values))
    except (TypeError, AttributeError) as error:
        raise ModelError(f"{path} is not a manifest: {error}") from None
    _check(manifest, path)
    return manifest


def named_head(folder: Path, config: ModelConfig) -> HeadName | None:
    """The head that a model folder says it is for: its manifest, otherwise its config.

    Returns:
        ``None`` where neither says, as of any bare encoder: its weights will tell.

    Raises:
        ModelError: the manifest is damaged, or names a task that this version does not know.
    """
    manifest = read_manifest(folder)
    if manifest is not None:
        head = head_of_task(manifest.task)
        if head is not None:
            return head
        known = ", ".join(head.task for head in HEADS.values() if head.task)
        raise ModelError(
            f"{folder / MANIFEST} names the task {manifest.task!r}, which is none of {known}: "
            "upgrade potstill, or install what adds the task"
        )
    named = head_of(config)
    return named if named and HEADS[named].task else None


def head_of_folder(folder: Path, config: ModelConfig) -> HeadName:
    """`named_head`; where a folder does not say, question answering's.

    Raises:
        ModelError: the manifest is damaged.
    """
    return named_head(folder, config) or DEFAULT


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes ``folder/potstill.json`` in one step, with the ``digest_of`` all its fields.

    Raises:
        OutputError: the file could not be written.
    """
    values = asdict(manifest)
    write_json(folder / MANIFEST, {**values, "digest": digest_of(values)})


def digest_of(values: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON object, whatever the order and layout of its keys."""
    # As they are read again: a tuple is a list there, and a number as key a string.
    plain = json.loads(json.dumps(values))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def has_own_digest(folder: Path) -> bool:
    """Whether the manifest of a folder is, field by field, what was written.

    Raises:
        ModelError: it cannot be read.
    """
    path = folder / MANIFEST
    values = read_object(path, ModelError)
    return values.pop("digest", None) == digest_of(values)


def sha256_of(file: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def record_file(
    file: Path,
    *,
    kind: str = "file",
    max_abs_diff: float | None = None,
    info: Mapping[str, Any] | None = None,
) -> FileRecord:
    """The record of a file that has just been written."""
    return FileRecord(
        sha256=sha256_of(file),
        size=file.stat().st_size,
        kind=kind,
        max_abs_diff=max_abs_diff,
        info=dict(info or {}),
    )


def _known(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(cls)}
    return {name: value for name, value in values.items() if name in names}


def _check(manifest: Manifest, path: Path) -> None:
    _check_kinds(manifest, path)
    for name in ("seq_len", "stride", "max_answer_tokens"):
        value = getattr(manifest, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(f"{path}: {name} must be a positive integer, not {value!r}")
    windows = manifest.max_windows
    if not isinstance(windows, int) or isinstance(windows, bool) or windows < 0:
        raise ModelError(f"{path}: max_windows must be an integer of 0 or more, not {windows!r}")
    if not isinstance(manifest.null_threshold, (int, float)):
        raise ModelError(f"{path}: null_threshold must be a number")
    for name in ("no_answer", "tidy_questions"):
        if not isinstance(getattr(manifest, name), bool):
            raise ModelError(f"{path}: {name} must be true or false")
    temperature = manifest.calibration.get("temperature", 1.0)
    if not isinstance(temperature, (int, float)) or not 0 < temperature < math.inf:
        raise ModelError(f"{path}: calibration's temperature must be a number above 0")
    for name, least, most in (("temperatures", 0.0, math.inf), ("thresholds", -1e-9, 1.0 + 1e-9)):
        values: Any = manifest.calibration.get(name, {})
        if not isinstance(values, Mapping):
            raise ModelError(f"{path}: calibration's {name} must map each label to a number")
        for label, value in values.items():
            if not isinstance(value, (int, float)) or not least < value < most:
                raise ModelError(f"{path}: calibration's {name} of {label!r} cannot be {value!r}")


def _check_kinds(manifest: Manifest, path: Path) -> None:
    for name in ("data", "recipe", "origin", "scores", "hardware", "calibration", "tools"):
        if not isinstance(getattr(manifest, name), Mapping):
            raise ModelError(f"{path}: {name} must be an object")
    for name in ("task", "name", "licence"):
        if not isinstance(getattr(manifest, name), str):
            raise ModelError(f"{path}: {name} must be a string")
    for name, record in manifest.files.items():
        kinds = (record.sha256, str), (record.size, int), (record.kind, str)
        if not all(isinstance(value, kind) for value, kind in kinds) or not isinstance(
            record.info, Mapping
        ):
            raise ModelError(f"{path}: the record of {name!r:.60} is damaged")
