"""The command line: one file a verb, imported only when that verb is used."""

from __future__ import annotations

import difflib
import errno
import warnings
from importlib import import_module

import click

from potstill.cli.typed import KEY
from potstill.errors import PotstillError

VERBS = {
    "ask": "Answer a question from files, a text or standard input.",
    "highlight": "Show the sentences that answer a question, or support a claim.",
    "index": "Read documents into an index, to be asked at once.",
    "mcp": "Offer documents to a language model, as tools.",
    "bulk": "Answer, classify or tag the rows of files.",
    "classify": "Give a text its labels.",
    "tag": "Mark the words of a text.",
    "choose": "Say which of several texts goes on with another.",
    "fill": "Fill in a masked word.",
    "serve": "Serve models over HTTP, with a page for people.",
    "recipes": "List the recipes that ship, and what their keys mean.",
    "finetune": "Train a model on a task, as a recipe says.",
    "distil": "Train a small model on what larger ones say.",
    "eval": "Predict and score a data set.",
    "score": "Score a predictions file as the official script does.",
    "export": "Write a model in other formats.",
    "bench": "Measure how quick a model is on this machine.",
    "report": "Show runs side by side in one page.",
    "plan": "Say how many machines a load takes, and what it costs.",
    "info": "Describe a model or a data set.",
    "pull": "Download a model from the hub.",
    "push": "Publish a model on the hub.",
}


class _Verbs(click.Group):
    """Looks a verb's module up by name, so that `--help` and one verb import nothing else."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[KEY] = ["potstill", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        return import_module(f"potstill.cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        meant = difflib.get_close_matches(args[0], VERBS, 1)
        if meant and args[0] not in VERBS:
            ctx.fail(f"No such command {args[0]!r}: did you mean {meant[0]!r}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        shown = warnings.showwarning
        warnings.showwarning = _say
        try:
            return super().invoke(ctx)
        except PotstillError as error:
            click.echo(f"potstill: error: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("\npotstill: interrupted", err=True)
            ctx.exit(130)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            click.echo(f"potstill: error: the output cannot be written: {error.strerror}", err=True)
            ctx.exit(1)
        finally:
            warnings.showwarning = shown


_FULL = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, "EDQUOT") else (errno.ENOSPC,)


def _say(message: Warning | str, *where: object, **more: object) -> None:
    """A warning in one line: where in the code it was raised is of no use to who runs a verb."""
    click.echo(f"potstill: warning: {message}", err=True)


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="potstill", prog_name="potstill")
def main() -> None:
    """Small, distilled BERT models that people can really use."""
