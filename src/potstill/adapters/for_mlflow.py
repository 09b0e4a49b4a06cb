# pyright: reportMissingImports=false
# (mlflow is the user's own, and no dependency of ours)
"""A model as one of mlflow, in place of its transformers flavour.

A logged model is the model folder itself beside mlflow's own files: nothing is pickled. Loaded with
``mlflow.pyfunc.load_model`` or served with ``mlflow models serve`` a reader takes ``question`` and
``context`` and gives the answers' texts, as the transformers flavour does; a model of another task
takes and gives the columns of a bulk job: ``text`` (and ``pair``), and ``label`` and ``score``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, cast

import mlflow.pyfunc
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Array

from potstill.bundle.find import find_model
from potstill.errors import InputError, MissingKeyError
from potstill.runtime.client import Client
from potstill.tasks.table import every, task_of
from potstill.tasks.task import Task

_TYPES: Mapping[str, Any] = {
    "string": DataType.string,
    "double": DataType.double,
    "bool": DataType.boolean,
    "list<string>": Array(DataType.string),
    "list<double>": Array(DataType.double),
}
"""A bulk job's type of a column → mlflow's; of other columns no type is said."""
_ANSWER = "answer"
"""A column of readers, of whom mlflow is given this alone, as its transformers flavour has it."""


def save_model(path: str | Path, model: str | Path = "default", **options: Any) -> None:
    """Saves a model as one of mlflow.

    Args:
        path: folder to write; it must not exist.
        model: ``"default"`` (the embedded reader), a model folder or a hub id.
        options: of ``mlflow.pyfunc.save_model``. ``pip_requirements``, ``conda_env`` and
            ``signature`` take the place of those that are made here; ``extra_pip_requirements``
            are added.

    Raises:
        ModelError: there is no such model.
        InputError: it is of a task that has no columns, as a masked language model.
    """
    mlflow.pyfunc.save_model(path=str(path), **_described(model, options))


def log_model(model: str | Path = "default", name: str = "model", **options: Any) -> Any:
    """Logs a model in the current run; see `save_model`.

    Args:
        model: ``"default"``, a model folder or a hub id.
        name: of the logged model.
        options: of ``mlflow.pyfunc.log_model``.

    Returns:
        mlflow's ``ModelInfo``, with the address to load it from.

    Raises:
        ModelError: there is no such model.
        InputError: it is of a task that has no columns.
    """
    return mlflow.pyfunc.log_model(name=name, **_described(model, options))


class Model:
    """What ``mlflow.pyfunc.load_model`` gives back, unwrapped."""

    def __init__(self, task: Task[Any], client: Client[Any]) -> None:
        self.task = task
        self.client = client
        self._kinds = task.value_kinds(client)

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Asks the model.

        Args:
            model_input: a data frame with the model's columns, one such dictionary, or a list of
                them.
            params: none are known.

        Returns:
            Of a reader the text of each answer, an empty one where there is none; else a data
            frame with the columns of a bulk job.

        Raises:
            MissingKeyError: a question, context or text is not there.
            InputError: one cannot be read.
        """
        if hasattr(model_input, "to_dict"):
            rows = model_input.to_dict("records")
        else:
            rows = [model_input] if isinstance(model_input, Mapping) else model_input
        found = self.task.values(self.client, [self._texts(row) for row in rows])
        if _ANSWER in self._kinds:
            return [one[_ANSWER] or "" for one in found]
        from pandas import DataFrame

        return DataFrame(found, columns=list(self._kinds))

    def _texts(self, row: Any) -> tuple[str, ...]:
        if not isinstance(row, Mapping):
            raise InputError(
                f"a row is {type(row).__name__}: give {' and '.join(self.task.columns)} by name"
            )
        for key in self.task.columns:
            if key not in row:
                raise MissingKeyError(f"a row has no {key!r}: it has {', '.join(map(str, row))}")
        more = [row[key] for key in self.task.more_columns if isinstance(row.get(key), str)]
        return (*(row[key] for key in self.task.columns), *more)


def _load_pyfunc(path: str) -> Model:  # pyright: ignore[reportUnusedFunction]
    # mlflow calls this by its name, with the folder that `_described` gave as data_path.
    task = task_of(Path(path))
    return Model(task, task.client.from_options(Path(path)))


def _described(model: str | Path, options: Mapping[str, Any]) -> dict[str, Any]:
    folder = find_model(model)
    task = task_of(folder)
    if not task.columns:
        known = ", ".join(one.name for one in every() if one.columns)
        raise InputError(f"{folder} is a model for {task.name}; mlflow is given those for {known}")
    described: dict[str, Any] = {
        "loader_module": __name__,
        "data_path": str(folder),
        "signature": _signature(task, folder),
        **options,
    }
    if not {"pip_requirements", "conda_env"} & options.keys():
        extra = described.pop("extra_pip_requirements", None) or []
        described["pip_requirements"] = [*_requirements(), *cast("Sequence[str]", extra)]
    return described


def _signature(task: Task[Any], folder: Path) -> Any:
    inputs = [ColSpec(DataType.string, name=name) for name in task.columns]
    more = [ColSpec(DataType.string, name=name, required=False) for name in task.more_columns]
    kinds = task.value_kinds(task.client.from_options(folder))
    outputs: list[Any] = []
    if _ANSWER in kinds:
        outputs = [ColSpec(DataType.string)]
    elif all(kind in _TYPES for kind in kinds.values()):
        outputs = [ColSpec(_TYPES[kind], name=name) for name, kind in kinds.items()]
    return ModelSignature(
        inputs=Schema([*inputs, *more]), outputs=Schema(outputs) if outputs else None
    )


def _requirements() -> list[str]:
    """What pip needs to load a model elsewhere: mlflow adds its own."""
    try:
        ours = distribution("potstill")
    except PackageNotFoundError:  # run from a source tree
        return ["potstill", "pandas"]
    return [_source(ours) or f"potstill=={ours.version}", "pandas"]


def _source(ours: Distribution) -> str:
    """Where this very Potstill was installed from, where that was no index (PEP 610)."""
    found = json.loads(ours.read_text("direct_url.json") or "{}")
    url = found.get("url", "")
    within = f"#subdirectory={found['subdirectory']}" if "subdirectory" in found else ""
    if vcs := found.get("vcs_info"):
        return f"potstill @ {vcs['vcs']}+{url}@{vcs['commit_id']}{within}"
    return f"potstill @ {url}{within}" if url else ""
