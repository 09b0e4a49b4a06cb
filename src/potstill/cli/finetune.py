"""``potstill finetune``: a training run, with its progress shown."""

from __future__ import annotations

import click

from potstill.cli.training import (
    RecipeCommand,
    check_dry_run,
    finish,
    needs_training,
    recipe_options,
    shown,
    with_processes,
)


@click.command(cls=RecipeCommand, short_help="Train a model on a task, as a recipe says.")
@recipe_options
def command(
    recipe: str,
    overrides: tuple[str, ...],
    resume: bool | str,
    devices: int | None,
    nodes: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train a model as RECIPE says: one that ships (`potstill recipes`), or a TOML file.

    Any key of the recipe can be given as KEY=VALUE, which wins over the file:

    potstill finetune squad-minilm base=DIR train=FILE out=DIR max_steps=20

    `potstill recipes keys RECIPE` says what every key means.

    A run that was cut off goes on with --resume, bit for bit as if it had not been.
    """
    with needs_training():
        from potstill.training.recipe.file import read_recipe
        from potstill.training.start import start

    check_dry_run(dry_run, resume=resume)
    run = read_recipe(recipe, with_processes(overrides, devices, nodes), verb="finetune")
    with shown(run) as listeners:
        scores = start(run, resume=resume, dry_run=dry_run, listeners=listeners)
    finish(scores, run, as_json=as_json, dry_run=dry_run)
