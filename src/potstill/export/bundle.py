"""A model in, a whole folder out: config, tokenizer, card, weights, ONNX files and the manifest.

The folder is put together under a temporary name, every file in it that computes is run and
compared, the gate is asked, and only then is it moved to where it was wanted.
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
from potstill.bundle.atomic import replacing_folder
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import HeadName
from potstill.bundle.manifest import (
    FileRecord,
    Manifest,
    read_manifest,
    record_file,
    write_manifest,
)
from potstill.bundle.onnx_graph import build_graph
from potstill.bundle.onnx_nodes import Storage
from potstill.bundle.weights import Weights, read_weights, weights_file, write_weights
from potstill.errors import ExportError, InputError, OutputError
from potstill.export.card import write_card
from potstill.export.files import write_config, write_tokenizer
from potstill.export.formats import FORMATS, ONNX_PRECISIONS
from potstill.export.gate import Gate
from potstill.export.int8 import int8_storage
from potstill.export.source import PACKAGES, Source
from potstill.export.targets import TARGETS, Evaluate, Target, left_out, require
from potstill.export.verify import Reference, compare, inputs, reference_of, verify
from potstill.tasks.table import task_of
from potstill.tasks.task import Task

_INT8_SCHEME = "weights int8 per column, activations uint8 per token, 32-bit sums"
_BASE = "fp32.onnx"
"""The float32 graph that the gate compares with, while the folder is put together."""
_TEXT_KINDS = {name: "tokenizer" for name in layout.TEXT_FILES}

Say = Callable[[str], None]
"""Told one line about each step."""


@dataclass(slots=True)
class _Export:
    """What is known while a folder is put together."""

    source: Source
    out: Path
    reference: Reference | None
    """None where no file is asked for that computes."""
    gate: Gate | None
    say: Say
    int8: Path | None
    """The int8 file that the weights were read back from, where that is all the source has."""
    records: dict[str, FileRecord] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    """Format → what the gate measured; that of ``onnx`` is what the others are held against."""

    @property
    def config(self) -> ModelConfig:
        return self.source.config

    @property
    def head(self) -> HeadName:
        return self.source.head

    @property
    def weights(self) -> Weights:
        return self.source.weights


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
        formats: any of `formats.FORMATS`: ``hf`` (float32 safetensors), ``onnx`` (float32),
            ``fp16``, ``int8``, those of `targets.TARGETS`; or ``all``: every one whose libraries
            are installed.
        revision: branch, tag or commit of a hub id.
        gate: refuses a file of rounded weights that loses too much of its task's score.
        say: told one line about each step.

    Returns:
        The manifest that was written.

    Raises:
        InputError: an unknown format, or a gate for another task.
        MissingExtraError: a format that was asked for by its name needs what is not installed.
        ModelError: the source is missing, damaged or not supported.
        ExportError: a written file does not compute what the source does.
        GateError: a file would lose more of its score than the gate allows.
        OutputError: ``out`` is not a bundle, or could not be written.
    """
    wanted = _formats(formats, say)
    folder, out = find_model(source, revision=revision), Path(out)
    _check_target(folder, out)
    config = read_config(folder)
    task = task_of(folder)
    head = task.head
    if gate is not None and gate.task != task.name:
        raise InputError(f"the gate is one of {gate.task}, but {folder} is for {task.name}")
    read = read_weights(folder, config, head=head)
    weights = {name: array.astype(np.float32) for name, array in read.items()}
    before = read_manifest(folder) or _new_manifest(task, config)
    name = before.name or _name(source, folder)
    computing = [f for f in wanted if f != "hf"]
    model = Source(config, head, weights, min(before.seq_len, config.max_positions))
    reference = reference_of(config, weights, head) if computing else None
    with replacing_folder(out) as temporary:
        job = _Export(model, temporary, reference, gate, say, _only_int8(folder))
        write_config(temporary, config, head)
        write_tokenizer(folder, temporary, config)
        if "hf" in wanted:
            write_weights(temporary / layout.WEIGHTS, weights, config, head)
            say(f"{layout.WEIGHTS}: {_megabytes(temporary / layout.WEIGHTS)}")
        if gate is not None:
            write_manifest(temporary, replace(before, files={}))  # the runtime reads its settings
            _measure_fp32(job)
        for wish in computing:
            _write(job, wish)
        (temporary / _BASE).unlink(missing_ok=True)
        manifest = replace(before, name=name, files=_records(job), tools=_tools(wanted))
        write_card(temporary, manifest, config, head, own=folder / layout.CARD)
        card = record_file(temporary / layout.CARD)
        manifest = replace(
            manifest, files=dict(sorted({**manifest.files, layout.CARD: card}.items()))
        )
        write_manifest(temporary, manifest)
    return manifest


def _new_manifest(task: Task[Any], config: ModelConfig) -> Manifest:
    """Of a folder that has none: the model is read from the bundle as from that folder."""
    return Manifest(task=task.name, seq_len=task.client.own_options(config, None).seq_len)


