"""``potstill distil``: train a small model on what a larger one says."""

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


@click.command(cls=RecipeCommand, short_help="Train a small model on what larger ones say.")
@recipe_options
@click.option(
    "--cache-only", is_flag=True, help="Only have the teachers label the data, and train nothing."
)
def command(
    recipe: str,
    overrides: tuple[str, ...],
    resume: bool | str,
    devices: int | None,
    nodes: int | None,
    dry_run: bool,
    as_json: bool,
    cache_only: bool,
) -> None:
    """Train a student as RECIPE says: one that ships (`potstill recipes`), or a TOML file.

    Any key of the recipe can be given as KEY=VALUE, which wins over the file; a list is written
    as TOML writes it:

    potstill distil squad-distil-3l teacher='["default","DIR"]' train=FILE out=DIR

    `potstill recipes keys RECIPE` says what every key means.

    What teachers say is kept on disk and read again by every other run. A run that was cut off
    goes on with --resume, bit for bit as if it had not been.
    """
    with needs_training():
        from potstill.training.recipe.file import read_recipe
        from potstill.training.recipe.lm import LMDistilRecipe
        from potstill.training.start import start

    check_dry_run(dry_run, resume=resume, cache_only=cache_only)
    run = read_recipe(recipe, with_processes(overrides, devices, nodes), verb="distil")
    if cache_only and isinstance(run, LMDistilRecipe):
        raise click.UsageError(f"--cache-only has no meaning for task {run.task}")
    with shown(run) as listeners:
        scores = start(
            run, resume=resume, cache_only=cache_only, dry_run=dry_run, listeners=listeners
        )
    if cache_only:
        return
    finish(scores, run, as_json=as_json, dry_run=dry_run)
