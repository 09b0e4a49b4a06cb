"""Runtimes by name: which there are, what each needs, and how its session is opened.

A runtime's name is that of a library, and behind a colon what it computes on or in:
``openvino:bf16``, ``torch:cuda``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from potstill.bundle import layout
from potstill.bundle.heads import HEADS, HeadName
from potstill.errors import InputError, ModelError
from potstill.runtime import machine
from potstill.runtime.ort import onnxruntime
from potstill.runtime.plans import TOKEN_BUDGET
from potstill.runtime.session import PROVIDERS, OnnxSession, Session

AUTO = "auto"
"""The runtime that is quickest here, by measurement; see `potstill.runtime.tuning`."""
REFERENCE = "onnxruntime"
"""The runtime that every installation has, and by which the others are judged."""
NATIVE = "native"
"""Our own engine, which runs int8 files that Potstill wrote."""
USUAL = ""
"""Where nobody names one: `NATIVE` where it is there and runs the model, else `REFERENCE`."""
ENGINE_TOKENS = 2048
"""Most tokens of a batch for each of the engine's threads, where it has several. It pads nothing,
and where there are rows enough each thread has its own (docs/log.md)."""
GPU_TOKENS = 16_384
"""Most tokens of a batch on a GPU, which small batches leave idle."""
VARIABLE = "POTSTILL_RUNTIME"
"""Environment variable that names the runtime where a caller does not."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a machine's cores are shared out."""

    workers: int
    """Runs of the model at the same time."""
    threads: int
    """Threads of each run."""

    def __str__(self) -> str:
        """As tables show it."""
        return f"{self.workers} × {self.threads}"


def usual_budget(runtime: str, threads: int) -> int:
    """Most tokens of a batch that suit a runtime with so many threads, padding included."""
    if runtime == NATIVE and threads > 1:
        return ENGINE_TOKENS * threads
    return GPU_TOKENS if "cuda" in runtime else TOKEN_BUDGET


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """A model as the runtimes see it."""

    folder: Path
    file: Path
    """The ONNX file that answers."""
    head: HeadName
    from_floats: bool = False
    """Whether ``file`` holds the folder's float weights as they are, so that torch, which reads
    those, computes the same."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the model gives, under the names of its ONNX file."""
        return HEADS[self.head].outputs


def _onnxruntime(model: Runnable, share: Layout, variant: str) -> Session:
    provider = "cuda" if variant == "cuda" else "cpu"
    return OnnxSession(model.file, threads=share.threads, outputs=model.outputs, provider=provider)


def _native(model: Runnable, share: Layout, variant: str) -> Session:
    # Imported late: other runtimes need neither the library nor the config.
    from potstill.bundle.config import read_config
    from potstill.runtime.native_session import NativeSession

    config = read_config(model.folder)
    return NativeSession(model.file, config, head=model.head, threads=share.threads)


def _openvino(model: Runnable, share: Layout, variant: str) -> Session:
    from potstill.runtime import openvino_session

    if variant and not openvino_session.has_bf16():
        raise InputError(f"{machine.processor()} has no bf16 for openvino:bf16: use openvino")
    file = model.file
    if is_native(model):
        # It fuses no rounding of tokens: the same weights as floats are several times as quick.
        from potstill.bundle.cache import ensure_floats

        file = ensure_floats(model.folder, file, model.head)
    return openvino_session.OpenVinoSession(
        file,
        threads=share.threads,
        workers=share.workers,
        outputs=model.outputs,
        precision="bf16" if variant else "f32",
    )


def _torch(model: Runnable, share: Layout, variant: str) -> Session:
    from potstill.runtime.torch_session import open_torch

    if variant == "bf16" and not machine.has_bf16():
        raise InputError(f"{machine.processor()} has no bf16 for torch:bf16: use torch")
    device, _, precision = variant.partition("-")
    return open_torch(
        model.folder,
        model.head,
        outputs=model.outputs,
        threads=share.threads,
        device="cuda" if device == "cuda" else "cpu",
        bf16="bf16" in (device, precision),
    )


_OPENERS: Mapping[str, tuple[Callable[[Runnable, Layout, str], Session], tuple[str, ...]]] = {
    NATIVE: (_native, ("",)),
    "onnxruntime": (_onnxruntime, ("", "cuda")),
    "openvino": (_openvino, ("", "bf16")),
    "torch": (_torch, ("", "bf16", "cuda", "cuda-bf16")),
}
"""Library → what opens its session, and what may stand behind the colon."""
RUNTIMES = tuple(
    f"{library}:{variant}" if variant else library
    for library, (_, variants) in _OPENERS.items()
    for variant in variants
)
"""Every name but ``auto``."""


def runtime_name(given: str | None, *, otherwise: str = USUAL) -> str:
    """The runtime to use: the caller's, else the environment's, else ``otherwise``.

    Raises:
        InputError: there is no such runtime.
    """
    named = os.environ.get(VARIABLE, "").strip()
    name = given or named or otherwise
    if name in (AUTO, *RUNTIMES) or name == otherwise:
        return name
    where = "" if given else f"{VARIABLE}: "
    raise InputError(f"{where}runtime {name!r} is none of {', '.join((AUTO, *RUNTIMES))}")


