"""A model folder and what the caller asks → a session, and how to use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

from potstill.bundle.heads import HeadName
from potstill.bundle.layout import ONNX_FILES, onnx_file
from potstill.errors import InputError, ModelNotFoundError
from potstill.runtime import machine
from potstill.runtime.runtimes import (
    AUTO,
    USUAL,
    Layout,
    Runnable,
    candidates,
    is_from_floats,
    layouts,
    open_runtime,
    open_usual,
    runtime_name,
    usual_budget,
)
from potstill.runtime.session import Session
from potstill.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from potstill.runtime.evidence import Tuning

Workers: TypeAlias = 'int | Literal["auto"] | None'
"""Runs of a model at the same time, ``"auto"`` for as many as read most, ``None`` for one."""


class Opening(TypedDict, total=False):
    """How any model is opened: the keywords that ``from_options`` of every client takes."""

    revision: str | None
    """Branch, tag or commit of a hub id."""
    precision: Literal["fp32", "fp16", "int8"] | None
    """Which of the folder's ONNX files to run; by default the one it has, and where it has none a
    float32 file is written into the cache on first use."""
    onnx_file: str | Path | None
    """Run this file instead of the folder's own."""
    threads: int | None
    """Threads of one run; by default one for each core, shared out among the workers."""
    runtime: str | None
    """What runs the model, one of `potstill.runtime.runtimes.RUNTIMES`; ``"auto"`` for the
    quickest here, which is measured once and remembered; by default what ``POTSTILL_RUNTIME``
    says, or native where that runs the model, or onnxruntime."""
    workers: Workers
    """Runs at the same time, of calls that read many texts; ``"auto"`` for as many as read most,
    and then ``threads`` too are chosen where they are not given."""
    token_budget: int | None
    """Most tokens of one batch, padding included; by default what suits the runtime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A model that is ready to run."""

    session: Session
    runtime: str
    layout: Layout
    measured_budget: int | None = None
    """Most tokens of a batch, where that was measured."""
    tuning: Tuning | None = None
    """The measurement, where the runtime was chosen by one."""

    @property
    def token_budget(self) -> int:
        """Most tokens of a batch that suit the runtime."""
        if self.measured_budget is not None:
            return self.measured_budget
        return usual_budget(self.runtime, self.layout.threads)


def open_model(
    folder: Path,
    tokenizer: Tokenizer,
    *,
    head: HeadName,
    longest: int,
    precision: str | None = None,
    onnx_file: str | Path | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    workers: Workers = None,
) -> Opened:
    """Opens a model in a runtime.

    Args:
        folder: a model folder.
        tokenizer: of the model.
        head: which of its heads.
        longest: tokens of the longest row that will be asked.
        precision: which of the folder's ONNX files to run; by default the one it has, and where it
            has none a float32 file is written into the cache on first use.
        onnx_file: run this file instead.
        runtime: one of `runtimes.RUNTIMES`; ``"auto"`` for the quickest here, which is measured
            once and remembered; by default what ``POTSTILL_RUNTIME`` says, or native where that
            runs the model, or onnxruntime.
        threads: threads of one run; by default the cores, shared out among the workers.
        workers: runs at the same time; ``"auto"`` for as many as read most rows a second, which
            only ``runtime="auto"`` measures: otherwise one of one thread for each core.

    Raises:
        InputError: there is no such runtime, or an option is out of range or does not go with it.
        MissingExtraError: the runtime is not installed.
        ModelError: the model's files are damaged, or of another task.
    """
    for name, value in (("threads", threads), ("workers", workers)):
        if isinstance(value, int) and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    chosen = runtime_name(runtime)
    if chosen.startswith("torch") and (onnx_file is not None or precision not in (None, "fp32")):
        raise InputError(
            f"runtime {chosen} reads the folder's float weights: omit precision and onnx_file"
        )
    file = find_file(folder, precision, onnx_file, head)
    model = Runnable(
        folder=folder,
        file=file,
        head=head,
        from_floats=onnx_file is None and is_from_floats(folder, file, precision),
    )
    ways = _ways(threads, workers)
    if chosen == AUTO:
        if threads is workers is None:
            ways = list(dict.fromkeys([*ways, Layout(1, 1)]))  # what a very small model may like
        return _measured(model, tokenizer, ways, longest)
    return _opened(model, chosen, ways[-1] if workers == "auto" else ways[0])


def _ways(threads: int | None, workers: Workers) -> list[Layout]:
    """Layouts that fit what was asked; where there are several, the last one has lone threads."""
    cores = machine.usable_cores()
    if workers == "auto":
        ways = layouts(cores, threads)
        return sorted(ways, key=lambda way: -way.threads)
    workers = workers or 1
    return [Layout(workers, threads or max(1, cores // workers))]


def _opened(model: Runnable, runtime: str, share: Layout) -> Opened:
    if runtime == USUAL:
        runtime, session = open_usual(model, share)
    else:
        session = open_runtime(model, runtime, share)
    return Opened(session=session, runtime=runtime, layout=share)


def _measured(model: Runnable, tokenizer: Tokenizer, ways: list[Layout], longest: int) -> Opened:
    names = candidates(model)
    if len(names) == len(ways) == 1:
        return _opened(model, names[0], ways[0])  # there is nothing to choose
    # Imported late: whoever names a runtime needs none of it.
    from potstill.runtime.probes import probe_rows
    from potstill.runtime.tuning import is_for_many, tuned

    tuning, session = tuned(
        model, names, ways, lambda: probe_rows(tokenizer, longest=longest), tokenizer
    )
    chosen = tuning.chosen
    return Opened(
        session=session,
        runtime=chosen.runtime,
        layout=chosen.layout,
        measured_budget=chosen.batch_tokens if is_for_many(ways) else None,
        tuning=tuning,
    )


def find_file(
    folder: Path,
    precision: str | None,
    given: str | Path | None,
    head: HeadName | None = None,
) -> Path:
    """The ONNX file to run; arguments as of `open_model`.

    Raises:
        InputError: there is no such precision.
        ModelNotFoundError: the folder has no file of it.
    """
    if given is not None:
        return Path(given)
    if precision is None:
        # Imported late: only a folder without an ONNX file needs what it imports.
        from potstill.bundle.cache import ensure_onnx

        return ensure_onnx(folder, head=head)
    if precision not in ONNX_FILES:
        raise InputError(f"precision {precision!r} is none of {', '.join(ONNX_FILES)}")
    file = onnx_file(folder, precision)
    if file is None:
        raise ModelNotFoundError(
            f"{folder} has no {ONNX_FILES[precision]}: write one with "
            f"`potstill export {folder} OUT --format {precision}`"
        )
    return file
