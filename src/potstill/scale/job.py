"""A bulk job: files in, one file out, and every row in exactly one place.

Beside ``OUT`` stands a folder ``OUT.job``: what the job is of (``job.json``) and its finished
parts. The output is put together when all parts are there, by reading the input once more and
setting what came of each row beside it, so that its own columns stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from potstill.bundle.atomic import locked, replacing, write_json
from potstill.bundle.manifest import sha256_of
from potstill.errors import DataError, InputError, JobError, OutputError
from potstill.runtime.runtimes import AUTO, REFERENCE, RUNTIMES
from potstill.scale.local import run_inline, run_workers
from potstill.scale.parts import BATCH_ROWS, Left, Part, Parts, cut
from potstill.scale.predict import (
    PredictOptions,
    Predictor,
    RowResult,
    columns_read,
    model_fingerprint,
    model_name,
    quickest_runtime,
)
from potstill.scale.sources import JobSource, find_inputs, fingerprint, kind_of
from potstill.scale.writers import Joined, bad_file, plain, write_rows

FORMAT_VERSION = 1
PART_ROWS = 2048
"""Rows of a part: what is lost, at most, when a job is killed."""
ENGINES = ("local", "ray")

_FACTS = "job.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What a job is and how it is done."""

    predict: PredictOptions
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the model reads → the column of the input that holds it, where it is called otherwise;
    ``pair`` for the second text of a classifier."""
    engine: str = "local"
    """``local``, or ``ray``."""
    workers: int = 1
    part_rows: int = PART_ROWS
    overwrite: bool = False
    """Start anew, whatever stands in the output's place."""
    address: str = ""
    """Of a running Ray cluster; empty for one on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What a finished job did."""

    rows: int
    """Of the output."""
    bad: int
    """Rows that could not be read; they are in the side file."""
    resumed: int
    """Rows that an earlier run had read already."""
    was_done: bool = False
    """Whether there was nothing left to do."""


