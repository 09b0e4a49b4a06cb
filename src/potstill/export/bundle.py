"""A model in, a whole folder out: config, tokenizer, card, weights, ONNX files and the manifest.

The folder is put together under a temporary name, every ONNX file in it is run and compared, the
gate is asked, and only then is it moved to where it was wanted.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from potstill.bundle import layout
from potstill.bundle.atomic import replacing_folder, write_text
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.heads import TASKS, HeadName
from potstill.bundle.manifest import (
    FileRecord,
    Manifest,
    head_of_folder,
    read_manifest,
    record_file,
    write_manifest,
)
from potstill.bundle.onnx_graph import Storage, build_graph
from potstill.bundle.weights import Weights, read_weights, weights_file, write_weights
from potstill.errors import ExportError, InputError, OutputError
from potstill.export.card import model_card
from potstill.export.files import write_config, write_tokenizer
from potstill.export.gate import Gate
from potstill.export.int8 import int8_storage
from potstill.export.verify import Reference, reference_of, verify

FORMATS = ("hf", "onnx", "fp16", "int8")
_PRECISION = {"onnx": "fp32", "fp16": "fp16", "int8": "int8"}
_INT8_SCHEME = "weights int8 per column, activations uint8 per token, 32-bit sums"
_TEXT_KINDS = {name: "tokenizer" for name in layout.TEXT_FILES}

Say = Callable[[str], None]
"""Told one line about each step."""


@dataclass(slots=True)
class _Export:
    """What is known while a folder is put together."""

    config: ModelConfig
    head: HeadName
    weights: Weights
    out: Path
    reference: Reference | None
    """None where no ONNX file is asked for."""
    gate: Gate | None
    say: Say
    int8: Path | None
    """The int8 file that the weights were read back from, where that is all the source has."""
    records: dict[str, FileRecord] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    """Precision → what the gate measured."""


def export_bundle(
    source: str | Path,
    out: str | Path,
    formats: Iterable[str] = ("hf",),
    *,
    revision: str | None = None,
    gate: Gate | None = None,
    say: Say = lambda line: None,
) -> Manifest:
    """Writes a model in one or more formats into a folder.

    Args:
        source: ``"default"``, a model folder or a hub id.
        out: folder to write; one that an earlier export wrote is replaced.
        formats: any of `FORMATS`: ``hf`` (float32 safetensors), ``onnx`` (float32), ``fp16``,
            ``int8``; or ``all``.
        revision: branch, tag or commit of a hub id.
        gate: refuses a float16 or int8 file that loses too much of its task's score.
        say: told one line about each step.

    Returns:
        The manifest that was written.

    Raises:
        InputError: an unknown format, or a gate for another task.
        ModelError: the source is missing, damaged or not supported.
        ExportError: a written file does not compute what the source does.
        GateError: a file would lose more of its score than the gate allows.
        OutputError: ``out`` is not a bundle, or could not be written.
    """
    wanted = _formats(formats)
    folder, out = layout.find_model(source, revision=revision), Path(out)
    _check_target(folder, out)
    config = read_config(folder)
    head = head_of_folder(folder, config)
    if gate is not None and gate.task != TASKS[head]:
        raise InputError(f"the gate is one of {gate.task}, but {folder} is for {TASKS[head]}")
    read = read_weights(folder, config, head=head)
    weights = {name: array.astype(np.float32) for name, array in read.items()}
    before = read_manifest(folder) or Manifest(task=TASKS[head])
    name = before.name or _name(source, folder)
    onnx = [f for f in wanted if f in _PRECISION]
    reference = reference_of(config, weights, head) if onnx else None
    with replacing_folder(out) as temporary:
        job = _Export(config, head, weights, temporary, reference, gate, say, _only_int8(folder))
        write_config(temporary, config, head)
        write_tokenizer(folder, temporary, config)
        _write_card(folder, temporary, model_card(name, config, before, head))
        if "hf" in wanted:
            write_weights(temporary / layout.WEIGHTS, weights, config, head)
            say(f"{layout.WEIGHTS}: {_megabytes(temporary / layout.WEIGHTS)}")
        if gate is not None:
            write_manifest(temporary, replace(before, files={}))  # the runtime reads its settings
            _measure_fp32(job)
        for wish in onnx:
            _write_onnx(job, _PRECISION[wish])
        manifest = replace(before, name=name, files=_records(job), tools=_tools())
        write_manifest(temporary, manifest)
    return manifest


def _formats(formats: Iterable[str]) -> list[str]:
    asked = set(formats)
    unknown = sorted(asked - {*FORMATS, "all"})
    if unknown:
        raise InputError(f"format {unknown[0]!r} is none of {', '.join(FORMATS)}, all")
    return [f for f in FORMATS if f in asked or "all" in asked]


def _check_target(folder: Path, out: Path) -> None:
    source, target = folder.resolve(), out.resolve()
    if source == target or target in source.parents:
        raise OutputError(f"{out} holds the model that is being exported; name another folder")
    if not out.is_dir():
        return
    # Replacing a folder deletes it: only what an earlier export wrote may go, so not a training
    # run with its checkpoints, nor a file that somebody put beside the model.
    found = {f.relative_to(out).as_posix() for f in out.rglob("*") if not f.is_dir()}
    manifest = read_manifest(out)
    foreign = sorted(found - {layout.MANIFEST, *(manifest.files if manifest else ())})
    if foreign:
        raise OutputError(
            f"{out} holds {foreign[0]}, which no earlier export wrote; "
            "remove it or name another folder"
        )


def _write_card(folder: Path, out: Path, generated: str) -> None:
    if (folder / layout.CARD).is_file():
        shutil.copyfile(folder / layout.CARD, out / layout.CARD)
    else:
        write_text(out / layout.CARD, generated)


def _write_onnx(job: _Export, precision: str) -> None:
    assert job.reference is not None
    name = layout.ONNX_FILES[precision]
    file = job.out / name
    _save_graph(job, precision, file)
    largest, replay = verify(file, precision, job.config, job.reference)
    info: dict[str, Any] = {"replay": replay}
    if precision == "int8":
        info["scheme"] = _INT8_SCHEME
    line = f"{name}: {_megabytes(file)}, max |Δ| {largest:.2g}"
    if job.gate is not None:
        metric = job.gate.metric
        if precision != "fp32":
            job.scores[precision] = job.gate.measure(job.out, file)
            job.gate.check(name, job.scores["fp32"][metric], job.scores[precision][metric])
        info["scores"] = {**job.scores[precision], "data": job.gate.data}
        of_file, of_fp32 = job.scores[precision][metric], job.scores["fp32"][metric]
        line += f", {job.gate.title} {of_file:.2f} (fp32 {of_fp32:.2f})"
    job.records[name] = record_file(file, kind=f"onnx-{precision}", max_abs_diff=largest, info=info)
    job.say(line)


def _measure_fp32(job: _Export) -> None:
    """Scores of the float32 graph, which is thrown away again where nobody asked for it."""
    assert job.gate is not None
    job.say(f"scoring {job.gate.n_examples:,} examples of {job.gate.data} with each file …")
    file = job.out / "fp32.onnx"
    _save_graph(job, "fp32", file)
    job.scores["fp32"] = job.gate.measure(job.out, file)
    file.unlink()


def _save_graph(job: _Export, precision: str, file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    if precision == "int8" and job.int8 is not None:
        shutil.copyfile(job.int8, file)  # rounding what was rounded would only lose more
        return
    if precision == "int8":
        storage = int8_storage(job.config)
    else:
        storage = Storage(dtype=np.float16 if precision == "fp16" else np.float32)
    if precision == "fp16":
        _check_half(job.weights)
    graph = build_graph(job.config, job.weights, storage, head=job.head)
    file.write_bytes(graph.SerializeToString())


def _only_int8(folder: Path) -> Path | None:
    file = weights_file(folder)
    return file if file == folder / layout.ONNX_INT8 else None


def _check_half(weights: Weights) -> None:
    most = float(np.finfo(np.float16).max)
    for name, value in weights.items():
        if not np.abs(value).max() <= most:
            raise ExportError(f"{name} holds values beyond float16's {most:g}: export int8 or onnx")


def _records(job: _Export) -> dict[str, FileRecord]:
    records = dict(job.records)
    for file in sorted(job.out.rglob("*")):
        name = file.relative_to(job.out).as_posix()
        # The manifest cannot hold its own hash; an early one is there while the gate measures.
        if file.is_file() and name not in (*records, layout.MANIFEST):
            kind = "weights" if name == layout.WEIGHTS else _TEXT_KINDS.get(name, "file")
            records[name] = record_file(file, kind=kind)
    return dict(sorted(records.items()))


def _name(source: str | Path, folder: Path) -> str:
    # A snapshot's folder is called by its commit: the id the user gave says more.
    named = str(source) if not Path(source).is_dir() else folder.resolve().name
    return named.rstrip("/").split("/")[-1]


def _tools() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("potstill", "onnx", "onnxruntime", "numpy", "safetensors", "tokenizers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree
            found[package] = "source"
    return found


def _megabytes(file: Path) -> str:
    return f"{file.stat().st_size / 1e6:.1f} MB"
