"""The gate: an exported file may not lose more of its task's own score than was allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from potstill.bundle.manifest import Manifest, read_manifest
from potstill.errors import DataError, GateError
from potstill.runtime.session import Session, usable_cores
from potstill.tasks.table import task_of
from potstill.tasks.task import Evaluated, Loaded, Task

Measure: TypeAlias = Callable[[Path, Path, "Session | None"], dict[str, float]]
"""(folder, ONNX file of that model, what to run instead of that file) → its scores by name."""


TITLES: Mapping[str, str] = {
    "f1": "F1",
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "spearman": "Spearman",
}
"""Name of a score → how messages call it."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Data with gold labels, and how much of its score a file may lose on them."""

    task: str
    """As manifests call it."""
    metric: str
    """The score that is compared, in points (percent)."""
    n_examples: int
    max_drop: float
    """In points of the metric."""
    data: str
    """What the data are called in messages and in the manifest."""
    measure: Measure

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        max_drop: float | None = None,
        *,
        model: Path,
        columns: Mapping[str, Any] | None = None,
    ) -> Gate:
        """Reads a data file as the task of a model needs it.

        Args:
            path: questions, labelled texts, tagged words or choices; plain text for a masked
                language model.
            max_drop: in points of the task's main metric; by default 0.5, for classifiers 0.3.
            model: folder of the model that will be exported.
            columns: how rows with labels lie in the file, where otherwise than in the model's
                recipe.

        Raises:
            DataError: the file cannot be read, or holds nothing to score.
            ModelError: the model's config or manifest cannot be used.
        """
        task = task_of(model)
        loaded = task.load(path, model, **(columns or {}))
        metric = task.metric(loaded)
        if not loaded.examples:
            raise DataError(f"{path} holds nothing to measure {metric} on")
        return cls(
            task=task.name,
            metric=metric,
            n_examples=len(loaded.examples),
            max_drop=task.max_drop if max_drop is None else max_drop,
            data=Path(path).name,
            measure=partial(_measured, task, loaded, read_manifest(model) or Manifest()),
        )

    @property
    def title(self) -> str:
        """The metric as messages call it."""
        return TITLES.get(self.metric, self.metric)

    def check(self, name: str, before: float, after: float) -> None:
        """Compares two scores.

        Raises:
            GateError: the file lost more than the gate allows.
        """
        if before - after > self.max_drop:
            raise GateError(
                f"{name} would lose {before - after:.2f} {self.title} on {self.data}: "
                f"{before:.2f} in fp32, {after:.2f} after; {self.max_drop:g} allowed (--max-drop). "
                "Nothing was written"
            )


def _measured(
    task: Task[Any],
    loaded: Loaded,
    manifest: Manifest,
    folder: Path,
    file: Path,
    session: Session | None,
) -> dict[str, float]:
    # Several workers of one thread read faster than one of several, and alike.
    client = task.client.from_options(
        folder, onnx_file=file, threads=1, workers=usable_cores(), **task.gate_options(loaded)
    ).using(session=session)
    evaluated = Evaluated(
        loaded=loaded,
        examples=loaded.examples,
        client=client,
        answers=list(task.answer(client, loaded.examples)),
        manifest=manifest,
    )
    return task.score(evaluated)