def _nothing(*_: Any) -> None:
    """Listens to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobListeners:
    """Who is told how a job goes."""

    note: Callable[[str], None] = _nothing
    """What is worth knowing, in a line."""
    start: Callable[[int], None] = _nothing
    """The bytes of the whole input."""
    moved: Callable[[int], None] = _nothing
    """The bytes of it that have been read so far."""
    done: Callable[[int, bool], None] = _nothing
    """Rows of a part, and whether they are new (an earlier run may have read them)."""
    writing: Callable[[], None] = _nothing
    """All rows are read; the output is being put together."""


class Engine(Protocol):
    """What takes parts to their answers, in order."""

    def __call__(
        self, parts: Iterable[Part], options: PredictOptions
    ) -> Iterator[tuple[Part, list[RowResult]]]: ...


def run_job(
    source: str, out: Path, options: JobOptions, listeners: JobListeners | None = None
) -> JobResult:
    """Does a job, or what is left of it.

    Args:
        source: a file, or a glob.
        out: the file to write.
        options: what to do and how.
        listeners: told how it goes.

    Returns:
        How many rows there are.

    Raises:
        DataError: the input cannot be read, or none of its rows.
        JobError: ``out`` is of another job, or one that is under way.
        WorkerError: a worker died; what was done is kept.
        OutputError: something could not be written; what was done is kept.
        ModelError: the model cannot be used.
        MissingExtraError: a format or the engine needs a library that is not installed.
    """
    listeners = listeners or JobListeners()
    kind_of(out)
    _check(options)
    files = find_inputs(source)
    if any(file.resolve() == out.resolve() for file in files):
        raise InputError(f"{out} is among the input files: name another output")
    folder = out.with_name(out.name + ".job")
    options = replace(options, predict=_settled(options, folder))
    predictor = Predictor(options.predict)
    table = JobSource(tuple(files), _columns(options), frozenset(predictor.columns))
    table.check()
    facts = _facts(files, table, options)
    if out.exists() and not options.overwrite and not (folder / _FACTS).exists():
        raise OutputError(
            f"{out} exists already: name another output, or replace it with --overwrite"
        )
    with _locked(out, folder):
        if options.overwrite:
            _remove(out, bad_file(out), folder / _FACTS, *folder.glob("part-*"))
        finished = _open(out, folder, facts)
        if finished is not None:
            rows, bad = finished["rows"], finished["bad"]
            return JobResult(rows=rows, bad=bad, resumed=rows + bad, was_done=True)
        job = _Job(table, out, folder, facts, predictor.columns, listeners)
        del predictor  # its workers have their own
        return job.run(options)


@dataclass(slots=True)
class _Job:
    rows: JobSource
    out: Path
    folder: Path
    facts: dict[str, Any]
    added: dict[str, str]
    listeners: JobListeners
    bad: int = 0
    written: int = 0

    def run(self, options: JobOptions) -> JobResult:
        parts = Parts(self.folder)
        done, notes = parts.find()
        for note in notes:
            self.listeners.note(note)
        resumed = sum(done.values())
        if resumed:
            self.listeners.note(f"going on behind {resumed:,} rows that are read already")
        self.listeners.start(sum(file.stat().st_size for file in self.rows.files))
        left = Left(self.rows, options.part_rows, frozenset(done))
        engine = _engine(options, left)
        parts_left = left.parts(self.listeners.moved, self.listeners.done)
        for part, said in engine(parts_left, options.predict):
            parts.write(part, said)
            self.listeners.done(len(part.rows), True)
        self.listeners.writing()
        with replacing(bad_file(self.out)) as bad, replacing(self.out) as temporary:
            with bad.open("w", encoding="utf-8", errors="surrogatepass") as side:
                joined = self._joined(parts, options.part_rows, side)
                write_rows(self.out, temporary, joined, self.rows, self.added)
            if not self.written:
                parts.clear()  # a mended input is another job
                raise self._nothing_read(bad)
        if not self.bad:
            bad_file(self.out).unlink(missing_ok=True)
        counts = {"rows": self.written, "bad": self.bad}
        result = {**counts, "sha256": sha256_of(self.out), "size": self.out.stat().st_size}
        write_json(self.folder / _FACTS, {**self.facts, "result": result})
        parts.clear()
        return JobResult(rows=self.written, bad=self.bad, resumed=resumed)

    def _joined(self, parts: Parts, part_rows: int, side: Any) -> Iterator[Joined]:
        """Every row that was read with what came of it; the others go to the side file."""
        for part in cut(self.rows.rows(), part_rows):
            said = parts.read(part)
            if said is None:
                raise JobError(
                    f"the input changed while the job ran (part {part.number}): run it again "
                    "with --overwrite"
                )
            for row, own in zip(part.rows, said, strict=True):
                if own.values is not None and row.values is not None:
                    self.written += 1
                    yield row.values, own.values
                    continue
                self.bad += 1
                data = row.raw if row.values is None else row.values
                line = {"file": row.file, "row": row.number, "reason": own.reason, "data": data}
                side.write(json.dumps(line, default=plain) + "\n")

    def _nothing_read(self, bad: Path) -> DataError:
        with bad.open(encoding="utf-8") as file:
            line = file.readline()
        why = f": the first, because {json.loads(line)['reason']}" if line else ""
        what = f"none of its {self.bad:,} rows can be read" if line else "it has no rows"
        return DataError(f"there is nothing to write to {self.out}: {what}{why}")


def _engine(options: JobOptions, left: Left) -> Engine:
    if options.engine == "ray":
        from potstill.scale.on_ray import RayEngine

        return RayEngine(left, options.workers, options.address)
    if options.workers == 1:
        return run_inline

    return partial(run_workers, workers=options.workers)


def _check(options: JobOptions) -> None:
    if options.engine not in ENGINES:
        raise InputError(f"engine {options.engine!r} is none of {', '.join(ENGINES)}")
    for name, value in (
        ("workers", options.workers),
        ("threads", options.predict.threads),
        ("part_rows", options.part_rows),
    ):
        if value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    if options.part_rows % BATCH_ROWS:
        raise InputError(f"part_rows must be a multiple of {BATCH_ROWS}, not {options.part_rows}")


def _columns(options: JobOptions) -> tuple[str, ...]:
    needed, more = columns_read(options.predict)
    known = needed + more
    for name in options.columns:
        if name not in known:
            raise InputError(f"the model reads {', '.join(known)}, not {name!r}")
    return tuple(
        options.columns.get(name, name)
        for name in known
        if name in needed or name in options.columns
    )


def _settled(options: JobOptions, folder: Path) -> PredictOptions:
    """The options with one runtime: that of the job so far, or else the quickest here.

    The workers of a cluster may lie on other machines, so there it is what all of them have.
    """
    if options.predict.runtime != AUTO:
        return options.predict
    runtime = None if options.overwrite else _runtime_so_far(folder)
    if runtime is None and not (options.engine == "ray" and options.address):
        runtime = quickest_runtime(options.predict, options.workers)
    return replace(options.predict, runtime=runtime or REFERENCE)


def _runtime_so_far(folder: Path) -> str | None:
    try:
        runtime = json.loads((folder / _FACTS).read_text(encoding="utf-8"))["options"]["runtime"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # there is no such job, or `_open` will say what is wrong with it
    return runtime if runtime in RUNTIMES else None


def _facts(files: list[Path], rows: JobSource, options: JobOptions) -> dict[str, Any]:
    predict = asdict(options.predict)
    # How fast it goes changes nothing of what comes out; where the model lies neither.
    for name in ("threads", "model", "revision", "index"):
        del predict[name]
    if options.predict.index:
        from potstill.scale.asking import documents_fingerprint

        predict["documents"] = documents_fingerprint(options.predict.index)
    return {
        "format_version": FORMAT_VERSION,
        "input": fingerprint(files),
        "columns": list(rows.columns),
        "model": model_name(options.predict.model),
        "model_sha256": model_fingerprint(options.predict),
        "options": predict,
        "part_rows": options.part_rows,
        "batch_rows": BATCH_ROWS,
    }


def _open(out: Path, folder: Path, facts: dict[str, Any]) -> dict[str, int] | None:
    """Checks that the folder is this job's; the counts of the result where all is done.

    Raises:
        JobError: it is another's, or its output is no longer as the job left it.
        OutputError: it cannot be written.
    """
    path = folder / _FACTS
    if not path.exists():
        write_json(path, facts)
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        result = found.pop("result", None)
    except (OSError, ValueError, AttributeError) as error:
        raise JobError(f"{path} is damaged ({error}): start again with --overwrite") from None
    if result is None and not any(folder.glob("part-*")):
        write_json(path, facts)  # nothing was done, so nothing is lost
        return None
    for key, value in facts.items():
        if found.get(key) != value:
            raise JobError(
                f"{folder} is of a job with another {_NAMES.get(key, key)}: name another output, "
                "or start again with --overwrite"
            )
    if result is None:
        return None
    if out.exists():
        if (out.stat().st_size, sha256_of(out)) == (result["size"], result["sha256"]):
            return {"rows": result["rows"], "bad": result["bad"]}
        raise JobError(f"{out} was changed after the job: start again with --overwrite")
    raise JobError(f"{out} is gone since the job ended: start again with --overwrite")


_NAMES = {
    "input": "input (a file changed, came or went)",
    "model_sha256": "model",
    "options": "set of options, or other documents",
    "part_rows": "--part-rows",
}


def _remove(*files: Path) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{file} cannot be removed: {error.strerror}") from error


@contextmanager
def _locked(out: Path, folder: Path) -> Generator[None, None, None]:
    """Keeps a second process out of the job; the lock goes with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}") from error
    with locked(folder / "lock") as ours:
        if not ours:
            raise JobError(f"another process is writing {out}: wait for it")
        yield
