"""``potstill finetune``: a training run, with its progress shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from potstill.training.loop import StepReport


@click.command(short_help="Train a model on a task, as a recipe says.")
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint of the run.")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
def command(recipe: str, overrides: tuple[str, ...], resume: bool, as_json: bool) -> None:
    """Trains a model as RECIPE (a TOML file) says.

    Any key of the recipe can be given as KEY=VALUE, which wins over the file:

    potstill finetune recipes/squad-minilm.toml base=DIR train=FILE out=DIR max_steps=20

    A run that was cut off goes on with --resume, bit for bit as if it had not been.
    """
    try:
        from potstill.training.finetune import finetune
    except ModuleNotFoundError as error:
        from potstill.errors import MissingExtraError

        raise MissingExtraError(error.name or "torch", "train", "training") from None
    from potstill.cli.progress import TrainingProgress
    from potstill.training.recipe import read_recipe

    run = read_recipe(recipe, overrides)
    with TrainingProgress() as progress:

        def step(report: StepReport) -> None:
            progress.step(report.step, report.loss, report.tokens, report.seconds)

        scores = finetune(
            run,
            resume=resume,
            on_start=progress.start,
            on_step=step,
            on_note=progress.note,
        )
    _print(scores, run.out, as_json)


def _print(scores: dict[str, object], out: str, as_json: bool) -> None:
    if as_json:
        import json

        click.echo(json.dumps(scores))
        return
    click.echo(f"the model is in {out}")
    if scores:
        click.echo(f"exact {scores['exact']:.2f}  f1 {scores['f1']:.2f}  of {scores['total']}")
