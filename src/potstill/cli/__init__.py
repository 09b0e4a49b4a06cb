"""The command line: one file a verb, imported only when that verb is used."""

from __future__ import annotations

from importlib import import_module

import click

from potstill.errors import PotstillError

VERBS = {
    "ask": "Answer a question from files, a text or standard input.",
    "bulk": "Answer, classify or tag the rows of files.",
    "classify": "Give a text its labels.",
    "tag": "Mark the words of a text.",
    "choose": "Say which of several texts goes on with another.",
    "fill": "Fill in a masked word.",
    "serve": "Serve models over HTTP, with a page for people.",
    "finetune": "Train a model on a task, as a recipe says.",
    "distil": "Train a small model on what larger ones say.",
    "eval": "Predict and score a data set.",
    "score": "Score a predictions file as the official script does.",
    "export": "Write a model in other formats.",
    "info": "Describe a model or a data set.",
    "pull": "Download a model from the hub.",
    "push": "Publish a model on the hub.",
}


class _Verbs(click.Group):
    """Looks a verb's module up by name, so that `--help` and one verb import nothing else."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        return import_module(f"potstill.cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except PotstillError as error:
            click.echo(f"potstill: error: {error}", err=True)
            ctx.exit(1)


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="potstill", prog_name="potstill")
def main() -> None:
    """Small, distilled BERT models that people can really use."""
