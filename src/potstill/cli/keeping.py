"""``potstill eval --keep``: what was found, written where the model keeps it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from potstill.cli.typed import typed

if TYPE_CHECKING:
    from potstill.evaluation.kept import Kept, KeptAnswer, KeptQuestion
    from potstill.runtime.opening import Opened

N_TIMED = 200
"""Examples that are asked one at a time, for the milliseconds."""
_WARM_UP = 3


def timed(call: Callable[[Any], Any], examples: Sequence[Any], threads: int) -> dict[str, float]:
    """Milliseconds of a call on one example at a time, of the first 200."""
    from potstill.evaluation.kept import timing

    seconds: list[float] = []
    for example in examples[:_WARM_UP]:
        call(example)
    for example in examples[:N_TIMED]:
        began = time.perf_counter()
        call(example)
        seconds.append(time.perf_counter() - began)
    return timing(seconds, threads)


def keep(
    model: str,
    *,
    task: str,
    data: str,
    limit: int | None,
    opened: Opened,
    scores: Mapping[str, Any],
    milliseconds: Mapping[str, float],
    curve: Mapping[str, Any] | None = None,
    questions: Sequence[KeptQuestion] = (),
    said: Sequence[KeptAnswer] = (),
    layout: Mapping[str, Any] | None = None,
) -> None:
    """Writes an evaluation where its model keeps them and says where; see `Kept` for the values.

    Raises:
        OutputError: it could not be written.
    """
    from potstill.bundle.find import find_model
    from potstill.bundle.layout import precision_of
    from potstill.bundle.machine import describe_machine, today, without_folders
    from potstill.bundle.manifest import sha256_of
    from potstill.data.hub_set import local_data
    from potstill.evaluation.kept import kept_folder, thin_curve, write_kept

    source = local_data(data)
    file: Path | None = getattr(opened.session, "file", None)  # torch runs no file
    kept = _described(
        task=task,
        data=Path(data).name,
        sha256=sha256_of(source) if source.is_file() else "",
        limit=limit,
        precision=precision_of(file) if file else "fp32",
        scores=dict(scores),
        milliseconds=dict(milliseconds),
        curve=thin_curve(curve) if curve else {},
        hardware=describe_machine(),
        date=today(),
        command=without_folders(typed()),
        layout=dict(layout or {}),
        tools=_tools(opened.runtime),
    )
    path = write_kept(
        kept_folder(model, find_model(model)), replace(kept, questions=questions, said=said)
    )
    click.echo(f"kept in {path}", err=True)


def _described(**values: Any) -> Kept:
    from potstill.evaluation.kept import Kept

    return Kept(**values)


def _tools(runtime: str) -> dict[str, str]:
    from importlib import metadata

    from potstill.runtime.runtimes import versions

    library = runtime.partition(":")[0]
    tools = {name: metadata.version(name) for name in ("potstill", "numpy")}
    return {**tools, "runtime": f"{runtime} {versions().get(library, '')}".strip()}
