# pyright: reportMissingImports=false
# (mlflow is the user's own, and no dependency of ours)
"""A reader as a model of mlflow, in place of its transformers flavour for this task.

A logged model is the model folder itself beside mlflow's own files: nothing is pickled. Loaded with
``mlflow.pyfunc.load_model`` or served with ``mlflow models serve`` it takes ``question`` and
``context``, as the transformers flavour does, and gives the answers' texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import mlflow.pyfunc
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from potstill.bundle.find import find_model
from potstill.errors import MissingKeyError
from potstill.runtime.qa import QAClient

SIGNATURE: Any = ModelSignature(
    inputs=Schema([ColSpec(DataType.string, name=name) for name in ("question", "context")]),
    outputs=Schema([ColSpec(DataType.string)]),
)
"""That of mlflow's own transformers flavour for ``question-answering``."""


def save_model(path: str | Path, model: str | Path = "default", **options: Any) -> None:
    """Saves a reader as a model of mlflow.

    Args:
        path: folder to write; it must not exist.
        model: ``"default"`` (the embedded model), a model folder or a hub id.
        options: of ``mlflow.pyfunc.save_model``.

    Raises:
        ModelError: there is no such model.
    """
    mlflow.pyfunc.save_model(path=str(path), **_described(model), **options)


def log_model(model: str | Path = "default", name: str = "reader", **options: Any) -> Any:
    """Logs a reader in the current run; see `save_model`.

    Args:
        model: ``"default"``, a model folder or a hub id.
        name: of the logged model.
        options: of ``mlflow.pyfunc.log_model``.

    Returns:
        mlflow's ``ModelInfo``, with the address to load it from.

    Raises:
        ModelError: there is no such model.
    """
    return mlflow.pyfunc.log_model(name=name, **_described(model), **options)


class Reader:
    """What ``mlflow.pyfunc.load_model`` gives back, unwrapped."""

    def __init__(self, client: QAClient) -> None:
        self.client = client

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> list[str]:
        """Answers questions.

        Args:
            model_input: a data frame with the columns ``question`` and ``context``, one such
                dictionary, or a list of them.
            params: none are known.

        Returns:
            The text of each answer; an empty one where there is none.

        Raises:
            MissingKeyError: a question or context is not there.
            InputError: one cannot be read.
        """
        if hasattr(model_input, "to_dict"):
            rows = model_input.to_dict("records")
        else:
            rows = [model_input] if isinstance(model_input, Mapping) else model_input
        for row in rows:
            for key in ("question", "context"):
                if key not in row:
                    raise MissingKeyError(f"a row has no {key!r}: it has {', '.join(row)}")
        found = self.client.predict_many((row["question"], row["context"]) for row in rows)
        return [answer.text if answer else "" for answer in found]


def _load_pyfunc(path: str) -> Reader:  # pyright: ignore[reportUnusedFunction]
    # mlflow calls this by its name, with the folder that `_described` gave as data_path.
    return Reader(QAClient.from_options(Path(path)))


def _described(model: str | Path) -> dict[str, Any]:
    try:
        ours = f"potstill=={version('potstill')}"
    except PackageNotFoundError:  # run from a source tree
        ours = "potstill"
    described = {
        "loader_module": __name__,
        "data_path": str(find_model(model)),
        "signature": SIGNATURE,
        "pip_requirements": [ours],
    }
    return cast("dict[str, Any]", described)
