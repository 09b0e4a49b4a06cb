"""The formats beyond safetensors and ONNX: what each is called, needs, writes and is run by."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray

from potstill.bundle.heads import HEADS, HeadName
from potstill.errors import MissingExtraError
from potstill.export import coreml, litert, openvino, savedmodel, tfjs
from potstill.export.source import Source
from potstill.runtime.session import OnnxSession, Session
from potstill.text.windows import Batch

Open: TypeAlias = Callable[[Path, HeadName], Session]
"""(file, head) → the file in its own runtime."""
Evaluate: TypeAlias = Callable[[Source, Batch], "tuple[NDArray[Any], ...]"]
"""(model, batch of one row) → outputs, worked out while the format is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What files of one family need to be written and run."""

    extra: str = ""
    """Of this package; empty where it is none."""
    modules: tuple[str, ...] = ()
    """Those the extra brings."""
    sessions: tuple[Open, ...] = ()
    """What runs a file: each of its signatures; none where this system cannot run it."""

    @property
    def missing(self) -> str | None:
        """The first module that is not installed."""
        return next((module for module in self.modules if not _found(module)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One format."""

    family: str
    """Key of `RUNTIMES`."""
    precision: str
    """How large parameters are stored."""
    file: str
    """Path inside the bundle; of a format of several files, the one that names the others."""
    write: Callable[[Source, Path], None]
    evaluate: Evaluate | None = None
    """Where only another system can run the file."""

    @property
    def kind(self) -> str:
        """As the manifest calls such a file."""
        return f"{self.family}-{self.precision}"

    @property
    def runtime(self) -> Runtime:
        return RUNTIMES[self.family]


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def _onnx(file: Path, head: HeadName) -> Session:
    return OnnxSession(file, outputs=HEADS[head].outputs)


def _padded(file: Path, head: HeadName) -> Session:
    return savedmodel.SavedModelSession(file, head, name=savedmodel.FIXED)


RUNTIMES: Mapping[str, Runtime] = {
    "onnx": Runtime(sessions=(_onnx,)),
    "savedmodel": Runtime(
        extra="tf", modules=("tensorflow",), sessions=(savedmodel.SavedModelSession, _padded)
    ),
    "tfjs": Runtime(extra="tf", modules=("tensorflow",), sessions=(tfjs.GraphModelSession,)),
    "litert": Runtime(
        extra="tf", modules=("tensorflow", "ai_edge_litert"), sessions=(litert.LiteRtSession,)
    ),
    "openvino": Runtime(extra="openvino", modules=("openvino",), sessions=(openvino.IrSession,)),
    "coreml": Runtime(extra="coreml", modules=("coremltools",)),
}
"""Family → what it needs. A file's kind in the manifest begins with its family."""


def _target(
    family: str,
    precision: str,
    file: str,
    write: Callable[..., None],
    evaluate: Evaluate | None = None,
) -> Target:
    return Target(
        family=family,
        precision=precision,
        file=file,
        write=partial(write, precision=precision),
        evaluate=evaluate,
    )


TARGETS: Mapping[str, Target] = {
    "savedmodel": Target(
        family="savedmodel",
        precision="fp32",
        file="savedmodel/saved_model.pb",
        write=savedmodel.write,
    ),
    "tfjs": _target("tfjs", "fp32", "tfjs/model.json", tfjs.write),
    "tfjs-fp16": _target("tfjs", "fp16", "tfjs_fp16/model.json", tfjs.write),
    "tfjs-uint8": _target("tfjs", "uint8", "tfjs_uint8/model.json", tfjs.write),
    "litert": _target("litert", "fp32", "litert/model.tflite", litert.write),
    "litert-fp16": _target("litert", "fp16", "litert/model_fp16.tflite", litert.write),
    "litert-int8": _target("litert", "int8", "litert/model_int8.tflite", litert.write),
    "openvino": _target("openvino", "fp32", "openvino/model.xml", openvino.write),
    "openvino-fp16": _target("openvino", "fp16", "openvino/model_fp16.xml", openvino.write),
    "coreml": _target(
        "coreml", "fp16", f"{coreml.PACKAGE}/Manifest.json", coreml.write, coreml.evaluate
    ),
}
"""Name as ``--format`` takes it → format."""


def require(name: str) -> None:
    """Refuses a format whose libraries are not installed.

    Raises:
        MissingExtraError: with the command that installs them.
    """
    runtime = TARGETS[name].runtime
    if runtime.missing is not None:
        raise MissingExtraError(runtime.missing, runtime.extra, f"format {name}")


def left_out() -> dict[str, list[str]]:
    """Extra that is not installed → the formats that need it."""
    found: dict[str, list[str]] = {}
    for name, target in TARGETS.items():
        if target.runtime.missing is not None:
            found.setdefault(target.runtime.extra, []).append(name)
    return found
