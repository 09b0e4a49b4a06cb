"""``potstill recipes``: those that ship, and what their keys mean."""

from __future__ import annotations

import click

from potstill.cli.completing import RECIPE


@click.group("recipes", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List the recipes that ship, by the verb and the task they are for.

    finetune and distil take a recipe by its name, or the file of one of your own, for which
    `potstill recipes show NAME` is a beginning.
    """
    if context.invoked_subcommand is not None:
        return
    from potstill.training.recipe.file import shipped_by_kind
    from potstill.training.recipe.shipped import described

    formatter = context.make_formatter()
    for (verb, task), files in shipped_by_kind().items():
        with formatter.section(f"potstill {verb} ({task})"):
            formatter.write_dl([(file.stem, described(file)) for file in files], col_max=24)
    click.echo(formatter.getvalue().rstrip())


@command.command("show")
@click.argument("recipe", type=RECIPE)
def show(recipe: str) -> None:
    """Print the file of RECIPE, by its name."""
    from potstill.training.recipe.shipped import find_recipe, read_text

    click.echo(read_text(find_recipe(recipe)), nl=False)


@command.command("keys")
@click.argument("recipe", type=RECIPE)
@click.pass_context
def keys(context: click.Context, recipe: str) -> None:
    """Print what each key of RECIPE means.

    Each key is shown with its value in RECIPE or its default, the values it takes, and its
    meaning. RECIPE is a name or a file; its verb and task decide which keys there are.
    """
    from potstill.training.recipe.file import kind_of, read_values, verb_of
    from potstill.training.recipe.keys import as_toml, keys_of

    values = read_values(recipe)
    kind = kind_of(values.get("task"), verb_of(values))
    formatter = context.make_formatter()
    for key in keys_of(kind):
        value = as_toml(values[key.name]) if key.name in values else key.default
        formatter.write_text(f"{key.name} = {value}" if value else key.name)
        with formatter.indentation():
            said = f"{key.takes[0].upper()}{key.takes[1:]}. {key.meaning}"
            formatter.write_text(said.replace("``", "`"))
    click.echo(formatter.getvalue().rstrip())
