"""What the verbs that train have in common: their options' meaning, progress, the last lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from potstill.bundle.machine import note_command
from potstill.cli.progress import TrainingProgress
from potstill.cli.typed import typed
from potstill.errors import MissingExtraError

if TYPE_CHECKING:
    from potstill.training.loop import StepReport
    from potstill.training.runs import Listeners


@contextmanager
def shown() -> Generator[Listeners, None, None]:
    """Listeners that show a run on stderr.

    Raises:
        MissingExtraError: what trains is not installed.
    """
    with needs_training():
        from potstill.training.runs import Listeners
    with TrainingProgress() as progress:

        def step(report: StepReport) -> None:
            progress.step(report.step, report.loss, report.tokens, report.seconds)

        yield Listeners(start=progress.start, step=step, note=progress.note, stage=progress.stage)


@contextmanager
def needs_training() -> Generator[None, None, None]:
    """Turns a missing library into one line that says how to get it.

    lightning_fabric asks torchmetrics for its version by importing all of it, and scipy and
    transformers with it: seconds, for what no verb uses. Here it finds none.
    """
    absent = "torchmetrics" not in sys.modules
    if absent:
        sys.modules["torchmetrics"] = None  # pyright: ignore[reportArgumentType]
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train", "training") from None
    finally:
        if absent:
            del sys.modules["torchmetrics"]


def with_processes(
    overrides: tuple[str, ...], devices: int | None, nodes: int | None
) -> tuple[str, ...]:
    """The overrides with what ``--devices`` and ``--nodes`` say."""
    given = {"devices": devices, "nodes": nodes}
    return (*overrides, *(f"{key}={n}" for key, n in given.items() if n is not None))


def finish(scores: Mapping[str, Any], out: str, as_json: bool) -> None:
    """Leaves the command in the run's folder and says where the model is and how good.

    Of several processes, the first does it.

    Raises:
        OutputError: the command could not be written.
    """
    from potstill.training.processes import is_first

    if not is_first():
        return
    note_command(Path(out), typed())
    if as_json:
        click.echo(json.dumps(dict(scores)))
        return
    click.echo(f"the model is in {out}")
    if scores:
        total = scores.get("total")
        parts = [f"{name} {_shown(scores[name])}" for name in scores if name != "total"]
        click.echo("  ".join(parts) + (f"  of {total}" if total is not None else ""))


def _shown(score: float) -> str:
    """Two decimals of points, four of shares and losses."""
    return f"{score:.2f}" if abs(score) >= 1 or not score else f"{score:.4f}"


class RecipeCommand(click.Command):
    """A verb whose ``--resume`` may stand alone: it never takes the KEY=VALUE behind it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Gives ``--resume`` its value."""
        given = [f"--resume={_NEWEST}" if arg == "--resume" else arg for arg in args]
        return super().parse_args(ctx, given)


_NEWEST = "newest"


def _resumed(_: click.Context, __: click.Parameter, value: str | None) -> bool | str:
    return True if value == _NEWEST else value or False


def recipe_options(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments and options of every verb that takes a recipe."""
    for option in reversed(
        (
            click.argument("recipe"),
            click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]..."),
            click.option(
                "--resume",
                metavar="[=STEP]",
                callback=_resumed,
                help="Go on from the newest checkpoint of the run, or with --resume=STEP from "
                "that of a step.",
            ),
            click.option(
                "--devices",
                type=click.IntRange(min=1),
                metavar="N",
                help="Processes of each machine: GPUs, or parts of the CPU.  [default: 1]",
            ),
            click.option(
                "--nodes", type=click.IntRange(min=1), metavar="N", help="Machines.  [default: 1]"
            ),
            click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON."),
        )
    ):
        command = option(command)
    return command
