"""Where a run's metrics go beside its own ``metrics.jsonl``: TensorBoard, W&B and trackio."""

from __future__ import annotations

import re
import secrets
import sys
from argparse import Namespace
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.loggers.logger import Logger

from potstill.bundle import layout
from potstill.bundle.atomic import write_text
from potstill.errors import MissingExtraError, OutputError
from potstill.training.recipe import RunRecipe

Log = Callable[[Mapping[str, float], int], None]
"""Takes values by name, and the step they are of."""

SERVICES = {"wandb": "Weights & Biases", "trackio": "trackio"}
"""Recipe key, library and extra → what people call it."""


def make_loggers(recipe: RunRecipe) -> list[Logger]:
    """The loggers a recipe asks for; nothing is begun yet.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    found: list[Logger] = []
    if recipe.tensorboard:
        from lightning_fabric.loggers.tensorboard import TensorBoardLogger

        try:
            found.append(TensorBoardLogger(recipe.out, name="tensorboard", version=""))
        except ModuleNotFoundError:
            raise MissingExtraError("tensorboard", "tensorboard", "tensorboard = true") from None
    for service in SERVICES:
        if project := getattr(recipe, service):
            found.append(ServiceLogger(service, project, Path(recipe.out)))
    return found


@contextmanager
def logging(
    fabric: Fabric, recipe: RunRecipe, config: Mapping[str, Any], *, resumed: bool
) -> Generator[Log, None, None]:
    """Begins what a recipe logs to and ends it, whatever happens in between.

    Args:
        fabric: with the loggers; those of a stage that asks for none are left alone.
        recipe: of the run, or of its stage.
        config: what the services say the run was made from.
        resumed: whether the run goes on from a checkpoint.

    Raises:
        OutputError: a service takes no metrics.
    """
    if not (recipe.tensorboard or any(getattr(recipe, service) for service in SERVICES)):
        yield lambda values, step: None
        return
    status = "failed"
    try:
        for logger in fabric.loggers:
            if isinstance(logger, ServiceLogger):
                logger.open(config, resumed=resumed)
        yield fabric.log_dict
        status = "success"
    finally:
        for logger in fabric.loggers:
            logger.finalize(status)


class ServiceLogger(Logger):
    """A logger of Fabric's for Weights & Biases and trackio, which are called in the same way.

    Lightning has a class for the former, in a package that training needs nothing else of.
    """

    def __init__(self, service: str, project: str, out: Path) -> None:
        """Finds the library; the run begins with `open`.

        Args:
            service: one of `SERVICES`.
            project: there.
            out: folder of the run.

        Raises:
            MissingExtraError: it is not installed.
        """
        try:
            self._library: Any = import_module(service)
        except ModuleNotFoundError:
            purpose = f"{service} = {project!r}"
            raise MissingExtraError(SERVICES[service], service, purpose) from None
        self._service, self._project, self._out = service, project, out
        self._run: Any = None

    @property
    def name(self) -> str:
        """The project."""
        return self._project

    @property
    def version(self) -> str | None:
        """The run's name there, once it has begun."""
        return None if self._run is None else str(self._run.name)

    def open(self, config: Mapping[str, Any], *, resumed: bool) -> None:
        """Begins a run there, or goes on with the one that this run began.

        Raises:
            OutputError: the service refuses, or cannot be reached.
        """
        name = _name_there(self._out, resumed=resumed)
        values = {"project": self._project, "name": name, "config": dict(config)}
        if resumed:
            values["resume"] = "allow"
        if self._service == "wandb":
            settings = self._library.Settings(console="off")  # the progress bar is no output
            values |= {"id": name, "dir": str(self._out), "settings": settings}
        refusals = (ValueError, OSError, getattr(self._library, "Error", OSError))
        try:
            with redirect_stdout(sys.stderr):  # where `--json` prints nothing but JSON
                self._run = self._library.init(**values)
        except refusals as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise OutputError(
                f"{SERVICES[self._service]} takes no metrics ({why}): mend that, or leave "
                f"{self._service} out of the recipe"
            ) from None

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Hands values on; what a resumed run says again of a step is the same."""
        self._run.log(dict(metrics), step=step)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Does nothing: the recipe is told by `open`."""

    def finalize(self, status: str) -> None:
        """Ends the run there; waits until all was taken."""
        if self._run is None:
            return
        run, self._run = self._run, None
        with redirect_stdout(sys.stderr):
            if self._service == "wandb":
                run.finish(exit_code=int(status != "success"))
            else:
                run.finish()


def _name_there(out: Path, *, resumed: bool) -> str:
    """The run's name at the services, kept in its folder so that a resumed run goes on there."""
    file = out / layout.LOGGED_AS
    if resumed and file.is_file():
        return file.read_text(encoding="utf-8").strip()
    folder = re.sub(r"[^\w.-]+", "-", out.resolve().name)[:40]
    name = f"{folder}-{secrets.token_hex(4)}"
    write_text(file, f"{name}\n")
    return name
