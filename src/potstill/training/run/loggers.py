"""Where a run's metrics go beside its own ``metrics.jsonl``: TensorBoard, W&B and trackio."""

from __future__ import annotations

import json
import re
import secrets
import sys
from argparse import Namespace
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.loggers.logger import Logger
from lightning_fabric.loggers.tensorboard import TensorBoardLogger

from potstill.bundle import layout
from potstill.bundle.atomic import write_text
from potstill.errors import MissingExtraError, OutputError
from potstill.training.recipe.run import RunRecipe

Log = Callable[[Mapping[str, float], int], None]
"""Takes values by name, and the step they are of."""

Told = Mapping[int, Collection[str]]
"""Step → names of the values that were told of it."""

SERVICES = {"wandb": "Weights & Biases", "trackio": "trackio"}
"""Recipe key, library and extra → what people call it."""


def make_loggers(recipe: RunRecipe) -> list[Logger]:
    """The loggers a recipe asks for; nothing is begun yet.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    found: list[Logger] = []
    if recipe.tensorboard:
        try:
            found.append(Board(recipe.out, name="tensorboard", version=""))
        except ModuleNotFoundError:
            raise MissingExtraError("tensorboard", "tensorboard", "tensorboard = true") from None
    for service in SERVICES:
        if project := getattr(recipe, service):
            found.append(ServiceLogger(service, project, Path(recipe.out)))
    return found


@contextmanager
def logging(
    fabric: Fabric, recipe: RunRecipe, config: Mapping[str, Any], *, step: int
) -> Generator[Log, None, None]:
    """Begins what a recipe logs to and ends it, whatever happens in between.

    Args:
        fabric: with the loggers; those of a stage that asks for none are left alone.
        recipe: of the run, or of its stage.
        config: what the services say the run was made from.
        step: that the run goes on from; 0 where it begins. What it says again of steps behind the
            checkpoint was told before it was stopped, and is not told twice.

    Raises:
        OutputError: a service takes no metrics.
    """
    if not (recipe.tensorboard or any(getattr(recipe, service) for service in SERVICES)):
        yield lambda values, step: None
        return
    status = "failed"
    told = _told(Path(recipe.out) / layout.METRICS) if step else {}
    try:
        for logger in fabric.loggers:
            if isinstance(logger, ServiceLogger):
                logger.open(config, step, told)
            elif isinstance(logger, Board):
                logger.open(step, told)
        yield fabric.log_dict
        status = "success"
    finally:
        for logger in fabric.loggers:
            logger.finalize(status)


class Board(TensorBoardLogger):
    """TensorBoard's, which can go on: of points behind the checkpoint the later ones count."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._told: Told = {}

    def open(self, step: int, told: Told) -> None:
        """Begins a file; ``step`` and ``told`` as of `logging` and `_told`."""
        if step:
            self._kwargs["purge_step"] = step + 1
        self._told = {number: names for number, names in told.items() if number <= step}

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Writes what is new of a step."""
        if new := _untold(metrics, step, self._told):
            super().log_metrics(new, step)


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
            with redirect_stdout(sys.stderr):  # where `--json` prints nothing but JSON
                self._library: Any = import_module(service)
        except ModuleNotFoundError:
            purpose = f"{service} = {project!r}"
            raise MissingExtraError(SERVICES[service], service, purpose) from None
        self._service, self._project, self._out = service, project, out
        self._run: Any = None
        self._told: Told = {}

    @property
    def name(self) -> str:
        """The project."""
        return self._project

    @property
    def version(self) -> str | None:
        """The run's name there, once it has begun."""
        return None if self._run is None else str(self._run.name)

    def open(self, config: Mapping[str, Any], step: int, told: Told) -> None:
        """Begins a run there, or goes on with the one that this run began.

        Args:
            config: what it was made from.
            step: as of `logging`.
            told: as `_told` gives it.

        Raises:
            OutputError: the service refuses, or cannot be reached.
        """
        name = _name_there(self._out, self._service, resumed=step > 0)
        self._told = told
        values = {"project": self._project, "name": name, "config": dict(config)}
        if step:
            values["resume"] = "allow"
        if self._service == "wandb":
            settings = self._library.Settings(console="off")  # the progress bar is no output
            values |= {"id": name, "dir": str(self._out), "settings": settings}
        refusals = (ValueError, OSError, getattr(self._library, "Error", OSError))
        try:
            with redirect_stdout(sys.stderr):
                self._run = self._library.init(**values)
        except refusals as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise OutputError(
                f"{SERVICES[self._service]} takes no metrics ({why}): mend that, or leave "
                f"{self._service} out of the recipe"
            ) from None

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Hands on what is new of a step; what a resumed run says again is the same."""
        if new := _untold(metrics, step, self._told):
            with redirect_stdout(sys.stderr):
                self._run.log(new, step=step)

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
                self._library.finish()  # of the run itself, it would speak again when Python ends


def _name_there(out: Path, service: str, *, resumed: bool) -> str:
    """The run's name at a service, kept in its folder so that a resumed run goes on there."""
    file = out / layout.LOGGED_AS
    names: dict[str, str] = {}
    if file.is_file():
        for line in file.read_text(encoding="utf-8").splitlines():
            known, _, name = line.rpartition(" ")
            names[known] = name
    if resumed and (found := names.get(service) or names.get("")):  # "": of earlier versions
        return found
    folder = re.sub(r"[^\w.-]+", "-", out.resolve().name)[:40]
    names = {known: name for known, name in names.items() if known}
    names[service] = f"{folder}-{secrets.token_hex(4)}"
    write_text(file, "".join(f"{known} {name}\n" for known, name in names.items()))
    return names[service]


def _told(file: Path) -> Told:
    """What was told of each step before a run was stopped: what its metrics have, line by line."""
    found: dict[int, set[str]] = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        try:
            values = json.loads(line)
            found.setdefault(values["step"], set()).update(values)
        except (ValueError, KeyError, TypeError):
            continue  # the half line that a kill left behind
    return found


def _untold(metrics: Mapping[str, float], step: int | None, told: Told) -> dict[str, float]:
    known = told.get(step, ()) if step is not None else ()
    return {name: value for name, value in metrics.items() if name not in known}
