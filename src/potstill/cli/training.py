"""What the verbs that train have in common: their options' meaning, progress, the last lines."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from potstill.bundle.machine import note_command
from potstill.cli.completing import RECIPE
from potstill.cli.progress import TrainingProgress
from potstill.cli.typed import typed
from potstill.errors import MissingExtraError

if TYPE_CHECKING:
    from potstill.training.recipe.run import RunRecipe
    from potstill.training.run.loop import StepReport
    from potstill.training.run.report import Listeners


@contextmanager
def shown(run: RunRecipe) -> Generator[Listeners, None, None]:
    """Listeners that show a run on stderr; an interruption says how to go on.

    Raises:
        MissingExtraError: what trains is not installed.
    """
    with needs_training():
        from potstill.training.run.report import Listeners
    with _resumable(run), TrainingProgress() as progress:

        def step(report: StepReport) -> None:
            progress.step(report.step, report.loss, report.tokens, report.seconds)

        yield Listeners(start=progress.start, step=step, note=progress.note, stage=progress.stage)


@contextmanager
def _resumable(run: RunRecipe) -> Generator[None, None, None]:
    """Says after Ctrl-C which command goes on, and from where."""
    try:
        yield
    except KeyboardInterrupt:
        from potstill.training.run.checkpoint import latest
        from potstill.training.run.processes import is_first

        if not is_first():
            raise
        words = [word for word in typed() if not word.startswith("--resume")]
        kept = latest(Path(run.out) / "checkpoints")
        if kept is None:
            remedy = "no checkpoint was written yet; from the beginning:"
        else:
            step = int(kept.name.rpartition("-")[2])
            remedy = f"step {step:,} is kept in {kept}; to go on behind it:"
            words.append("--resume")
        click.echo(f"\npotstill: interrupted: {remedy}\n  {shlex.join(words)}", err=True)
        click.get_current_context().exit(130)


def check_dry_run(dry_run: bool, **others: object) -> None:
    """Refuses what ``--dry-run`` cannot stand beside.

    Raises:
        UsageError: another option was given that says how to train.
    """
    for name, value in others.items():
        if dry_run and value:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"--dry-run trains nothing: omit {option}")


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


def finish(
    scores: Mapping[str, Any], run: RunRecipe, *, as_json: bool, dry_run: bool = False
) -> None:
    """Leaves the command in the run's folder, says where the model is, how good, and what is next.

    Of several processes, the first does it.

    Raises:
        OutputError: the command could not be written.
    """
    from potstill.training.run.processes import is_first

    if not is_first():
        return
    if dry_run:
        click.echo("nothing was trained or written: this was --dry-run", err=True)
        return
    note_command(Path(run.out), typed())
    if as_json:
        click.echo(json.dumps(dict(scores)))
        return
    click.echo(f"the model is in {run.out}")
    if scores:
        total = scores.get("total")
        parts = [f"{name} {_shown(scores[name])}" for name in scores if name != "total"]
        click.echo("  ".join(parts) + (f"  of {total}" if total is not None else ""))
    click.echo("next:")
    for words in _next(run):
        click.echo(f"  {shlex.join(words)}")


def _next(run: RunRecipe) -> Iterator[list[str]]:
    """What people type after a run."""
    from potstill.tasks.table import named

    dev = getattr(run, "dev", None)  # a language model's run has none
    if dev is not None:
        yield ["potstill", "eval", run.out, dev or "DATA"]
    gate = ["--gate", dev] if dev else []
    yield ["potstill", "export", run.out, f"{run.out}-int8", "--format", "int8", *gate]
    verb, *takes = named(run.task).verb
    yield ["potstill", verb, *takes, "--model", run.out]


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
            click.argument("recipe", type=RECIPE),
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
            click.option(
                "--dry-run",
                is_flag=True,
                help="Check recipe, data and models, say what would be done, and train nothing.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON."),
        )
    ):
        command = option(command)
    return command
