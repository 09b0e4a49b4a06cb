"""``potstill mcp``: a folder's documents as tools for a language model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from potstill.cli.completing import MODEL
from potstill.cli.options import runtime_option

if TYPE_CHECKING:
    from potstill.retrieval.index import Index
    from potstill.runtime.qa import QAClient


@click.command("mcp")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--model",
    default="default",
    show_default=True,
    metavar="MODEL",
    type=MODEL,
    help="default, small or tiny (the embedded readers), a model folder or a hub id.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads.  [default: the cores]")
@runtime_option()
def command(folder: str, model: str, threads: int | None, runtime: str | None) -> None:
    """Offer the documents in DIR to a language model, by the Model Context Protocol.

    Speaks on standard input and output; the tools are search, ask and highlight. An index that
    `potstill index DIR` has made is brought up to date and used; without one DIR is read into
    memory, and nothing is written to it.
    """
    try:
        from potstill.adapters.for_mcp import server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        from potstill.errors import MissingExtraError

        raise MissingExtraError("mcp", "mcp", "potstill mcp") from None

    def opened() -> tuple[Index, QAClient]:
        from potstill.runtime.qa import QAClient

        return _index(folder), QAClient.from_options(model, runtime=runtime, threads=threads)

    server(opened).run("stdio")


def _index(folder: str) -> Index:
    from potstill.cli.sources import collect, say_skipped
    from potstill.retrieval.index import FOLDER, Index

    if (Path(folder) / FOLDER).is_dir():
        index = Index.open(folder)
        changes = index.update()
        say_skipped(changes.skipped, changes.notes)
        return index
    sources = collect([folder], None)
    say_skipped(sources.skipped, sources.notes)
    return Index.of(sources.found)