def open_runtime(model: Runnable, name: str, share: Layout) -> Session:
    """A session of a model in a runtime, for as many callers at once as ``share`` has workers.

    Raises:
        InputError: there is no such runtime, or this machine cannot do what its name asks.
        MissingExtraError: the library is not installed.
        ModelError: the model's files are damaged, or of another task.
    """
    library, _, variant = name.partition(":")
    opener, variants = _OPENERS.get(library, (None, ()))
    if opener is None or variant not in variants:
        raise InputError(f"runtime {name!r} is none of {', '.join(RUNTIMES)}")
    return opener(model, share, variant)


def is_native(model: Runnable) -> bool:
    """Whether the engine is there and runs a model."""
    from potstill.runtime.native_session import is_installed

    if not is_installed():
        return False
    try:
        open_runtime(model, NATIVE, Layout(1, 1))
    except ModelError:
        return False
    return True


def open_usual(model: Runnable, share: Layout) -> tuple[str, Session]:
    """The name and a session of the runtime that runs a model where nobody names one.

    Raises:
        ModelError: the model's files are damaged, or of another task.
    """
    from potstill.runtime.native_session import is_installed

    if is_installed():
        try:
            return NATIVE, open_runtime(model, NATIVE, share)
        except ModelError:
            pass  # floats, say; and of a damaged file the reference tells more
    return REFERENCE, open_runtime(model, REFERENCE, share)


def runtime_of(folder: Path, head: HeadName) -> tuple[str, str]:
    """The runtime that answers where nobody names one, and why that is not the engine.

    Args:
        folder: of the model.
        head: which of its heads.

    Returns:
        `NATIVE` and nothing, or `REFERENCE` and a line.
    """
    file = layout.onnx_file(folder)
    if file is None:
        return REFERENCE, "the engine runs int8 files, and the folder has none"
    try:
        open_runtime(Runnable(folder=folder, file=file, head=head), NATIVE, Layout(1, 1))
    except (InputError, ModelError) as error:
        return REFERENCE, str(error).removeprefix(f"{file}: ")
    return NATIVE, ""


def candidates(model: Runnable) -> list[str]:
    """Runtimes that are installed here and may be worth measuring, the reference first.

    The engine where it runs the model, and OpenVINO by what it reads quickest (see `_openvino`).
    torch is one where it computes the same weights and can win: with bf16 or a CUDA driver. It is
    not imported to find out.
    """
    found = [REFERENCE]
    if is_native(model):
        found.append(NATIVE)
    has_cuda = _has_cuda_driver()
    if has_cuda:
        if PROVIDERS["cuda"] in onnxruntime().get_available_providers():
            found.append("onnxruntime:cuda")
    if _installed("openvino"):
        found.append("openvino")
        if machine.has_bf16():
            found.append("openvino:bf16")
    if model.from_floats and _installed("torch"):
        if machine.has_bf16():
            found.append("torch:bf16")
        if has_cuda:
            found += ["torch:cuda", "torch:cuda-bf16"]
    return found


def layouts(cores: int, threads: int | None = None) -> list[Layout]:
    """Ways to share out cores that may be worth measuring, one run at a time first."""
    if threads is not None:
        return [Layout(max(1, cores // threads), threads)]
    ways = [Layout(1, cores), Layout(cores, 1)]
    if cores >= 4:
        ways.append(Layout(cores // 2, 2))
    return list(dict.fromkeys(ways))


def versions() -> dict[str, str]:
    """Version of each runtime's library that is installed."""
    # Imported late: it takes longer than a good part of a cold start.
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str] = {}
    from potstill.runtime.native_session import is_installed

    if is_installed():
        found[NATIVE] = version("potstill")
    for library in _OPENERS.keys() - {NATIVE}:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            if _installed(library):  # onnxruntime-gpu gives the module onnxruntime
                found[library] = "unknown"
    return found


def is_from_floats(folder: Path, file: Path, precision: str | None) -> bool:
    """Whether an ONNX file holds the float weights that lie in its folder too."""
    weights = (layout.WEIGHTS, layout.WEIGHTS_INDEX, layout.TORCH_WEIGHTS, layout.TORCH_INDEX)
    if not any((folder / name).is_file() for name in weights):
        return False
    own = [folder / layout.ONNX_FILES[name] for name in ("int8", "fp16")]
    return precision in (None, "fp32") and file not in own


def warm_up(session: Session, longest: int) -> None:
    """Has a session compile the shapes it will meet, where it compiles any.

    Args:
        session: of any runtime.
        longest: tokens of the longest row.
    """
    compiles: Callable[[int], None] | None = getattr(session, "warm_up", None)
    if compiles is not None:
        compiles(longest)


def _has_cuda_driver() -> bool:
    devices = ("/dev/nvidiactl", "/dev/dxg")  # Linux; Linux inside Windows
    return any(Path(device).exists() for device in devices) or "CUDA_PATH" in os.environ


def _installed(library: str) -> bool:
    try:
        return library in sys.modules or find_spec(library) is not None
    except (ImportError, ValueError):
        return False