def _formats(formats: Iterable[str], say: Say) -> list[str]:
    asked = set(formats)
    unknown = sorted(asked - {*FORMATS, "all"})
    if unknown:
        raise InputError(f"format {unknown[0]!r} is none of {', '.join(FORMATS)}, all")
    for name in asked & set(TARGETS):
        require(name)
    absent: set[str] = set()
    for extra, names in left_out().items() if "all" in asked else ():
        absent |= set(names)
        say(f"left out: {', '.join(names)} (pip install 'potstill[{extra}]')")
    return [f for f in FORMATS if f in asked or ("all" in asked and f not in absent)]


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


def _write(job: _Export, wish: str) -> None:
    """Writes one format, runs it, asks the gate, and records it."""
    assert job.reference is not None
    target = TARGETS.get(wish)
    if target is None:
        name, precision = layout.ONNX_FILES[ONNX_PRECISIONS[wish]], ONNX_PRECISIONS[wish]
        kind = f"onnx-{precision}"
        _save_graph(job, precision, job.out / name)
    else:
        name, precision, kind = target.file, target.precision, target.kind
        _save_target(job, target)
    file = job.out / name
    info: dict[str, Any]
    if target is not None and target.evaluate is not None:
        largest, info = _evaluated(job, target, target.evaluate), {}
    else:
        largest, replay = verify(file, kind, job.config, job.reference)
        info = {"replay": replay}
    if kind == "onnx-int8":
        info["scheme"] = _INT8_SCHEME
    size = sum(part.stat().st_size for part in _parts(file) if part.is_file())
    line = f"{name}: {size / 1e6:.1f} MB, max |Δ| {largest:.2g}"
    if target is not None and target.evaluate is not None:
        info["unrun"] = True
        line += " of the program; the file was not run, which takes a Mac"
    if job.gate is not None and (target is None or target.runtime.sessions):
        line += _ask_gate(job, job.gate, wish, precision, file, info)
    job.records[name] = record_file(file, kind=kind, max_abs_diff=largest, info=info)
    job.say(line)


def _evaluated(job: _Export, target: Target, evaluate: Evaluate) -> float:
    """Largest |Δ| of a program that was worked out while it was written, on the row that is alone.

    Raises:
        ExportError: it is more than the precision explains.
    """
    assert job.reference is not None
    batches = enumerate(inputs(job.config))
    alone = [
        (i, batch, evaluate(job.source, batch)) for i, batch in batches if len(batch.input_ids) == 1
    ]
    return compare(target.file, target.precision, alone, job.reference)


def _save_target(job: _Export, target: Target) -> None:
    if target.precision == "fp16":
        _check_half(job.weights)
    file = job.out / target.file
    file.parent.mkdir(parents=True, exist_ok=True)
    target.write(job.source, file)


def _parts(file: Path) -> Iterable[Path]:
    """The files of the format whose main file this is."""
    if file.suffix in (".onnx", ".tflite"):
        return [file]
    return file.parent.glob(f"{file.stem}.*") if file.suffix == ".xml" else file.parent.rglob("*")


def _ask_gate(
    job: _Export, gate: Gate, wish: str, precision: str, file: Path, info: dict[str, Any]
) -> str:
    """Measures a file, unless it computes what the float32 graph does; what to say of it.

    Raises:
        GateError: it loses too much.
    """
    if precision == "fp32":
        job.scores[wish] = job.scores["onnx"]
    else:
        target = TARGETS.get(wish)
        session = target.runtime.sessions[0](file, job.head) if target else None
        base = file if target is None else job.out / _BASE
        job.scores[wish] = gate.measure(job.out, base, session)
        name = file.relative_to(job.out).as_posix()
        gate.check(name, job.scores["onnx"][gate.metric], job.scores[wish][gate.metric])
    info["scores"] = {**job.scores[wish], "data": gate.data}
    before, after = job.scores["onnx"][gate.metric], job.scores[wish][gate.metric]
    return f", {gate.title} {after:.2f} (fp32 {before:.2f})"


def _measure_fp32(job: _Export) -> None:
    """Scores of the float32 graph, which is thrown away again at the end."""
    assert job.gate is not None
    job.say(f"scoring {job.gate.n_examples:,} examples of {job.gate.data} with each file …")
    file = job.out / _BASE
    _save_graph(job, "fp32", file)
    job.scores["onnx"] = job.gate.measure(job.out, file, None)


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


def _tools(wanted: list[str]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("potstill", "onnx", "onnxruntime", "numpy", "safetensors", "tokenizers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree
            found[package] = "source"
    for wish in wanted:
        for module in TARGETS[wish].runtime.modules if wish in TARGETS else ():
            package = PACKAGES.get(module, module)
            found[package] = version(package)
    return found


def _megabytes(file: Path) -> str:
    return f"{file.stat().st_size / 1e6:.1f} MB"
